"""A service to measure: a database filled to size, and one server with product and measuring routes."""

import base64
import json
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bench import tables
from bench.load import request
from prefs import simulate
from prefs.crypto import AddressKeys
from prefs.storage import migrate
from tests.faults.service import Running
from tests.postgres import PostgresServer

# Long enough that a load of 20 million rows does not write the same pages out again and again.
# The product's connections and the measuring routes' own are more than the usual hundred.
_BIG = "-c max_connections=300 -c shared_buffers=2GB -c maintenance_work_mem=1GB -c max_wal_size=8GB "
_BIG += "-c checkpoint_timeout=30min"
ADDRESS_KEY = b"bench address key, 32 bytes long"
KEYS = AddressKeys([ADDRESS_KEY])
"""Makes address keys as every measured service makes them."""


@dataclass
class Measured:
    """A running server on a filled database."""

    service: Running
    size: int
    secrets: dict[str, str]

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.service.port

    @property
    def pid(self) -> int:
        """Its first process."""
        assert self.service.process is not None
        return self.service.process.pid

    def post(self, path: str, body: object, kind: str = "application/json") -> bytes:
        """Return the wire form of a call with the API key."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return request("POST", path, raw, {"Authorization": f"Bearer {self.service.key}", "Content-Type": kind})


def address(number: int) -> str:
    """Return one of the filled-in addresses; numbers from the table's size on are unknown ones."""
    return f"p{number}@example.com"


@contextmanager
def measured(
    database: str, size: int, *, server: str = "granian", workers: int | None = None, durable: bool = True
) -> Iterator[Measured]:
    """Yield a server on ``sqlite`` or ``postgres`` with so many suppressed addresses."""
    secrets = simulate.new_webhook_secrets()
    with tempfile.TemporaryDirectory(prefix="bench", dir=os.environ.get("PREFS_BENCH_FOLDER")) as name:
        folder = Path(name)
        number = workers or (1 if database == "sqlite" else 2)
        command = ("bench.server", "--server", server, "--workers", str(number))
        service = Running(_environment(folder, secrets), _free_port(), command=command)
        service.environment["PREFS_BASE_URL"] = service.url
        if database == "sqlite":
            yield from _run(Measured(service, size, secrets))
            return
        with PostgresServer.launch(durable=durable, options=_BIG) as postgres:
            service.environment["DATABASE_URL"] = postgres.create_database("bench")
            yield from _run(Measured(replace(service, postgres=postgres), size, secrets))


def _run(found: Measured) -> Iterator[Measured]:
    service = found.service
    url = service.environment["DATABASE_URL"]
    migrate.upgrade(url)
    made = service.services()
    made.kit.catalogues.ensure_default()
    tables.fill(url, found.size, ADDRESS_KEY)
    with made.kit.store.engine.begin() as connection:
        kind = "BLOB" if made.kit.store.is_sqlite else "BYTEA"
        connection.exec_driver_sql(f"CREATE TABLE bench_row (id {kind} PRIMARY KEY, body {kind})")
    service.key = made.keys.create("bench", ["decide", "read", "suppress"])
    service.start()
    try:
        yield found
    finally:
        service.kill()
        made.kit.store.dispose()


def _environment(folder: Path, secrets: dict[str, str]) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("PREFS_")},
        "PREFS_ENV": "development",
        "PREFS_DATA_DIR": str(folder),
        "PREFS_SECRET_KEYS": "b1:" + base64.b64encode(os.urandom(32)).decode(),
        "PREFS_ADDRESS_KEY": base64.b64encode(ADDRESS_KEY).decode(),
        "DATABASE_URL": f"sqlite:///{folder / 'prefs.db'}",
        "PREFS_LOG_FORMAT": "json",
        **{name: value for name, value in secrets.items() if name != "SENDGRID_WEBHOOK_PRIVATE_KEY"},
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port

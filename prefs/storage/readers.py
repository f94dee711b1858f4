"""Connections kept aside for the one question that is asked all day: what is known of these keys?

The driver's cursor alone, statements prepared once, one round trip each: what SQLAlchemy adds
costs as much again as PostgreSQL's answer (docs/decisions/0009).
"""

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from prefs.errors import StoreUnavailable

MOST = 16
"""Connections at most; who finds none free waits as long as a writer would."""
WAIT_SECONDS = 5
_UNCERTAIN = "might not have been replicated"

# A plan is made once for all keys, never per question: planning costs three times the answer. It
# must go by the indexes even where it was made while the tables were still empty.
SESSION = "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off"


class Conflicting(Exception):
    """A statement broke a constraint: somebody wrote the same meanwhile."""


Rows = list[tuple[Any, ...]]
Parameters = Mapping[str, Any] | Sequence[Any]


class Readers:
    """As many connections as threads that ask at once, the one used last first.

    Each is made by the engine, with all its settings, and then held here, in autocommit; of
    PostgreSQL's the one cursor is held.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sqlite = engine.dialect.name == "sqlite"
        self._errors: type[Exception] = engine.dialect.loaded_dbapi.Error
        self._integrity: type[Exception] = engine.dialect.loaded_dbapi.IntegrityError
        self._idle: deque[Any] = deque()
        self._free = threading.BoundedSemaphore(MOST)
        self._uncertain = threading.local()

    def ask(self, *questions: tuple[str, Parameters]) -> Rows:
        """Return the rows of one question, or of several from one snapshot.

        Raises:
            StoreUnavailable: The database cannot be asked.
        """
        if not self._free.acquire(timeout=WAIT_SECONDS):
            raise StoreUnavailable("The database is busy. Try again shortly.")
        try:
            return self._ask(questions)
        finally:
            self._free.release()

    def _ask(self, questions: Sequence[tuple[str, Parameters]]) -> Rows:
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._open()
        try:
            rows = self._rows(connection, questions)
        except self._errors as error:
            # One that broke seldom broke alone: all idle ones are made anew.
            _close(connection)
            self.dispose()
            raise StoreUnavailable("The database cannot be asked just now. Try again shortly.") from error
        self._idle.append(connection)
        return rows

    def commit(self, statement: str, parameters: Parameters) -> Rows:
        """Run one statement that changes something and return its rows; it is on disk then (PostgreSQL).

        Raises:
            StoreUnavailable: The database is away or busy, or could not say whether it holds.
            Conflicting: It broke a constraint.
        """
        self._uncertain.there = False
        try:
            rows = self.ask((statement, parameters))
        except StoreUnavailable as error:
            if isinstance(error.__cause__, self._integrity):
                raise Conflicting from error
            raise
        if self._uncertain.there:
            raise StoreUnavailable("The standby did not confirm the change in time. Try again shortly.")
        return rows

    def dispose(self) -> None:
        """Close every idle connection."""
        while self._idle:
            try:
                _close(self._idle.pop())
            except IndexError:
                return

    def _rows(self, connection: Any, questions: Sequence[tuple[str, Parameters]]) -> Rows:
        if not self._sqlite:
            (question,) = questions
            rows: Rows = connection.run(*question)
            return rows
        if len(questions) == 1:
            found: Rows = connection.execute(*questions[0]).fetchall()
            return found
        connection.execute("BEGIN")
        try:
            return [row for question in questions for row in connection.execute(*question).fetchall()]
        finally:
            connection.execute("COMMIT")

    def _open(self) -> Any:
        try:
            proxy = self._engine.raw_connection()
        except (DBAPIError, PoolTimeout, self._errors) as error:
            raise StoreUnavailable("The database cannot be asked just now. Try again shortly.") from error
        connection: Any = proxy.driver_connection
        proxy.detach()
        if not self._sqlite:
            connection.autocommit = True
            connection.execute(SESSION)
            connection.add_notice_handler(self._note)
            return _Cursors(connection)
        return connection

    def _note(self, diagnostic: Any) -> None:
        # A notice comes on the thread that waits for the answer.
        if is_uncertain(diagnostic):
            self._uncertain.there = True


class _Cursors:
    """The cursors of one PostgreSQL connection.

    Parameters in order (``$1``) are taken as they are; those with names are looked up in the
    statement first, which the driver remembers only where it is short.
    """

    def __init__(self, connection: Any) -> None:
        from psycopg import RawCursor  # noqa: PLC0415  only where that is the database

        self.connection = connection
        self._named = connection.cursor(binary=True)
        self._numbered = RawCursor(connection)
        self._numbered.format = self._named.format

    def run(self, statement: str, parameters: Parameters) -> Rows:
        """Run a statement, prepared once, and return its rows."""
        cursor = self._named if isinstance(parameters, Mapping) else self._numbered
        rows: Rows = cursor.execute(statement, parameters, prepare=True).fetchall()
        return rows


def is_uncertain(diagnostic: Any) -> bool:
    """True for the warning that a commit may be lost: a cancelled wait for a synchronous standby.

    Such a commit ends in success; only the warning tells (reliability.md 3.3, failover).
    """
    return _UNCERTAIN in (diagnostic.message_detail or "") + (diagnostic.message_primary or "")


def _close(held: Any) -> None:
    """Close a connection, or the one behind its cursors."""
    getattr(held, "connection", held).close()

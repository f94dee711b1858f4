"""DuckDB, opened the one way we use it: no network, bounded memory, progress that can be watched."""

import errno
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefs.errors import InvalidInput, SettingsError

if TYPE_CHECKING:
    import duckdb

DEFAULT_MEMORY = "1GB"
_RESTING = "64MB"
Fraction = Callable[[float], None]
_WATCH_SECONDS = 0.5
_INTERRUPTED = "Query interrupted"  # what duckdb raises for Ctrl-C, as a plain RuntimeError
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
# DuckDB's errors carry words alone.
_WORDS_OF_NO_ROOM = ("max_temp_directory_size", *(os.strerror(number) for number in _NO_ROOM))


@contextmanager
def _ctrl_c() -> Iterator[None]:
    """Raise ``KeyboardInterrupt`` where duckdb says in its own way that Ctrl-C ended it."""
    try:
        yield
    except RuntimeError as error:
        if str(error) == _INTERRUPTED:
            raise KeyboardInterrupt from error
        raise


@dataclass(frozen=True, slots=True)
class Engine:
    """One DuckDB connection. Values go in as parameters; names and constants through ``quoted``."""

    connection: "duckdb.DuckDBPyConnection"
    memory: str

    def run(self, sql: str, values: Sequence[Any] = ()) -> None:
        """Run a statement whose rows do not matter. Raises ``KeyboardInterrupt`` when Ctrl-C ends it."""
        with _ctrl_c():
            self.connection.execute(sql, list(values))

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return all rows; for small answers."""
        with _ctrl_c():
            return self.connection.execute(sql, list(values)).fetchall()

    def value(self, sql: str, values: Sequence[Any] = ()) -> Any:
        """Return the one value of the one row."""
        return self.rows(sql, values)[0][0]

    def batches(self, sql: str, size: int) -> Iterator[list[tuple[Any, ...]]]:
        """Yield rows in batches, from a cursor of its own, so that others may write meanwhile."""
        cursor = self.connection.cursor()
        with _ctrl_c():
            found = cursor.execute(sql)
        while True:
            with _ctrl_c():
                batch = found.fetchmany(size)
            if not batch:
                return
            yield batch

    def has_table(self, name: str) -> bool:
        """True where the table exists in the work file."""
        return bool(self.rows("SELECT 1 FROM duckdb_tables() WHERE table_name = ?", [name]))

    @contextmanager
    def resting(self) -> Iterator[None]:
        """Hold next to no memory while another engine works: what was read goes to the work file first."""
        self.run("CHECKPOINT")
        self.run(f"SET memory_limit = {quoted(_RESTING)}")
        try:
            yield
        finally:
            self.run(f"SET memory_limit = {quoted(self.memory)}")

    @contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        """Run several statements as one: after an interruption all of them are there, or none."""
        self.run("BEGIN")
        try:
            yield
        except BaseException:
            with suppress(Exception):  # what went wrong may have ended it already
                self.run("ROLLBACK")
            raise
        self.run("COMMIT")

    @contextmanager
    def watched(self, told: Fraction | None) -> Iterator[None]:
        """Tell, twice a second, which fraction of the statement that runs meanwhile is done."""
        if told is None:
            yield
            return
        done = threading.Event()

        def watch() -> None:
            while not done.wait(_WATCH_SECONDS):
                told(max(self.connection.query_progress(), 0.0) / 100)

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()


@contextmanager
def plainly() -> Iterator[None]:
    """Say in a sentence what memory or disk cannot take; faults of our own pass as they are.

    Raises:
        InvalidInput: The memory limit is too small (``out_of_memory``), or a disk is full (``disk_full``).
    """
    try:
        yield
    except Exception as error:
        if _no_room(error):
            said = "The disk is full. Make room and run this again."
            raise InvalidInput(said, field="out", code="disk_full") from error
        if _is_of_duckdb(error) and "out of memory" in str(error).lower():
            said = "This needs more memory than the limit allows. Give more with --memory-limit, or split the file."
            raise InvalidInput(said, field="memory_limit", code="out_of_memory") from error
        raise


def _no_room(error: Exception) -> bool:
    if isinstance(error, OSError):
        return error.errno in _NO_ROOM
    return _is_of_duckdb(error) and any(words in str(error) for words in _WORDS_OF_NO_ROOM)


def _is_of_duckdb(error: Exception) -> bool:
    duckdb = sys.modules.get("duckdb")
    return duckdb is not None and isinstance(error, duckdb.Error)


@contextmanager
def opened(path: Path, *, memory: str = DEFAULT_MEMORY, spill: Path | None = None) -> Iterator[Engine]:
    """Open a work file, closed at the end.

    Raises:
        SettingsError: DuckDB is not installed.
        InvalidInput: ``memory`` is not an amount, or as ``plainly``, of whatever is done meanwhile.
    """
    with plainly():
        with _undisturbed():
            connection = _connect(path, memory, spill or path.parent / "spill")
        try:
            yield Engine(connection, memory)
        finally:
            connection.close()


def _connect(path: Path, memory: str, spill: Path) -> "duckdb.DuckDBPyConnection":
    try:
        import duckdb  # noqa: PLC0415  an extra; loads only where whole files are worked on
    except ImportError as error:
        raise SettingsError("This needs DuckDB. Install it with: pip install 'prefs-center[bulk]'") from error
    connection = duckdb.connect(str(path))
    settings = {
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "temp_directory": str(spill),
        "enable_progress_bar": True,
        "enable_progress_bar_print": False,
    }
    try:
        for name, value in settings.items():
            connection.execute(f"SET {name} = {quoted(value)}")
        _set_memory(connection, memory)
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let Ctrl-C wait: DuckDB, interrupted while it loads, ends the whole process without a word."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def quoted(value: object) -> str:
    """Return a value as an SQL constant."""
    if isinstance(value, bool | int):
        return str(value).lower()
    return "'" + str(value).replace("'", "''") + "'"


def literal(path: Path) -> str:
    """Return a path to read from as an SQL constant: in a name, DuckDB takes ``*``, ``?`` and ``[`` for patterns."""
    return quoted(re.sub(r"[*?\[]", r"[\g<0>]", str(path)))


def name(text: str) -> str:
    """Return a name as an SQL identifier, whatever it holds."""
    return '"' + text.replace('"', '""') + '"'


def _set_memory(connection: "duckdb.DuckDBPyConnection", memory: str) -> None:
    import duckdb  # noqa: PLC0415  opened before

    try:
        connection.execute(f"SET memory_limit = {quoted(memory)}")
    except duckdb.Error as error:
        raise InvalidInput("Give the memory limit like 512MB or 2GB.", field="memory_limit") from error

"""What is on record about each import and export; the facts themselves are in the ledger."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from prefs.domain.formats import CONSENTS
from prefs.domain.ledger import Entry
from prefs.domain.terms import Act
from prefs.storage import ledger
from prefs.storage.people import CHUNK, insert_new
from prefs.storage.tables import export_log, import_confirmation, ledger_entry, list_import

QUEUED, RUNNING, DONE, FAILED, UNDOING, UNDONE = "queued", "running", "done", "failed", "undoing", "undone"


@dataclass(frozen=True, slots=True)
class Import:
    """An import's row. ``usable`` are the rows of finished parts that said something.

    ``ignored`` are rows passed over: in a list of stops, those that say nobody opted out; in one of
    consents, those whose person has opted out (``refused``).
    """

    id: str
    file_hash: bytes
    format: str
    options: dict[str, Any]
    dry_run: bool
    status: str
    actor: str
    uploaded_at: datetime
    finished_at: datetime | None
    first_entry: int
    last_entry: int
    parts: int
    next_part: int
    usable: int
    added: int
    invalid: int
    ignored: int
    lifted: int
    error: str | None

    @property
    def already(self) -> int:
        """Rows of finished parts that said what was on record."""
        return max(0, self.usable - self.added)

    @property
    def are_consents(self) -> bool:
        """True for a list of people who agreed."""
        return self.format == CONSENTS

    @property
    def refused(self) -> int:
        """Rows of people who agreed once, and have opted out."""
        return self.ignored if self.are_consents else 0


def read(connection: Connection, import_id: str, *, lock: bool = False) -> Import | None:
    """Return one import, or None."""
    query = select(list_import).where(list_import.c.id == import_id)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    return _import(row) if row else None


def of_file(connection: Connection, file_hash: bytes) -> list[Import]:
    """Return every import of a file with this content, oldest first."""
    query = select(list_import).where(list_import.c.file_hash == file_hash).order_by(list_import.c.uploaded_at)
    return [_import(row) for row in connection.execute(query)]


def page(
    connection: Connection,
    limit: int,
    *,
    before: tuple[datetime, str] | None = None,
    after: tuple[datetime, str] | None = None,
) -> list[Import]:
    """Return imports newest first, dry runs left out: those behind a place, or the next before one."""
    at, number = list_import.c.uploaded_at, list_import.c.id
    query = select(list_import).where(list_import.c.dry_run.is_(False)).limit(limit)
    if after is not None:
        newer = query.where((at > after[0]) | ((at == after[0]) & (number > after[1])))
        return [_import(row) for row in connection.execute(newer.order_by(at, number))][::-1]
    if before is not None:
        query = query.where((at < before[0]) | ((at == before[0]) & (number < before[1])))
    return [_import(row) for row in connection.execute(query.order_by(at.desc(), number.desc()))]


def add(connection: Connection, values: dict[str, Any]) -> None:
    """Put a new import on record."""
    connection.execute(insert(list_import), values)


def change(connection: Connection, import_id: str, **values: Any) -> None:
    """Set columns of an import."""
    connection.execute(update(list_import).where(list_import.c.id == import_id).values(**values))


def count(connection: Connection, import_id: str, **more: int) -> None:
    """Add to an import's counters."""
    raised = {name: list_import.c[name] + number for name, number in more.items() if number}
    if raised:
        connection.execute(update(list_import).where(list_import.c.id == import_id).values(raised))


def confirm(connection: Connection, import_id: str, entry_ids: Iterable[int], up_to: int) -> None:
    """Note that a list named again what these entries say; only entries older than the list count."""
    values = [{"entry_id": number, "import_id": import_id} for number in set(entry_ids) if number <= up_to]
    if values:
        connection.execute(insert_new(connection, import_confirmation), values)


def unconfirmed(connection: Connection, found: Import, after: int, limit: int) -> tuple[list[Entry], int]:
    """Return the next entries an import made, those a later list confirmed left out, and how far was looked."""
    theirs = ledger_entry.c.act_id == found.id
    if found.are_consents:  # each row is an act of its own
        theirs = ledger_entry.c.act_id.startswith(f"{found.id}.", autoescape=True)
    mine = (ledger_entry.c.id > after) & (ledger_entry.c.id <= found.last_entry) & theirs
    query = select(ledger_entry.c.id).where(mine, ledger_entry.c.act != str(Act.LIFT)).order_by(ledger_entry.c.id)
    numbers = list(connection.execute(query.limit(limit)).scalars())
    kept = set(_confirmed(connection, numbers))
    entries = ledger.entries_numbered(connection, [number for number in numbers if number not in kept])
    return entries, numbers[-1] if numbers else found.last_entry


def _confirmed(connection: Connection, numbers: Sequence[int]) -> Iterable[int]:
    for start in range(0, len(numbers), CHUNK):
        chunk = numbers[start : start + CHUNK]
        query = select(import_confirmation.c.entry_id).where(import_confirmation.c.entry_id.in_(chunk))
        yield from connection.execute(query).scalars()


def log_export(connection: Connection, values: dict[str, Any]) -> int:
    """Note an export: who took what, for whom and why (rules.md C-5). Return its number."""
    number: int = connection.execute(insert(export_log).returning(export_log.c.id), values).scalar_one()
    return number


@dataclass(frozen=True, slots=True)
class ExportRow:
    """One export on record."""

    id: int
    actor: str
    recipient: str
    purpose: str
    options: dict[str, Any]
    number: int
    unnamed: int
    checksum: str
    position: int
    at: datetime


def exports_page(
    connection: Connection, limit: int, *, before: int | None = None, after: int | None = None
) -> list[ExportRow]:
    """Return exports newest first: older than ``before``, or the next newer than ``after``."""
    query = select(export_log).limit(limit)
    if after is not None:
        newer = query.where(export_log.c.id > after).order_by(export_log.c.id)
        return [ExportRow(**row._mapping) for row in connection.execute(newer)][::-1]
    if before is not None:
        query = query.where(export_log.c.id < before)
    return [ExportRow(**row._mapping) for row in connection.execute(query.order_by(export_log.c.id.desc()))]


def exports(connection: Connection) -> list[dict[str, Any]]:
    """Return every export on record, newest first."""
    return [dict(row._mapping) for row in connection.execute(select(export_log).order_by(export_log.c.id.desc()))]


def _import(row: Row[Any]) -> Import:
    return Import(**row._mapping)

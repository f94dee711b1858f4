"""Privacy requests: what somebody asked the privacy office for, sealed, with its clocks in the open.

``request_note`` is the log of a request, ``request_notice`` what a provider is told about it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, insert, select, update

from prefs.storage.people import insert_new
from prefs.storage.tables import privacy_request, request_note, request_notice

OPEN = ("received", "working", "in_force")
CLOSED = ("answered", "withdrawn")
_DATES = ("due_on", "first_due_on", "act_by")


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRow:
    """A request as stored.

    ``status`` is ``received``, ``working``, ``in_force`` (a restriction that was answered and
    holds on), ``answered`` or ``withdrawn``. ``subject`` is an address or a contact, None once
    erased. ``first_due_on`` is set once more time was taken. ``act_by`` is when a revocation must
    be honoured, ``acted_at`` when what was asked for took effect. ``link_pressed_at`` is when the
    button behind the link we mailed was pressed, ``verified_at`` when staff recorded proof.
    """

    id: int
    kind: str
    status: str
    subject: int | None
    sealed: bytes | None
    language: str
    received_by: str
    received_at: datetime
    due_on: date
    verified_at: datetime | None
    closed_at: datetime | None
    first_due_on: date | None
    act_by: date | None
    owner: str | None
    checking_at: datetime | None
    verified_by: str | None
    paused_at: datetime | None
    acted_at: datetime | None
    answered_at: datetime | None
    link_pressed_at: datetime | None

    @property
    def reference(self) -> str:
        """What people read out, like ``PR-0442``."""
        return f"PR-{self.id:04}"

    @property
    def is_open(self) -> bool:
        """True until it was closed, by an answer or by the person."""
        return self.status in OPEN


@dataclass(frozen=True, slots=True)
class NoteRow:
    """One line of a request's log; ``kind`` says what happened, ``sealed`` holds words where there are any."""

    id: int
    kind: str
    actor: str | None
    sealed: bytes | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeRow:
    """What a provider is to be told: ``status`` is ``queued``, ``again`` (told once), ``done`` or ``failed``."""

    id: int
    request: int
    provider: str
    what: str
    status: str
    sealed: bytes | None
    attempts: int
    problem: str | None
    provider_ref: str | None
    created_at: datetime
    done_at: datetime | None


@dataclass(frozen=True, slots=True)
class Answered:
    """How a closed request went: when it came, when it was answered, and by when it had to be."""

    received_at: datetime
    answered_at: datetime
    due_on: date


def add(connection: Connection, values: dict[str, Any]) -> int:
    """Store a request and return its number; the same ``request_key`` again returns the first one's."""
    statement = insert_new(connection, privacy_request).returning(privacy_request.c.id)
    number: int | None = connection.execute(statement, _stored(values)).scalar_one_or_none()
    if number is None:
        mine = privacy_request.c.request_key == values["request_key"]
        number = connection.execute(select(privacy_request.c.id).where(mine)).scalar_one()
    return number


def keyed(connection: Connection, request_key: str) -> int | None:
    """Return the number of the request that was taken down under a key, or None."""
    query = select(privacy_request.c.id).where(privacy_request.c.request_key == request_key)
    return connection.execute(query).scalar_one_or_none()


def read(connection: Connection, number: int, *, lock: bool = False) -> RequestRow | None:
    """Return a request, or None."""
    query = select(privacy_request).where(privacy_request.c.id == number)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    return _request(row) if row else None


def change(connection: Connection, number: int, **values: Any) -> None:
    """Change the status and times of a request."""
    connection.execute(update(privacy_request).where(privacy_request.c.id == number).values(_stored(values)))


def open_restriction(connection: Connection, subjects: Iterable[int]) -> RequestRow | None:
    """Return the oldest open request to restrict the use of these subjects' data, or None."""
    found = [row for row in of_subjects(connection, subjects) if row.kind == "restriction" and row.is_open]
    return found[0] if found else None


def of_subjects(connection: Connection, subjects: Iterable[int]) -> list[RequestRow]:
    """Return every request of these subjects, oldest first."""
    query = select(privacy_request).where(privacy_request.c.subject.in_(list(subjects))).order_by(privacy_request.c.id)
    return [_request(row) for row in connection.execute(query)]


def listed(connection: Connection, tab: str, owner: str, *, limit: int, offset: int = 0) -> list[RequestRow]:
    """Return one tab of the console's list: nearest deadline first, answered ones newest first."""
    order = (
        (privacy_request.c.closed_at.desc(), privacy_request.c.id.desc())
        if tab == "answered"
        else (privacy_request.c.answered_at.is_not(None), privacy_request.c.due_on, privacy_request.c.id)
    )
    query = select(privacy_request).where(_in_tab(tab, owner)).order_by(*order).limit(limit).offset(offset)
    return [_request(row) for row in connection.execute(query)]


def counted(connection: Connection, tab: str, owner: str) -> int:
    """Return how many requests a tab has."""
    query = select(func.count()).select_from(privacy_request).where(_in_tab(tab, owner))
    number: int = connection.execute(query).scalar_one()
    return number


def pressing(connection: Connection, today: date) -> list[RequestRow]:
    """Return the requests that are due today or overdue, nearest deadline first."""
    waiting = privacy_request.c.status.in_(("received", "working")) & (privacy_request.c.due_on <= today.isoformat())
    query = select(privacy_request).where(waiting).order_by(privacy_request.c.due_on, privacy_request.c.id)
    return [_request(row) for row in connection.execute(query)]


def answered_since(connection: Connection, moment: datetime) -> list[Answered]:
    """Return how the requests went that were answered after a moment."""
    table = privacy_request
    query = select(table.c.received_at, table.c.answered_at, table.c.due_on).where(table.c.answered_at >= moment)
    return [Answered(r.received_at, r.answered_at, date.fromisoformat(r.due_on)) for r in connection.execute(query)]


def blank(connection: Connection, numbers: Sequence[int]) -> None:
    """Take out of requests and of their logs what names the person; who did what and when stays."""
    mine = privacy_request.c.id.in_(numbers)
    connection.execute(update(privacy_request).where(mine).values(subject=None, sealed=None, request_key=None))
    connection.execute(update(request_note).where(request_note.c.request.in_(numbers)).values(sealed=None))


def blank_closed(connection: Connection, before: datetime) -> int:
    """Blank what was closed before a moment, and return how many requests that was."""
    old = (privacy_request.c.closed_at < before) & privacy_request.c.sealed.is_not(None)
    numbers = list(connection.execute(select(privacy_request.c.id).where(old)).scalars())
    blank(connection, numbers)
    return len(numbers)


def add_note(
    connection: Connection, number: int, kind: str, *, actor: str | None, sealed: bytes | None, now: datetime
) -> int:
    """Add a line to a request's log and return its number."""
    values = {"request": number, "kind": kind, "actor": actor, "sealed": sealed, "created_at": now}
    note: int = connection.execute(insert(request_note).returning(request_note.c.id), values).scalar_one()
    return note


def notes(connection: Connection, number: int) -> list[NoteRow]:
    """Return a request's log, oldest first."""
    query = select(request_note).where(request_note.c.request == number).order_by(request_note.c.id)
    return [NoteRow(row.id, row.kind, row.actor, row.sealed, row.created_at) for row in connection.execute(query)]


def add_notice(connection: Connection, values: dict[str, Any]) -> int:
    """Store what a provider is to be told and return its number."""
    number: int = connection.execute(insert(request_notice).returning(request_notice.c.id), values).scalar_one()
    return number


def notice(connection: Connection, number: int) -> NoticeRow | None:
    """Return one notice, or None."""
    row = connection.execute(select(request_notice).where(request_notice.c.id == number)).one_or_none()
    return NoticeRow(**row._mapping) if row else None


def change_notice(connection: Connection, number: int, **values: Any) -> None:
    """Change what became of a notice."""
    connection.execute(update(request_notice).where(request_notice.c.id == number).values(values))


def notices(connection: Connection, numbers: Iterable[int]) -> list[NoticeRow]:
    """Return what providers were told about these requests, oldest first."""
    query = select(request_notice).where(request_notice.c.request.in_(list(numbers))).order_by(request_notice.c.id)
    return [NoticeRow(**row._mapping) for row in connection.execute(query)]


def waiting_notices(connection: Connection, provider: str) -> tuple[int, datetime | None]:
    """Return how many notices a provider was not told once, and since when the oldest of them waits."""
    mine = (request_notice.c.status == "queued") & (request_notice.c.provider == provider)
    number, oldest = connection.execute(select(func.count(), func.min(request_notice.c.created_at)).where(mine)).one()
    return int(number), oldest


def _in_tab(tab: str, owner: str) -> ColumnElement[bool]:
    if tab == "answered":
        return privacy_request.c.status.in_(CLOSED)
    tabs = {"mine": privacy_request.c.owner == owner, "nobody": privacy_request.c.owner.is_(None)}
    still_open = privacy_request.c.status.in_(OPEN)
    return still_open & tabs[tab] if tab in tabs else still_open


def _stored(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if name in _DATES and value else value for name, value in values.items()}


def _request(row: Row[Any]) -> RequestRow:
    values = {name: value for name, value in row._mapping.items() if name != "request_key"}
    dates = {name: date.fromisoformat(values[name]) if values[name] else None for name in _DATES}
    return RequestRow(**{**values, **dates})

"""Exports of the console: made by the worker, fetched by whoever asked, gone after a day (ux.md A5; rules.md C-5).

Every one is on record twice: that it was asked for, in the audit log, before it is made; what it
held, for whom and why, in the log of exports.
"""

import json
import re
import secrets
import shutil
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from prefs.domain.terms import Channel, Reason
from prefs.errors import InvalidInput, NotFound
from prefs.services import audit
from prefs.services.exports import Exported, ExportRequest, Exports
from prefs.services.kit import Kit
from prefs.storage import imports, jobs
from prefs.storage.imports import ExportRow

JOB = "export"
KEPT_FOR = timedelta(hours=24)
WAITING, READY, FAILED, GONE = "waiting", "ready", "failed", "gone"
MASKED, FULL = "masked", "full"
_NUMBER = re.compile(r"ex_[0-9a-f]{24}")
_FILE, _ORDER = "list.csv", "order.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is taken. ``form`` is ``masked``, ``full`` or the name of a hash."""

    form: str
    recipient: str
    purpose: str
    columns: tuple[str, ...]
    channel: str | None = None
    reason: str | None = None
    scope: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordered:
    """An export that was asked for; ``path`` is its file while it is kept, ``until`` when that ends."""

    id: str
    actor: str
    asked_at: datetime
    wanted: Wanted
    status: str = WAITING
    error: str | None = None
    rows: int = 0
    unnamed: int = 0
    sha256: str = ""
    until: datetime | None = None
    path: Path | None = None


@dataclass(frozen=True, slots=True)
class ExportDesk:
    """The use cases of "Export" in the console."""

    kit: Kit
    exports: Exports
    folder: Path

    def ask(self, wanted: Wanted, actor: str) -> str:
        """Queue an export and return its number.

        Raises:
            InvalidInput: Nobody is named who gets it, or no purpose, or a filter cannot be.
            StoreUnavailable: Nothing was queued, and nothing is made.
        """
        if not wanted.recipient.strip():
            raise InvalidInput("Say who gets the file.", field="recipient", code="missing")
        if not wanted.purpose.strip():
            raise InvalidInput("Say what it is for.", field="purpose", code="missing")
        if wanted.scope is not None:
            self.kit.catalogue.scope_number(wanted.scope)
        number, now = f"ex_{secrets.token_hex(12)}", self.kit.now()
        (self.folder / number).mkdir(parents=True, mode=0o700)
        try:
            self._save(Ordered(id=number, actor=actor, asked_at=now, wanted=wanted))
            with self.kit.store.write() as connection:
                jobs.add(connection, JOB, {"id": number}, key=f"{JOB}:{number}", now=now)
                said = {"form": wanted.form, "recipient": wanted.recipient, "purpose": wanted.purpose}
                audit.note(connection, now, actor, "exported", number, **said)
        except BaseException:
            shutil.rmtree(self.folder / number, ignore_errors=True)
            raise
        return number

    def view(self, number: str, actor: str) -> Ordered:
        """Return an export one asked for. Raises ``NotFound``, also where somebody else did."""
        place = self.folder / number / _ORDER
        if not _NUMBER.fullmatch(number) or not place.exists():
            raise NotFound("There is no such export. A file is kept for 24 hours.")
        found = self._read(number)
        if found.actor != actor:
            raise NotFound("There is no such export of yours. Whoever asked for a file fetches it.")
        return found

    def work(self, payload: dict[str, Any]) -> None:
        """Make the file: the worker's job. A file that was made is not made again."""
        number = payload["id"]
        if not (self.folder / number / _ORDER).exists():
            return
        found = self._read(number)
        if found.status != WAITING:
            return
        try:
            done = self.exports.run(_request(found, self.folder / number / _FILE))
        except InvalidInput as error:
            self._save(replace(found, status=FAILED, error=str(error)))
            return
        self._save(_ready(found, done, self.kit.now() + KEPT_FOR))

    def forget(self) -> int:
        """Delete what is older than a day (reliability.md item 43), and return how many that was."""
        gone = 0
        for place in sorted(self.folder.glob("ex_*")) if self.folder.is_dir() else ():
            found = self._read(place.name) if (place / _ORDER).exists() else None
            if found is None or (found.until or found.asked_at + KEPT_FOR) <= self.kit.now():
                shutil.rmtree(place, ignore_errors=True)
                gone += 1
        return gone

    def page(self, limit: int, *, before: int | None = None, after: int | None = None) -> list[ExportRow]:
        """Return the log of exports, newest first: the console's, and those of the command line."""
        with self.kit.store.read() as connection:
            return imports.exports_page(connection, limit, before=before, after=after)

    def _read(self, number: str) -> Ordered:
        said = json.loads((self.folder / number / _ORDER).read_text())
        wanted = said.pop("wanted")
        until = datetime.fromisoformat(said["until"]) if said["until"] else None
        path = self.folder / number / _FILE
        over = until is not None and until <= self.kit.now()
        return Ordered(
            **{
                **said,
                "asked_at": datetime.fromisoformat(said["asked_at"]),
                "wanted": Wanted(**{**wanted, "columns": tuple(wanted["columns"])}),
                "until": until,
                "status": GONE if over else said["status"],
                "path": path if said["status"] == READY and not over else None,
            }
        )

    def _save(self, found: Ordered) -> None:
        said = asdict(found)
        times = {name: said[name].isoformat() if said[name] else None for name in ("asked_at", "until")}
        place = self.folder / found.id
        fresh = place / f"{_ORDER}.{secrets.token_hex(4)}"
        fresh.write_text(json.dumps({**said, **times, "path": None}))
        fresh.replace(place / _ORDER)


def _request(found: Ordered, path: Path) -> ExportRequest:
    wanted = found.wanted
    return ExportRequest(
        path=path,
        actor=found.actor,
        recipient=wanted.recipient,
        purpose=wanted.purpose,
        channel=Channel(wanted.channel) if wanted.channel else None,
        reasons=(Reason(wanted.reason),) if wanted.reason else (),
        scope=wanted.scope,
        hashed=wanted.form if wanted.form not in {MASKED, FULL} else None,
        masked=wanted.form == MASKED,
        columns=wanted.columns,
    )


def _ready(found: Ordered, done: Exported, until: datetime) -> Ordered:
    return replace(found, status=READY, rows=done.rows, unnamed=done.unnamed, sha256=done.sha256, until=until)

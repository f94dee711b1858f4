"""Scrubs over the API: the file is uploaded, the worker scrubs it, the parts are fetched within a day.

A scrub runs in a thread of its own, one at a time in a process, so that messages and
confirmations do not wait behind ten million rows. Its lease is renewed while it runs; where the
worker died, the next look goes on from what was read.
"""

import json
import logging
import secrets
import shutil
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from prefs.domain.terms import Channel, MessageClass
from prefs.errors import Conflict, InvalidInput, NotFound, StoreUnavailable
from prefs.services import audience as audiences
from prefs.services.decisions import Asked
from prefs.services.engine import opened
from prefs.services.kit import Kit
from prefs.services.scrub import Order, Report, Scrub, write_whole
from prefs.storage import jobs, scrubs
from prefs.storage.scrubs import ScrubRow

log = logging.getLogger(__name__)

JOB, FORGET_JOB = "scrub", "forget_scrubs"
KEPT_FOR = timedelta(hours=24)
_COUNTS_KEPT_FOR = timedelta(days=30)
_LOOK_AGAIN = timedelta(seconds=120)
_BUSY_WAIT = timedelta(seconds=15)
_RENEW_SECONDS = 20.0
_NOTE_SECONDS = 2.0
_LONGEST_ERROR = 300
_PARQUET = b"PAR1"

PARTS = ("kept", "blocked", "rejected", "certificate")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScrubRequest:
    """A scrub as a caller asks for it; ``path`` is the uploaded file, which is taken away."""

    path: Path
    caller: str
    asked: Asked
    columns: tuple[str, ...] = ()
    hashed: str | None = None


@dataclass
class _Progress:
    """Notes in a file how far a scrub is, at each step's beginning and every two seconds; nothing waits for it."""

    path: Path
    _step: str = ""
    _noted: float = 0.0

    def told(self, step: str, fraction: float, rows: int) -> None:
        now = time.monotonic()
        if step == self._step and now - self._noted < _NOTE_SECONDS:
            return
        self._step, self._noted = step, now
        with suppress(OSError):
            write_whole(self.path, {"step": step, "rows_done": int(rows * fraction), "rows": rows})


@dataclass
class ScrubJobs:
    """The use cases of ``/v1/scrubs``. ``folder`` holds a folder a scrub, deleted after a day."""

    kit: Kit
    scrub: Scrub
    folder: Path
    uploads: Path
    _running: threading.Thread | None = None
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def accept(self, request: ScrubRequest) -> ScrubRow:
        """Take a file, queue its scrub, and return it.

        Raises:
            InvalidInput: The file or an option cannot be; ``field`` says which.
            UnknownTopic: A topic, brand or sender the catalogue does not have.
            StoreUnavailable: Nothing was queued.
        """
        self.scrub.decisions.question(request.asked)
        number, now = f"scr_{secrets.token_hex(12)}", self.kit.now()
        place = self.folder / number
        place.mkdir(parents=True, mode=0o700)
        try:
            taken = place / f"audience{_ending(request.path)}"
            request.path.rename(taken)
            with opened(place / "look.duckdb") as engine:
                audiences.look_at(engine, taken, request.asked.channel, request.columns, request.hashed)
            with self.kit.store.write() as connection:
                scrubs.add(connection, number, request.caller, _noted(request, taken.name), now)
                jobs.add(connection, JOB, {"scrub": number}, key=f"{JOB}:{number}", now=now)
                found = scrubs.find(connection, number)
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            raise
        assert found is not None  # added three lines above
        return found

    def view(self, number: str, caller: str | None) -> ScrubRow:
        """Return a scrub of this caller; ``None`` sees all. Raises ``NotFound``."""
        with self.kit.store.read() as connection:
            found = scrubs.find(connection, number)
        if found is None or caller not in (None, found.caller):
            raise NotFound("There is no such scrub.")
        return found

    def parts(self, found: ScrubRow) -> Mapping[str, Path]:
        """Return the files that can be fetched now, by part."""
        if found.status != "done":
            return {}
        order = self._order(found)
        paths = (order.kept, order.blocked, order.rejects, order.statement)
        return {part: path for part, path in zip(PARTS, paths, strict=True) if path and path.is_file()}

    def progress(self, found: ScrubRow) -> dict[str, Any] | None:
        """Return the step a running scrub is at, of how many rows it has done how many; None where nobody can say."""
        if found.status != "running":
            return None
        try:
            noted: dict[str, Any] = json.loads(self._progress(found).read_text())
        except (OSError, ValueError):
            return None
        return noted

    def work(self, payload: dict[str, Any]) -> None:
        """Begin a scrub, or go on with one whose worker died; looked at again until it is over."""
        number = payload["scrub"]
        mine = self._turn.acquire(blocking=False)
        try:
            with self.kit.store.write() as connection:
                found = scrubs.find(connection, number)
                over = found is None or found.status not in {"queued", "running"}
                wait = _LOOK_AGAIN if mine else _BUSY_WAIT
                if not over:
                    key, now = f"{JOB}:{number}:{secrets.token_hex(4)}", self.kit.now()
                    jobs.add(connection, JOB, payload, key=key, now=now, due_at=now + wait)
                claimed = mine and not over and scrubs.claim(connection, number, self.kit.now())
        except BaseException:
            if mine:
                self._turn.release()
            raise
        if claimed and found is not None:
            self._running = threading.Thread(target=self._run, args=(found,), daemon=True, name=number)
            self._running.start()
        elif mine:
            self._turn.release()

    def wait(self) -> None:
        """Wait for the scrub that runs in this process."""
        if self._running is not None:
            self._running.join()

    def forget(self) -> int:
        """Delete the files of scrubs over a day old, uploads left lying, and after a month the counts too.

        Returns how many scrubs lost their files.
        """
        with self.kit.store.write() as connection:
            numbers = list(scrubs.expire(connection, self.kit.now() - KEPT_FOR))
            scrubs.forget(connection, self.kit.now() - _COUNTS_KEPT_FOR)
        for number in numbers:
            shutil.rmtree(self.folder / number, ignore_errors=True)
        for left in self.uploads.glob("incoming-*"):
            if datetime.fromtimestamp(left.stat().st_mtime, UTC) < datetime.now(UTC) - KEPT_FOR:
                left.unlink(missing_ok=True)
        return len(numbers)

    def _run(self, found: ScrubRow) -> None:
        over = threading.Event()
        renewing = threading.Thread(target=self._renew, args=(found.id, over), daemon=True)
        renewing.start()
        try:
            status, what = self._outcome(found)
            self._settle(found, status, **what)
        except (StoreUnavailable, Conflict):
            log.warning("scrub_waits", extra={"scrub": found.id})  # its lease lapses, and the next look goes on
        finally:
            over.set()
            renewing.join()
            self._turn.release()

    def _outcome(self, found: ScrubRow) -> tuple[str, dict[str, Any]]:
        """Scrub, and return the status and what comes with it.

        Raises:
            StoreUnavailable: The store cannot be asked; the file is not yet a day old, so another look may help.
            Conflict: Another worker, whose lease lapsed, is at it still.
        """
        try:
            report = self.scrub.run(self._order(found), _Progress(self._progress(found)).told)
        except StoreUnavailable:
            if self.kit.now() < found.created_at + KEPT_FOR:
                raise
            return "failed", {"error": "The database could not be asked for a day. Send the file again."}
        except Conflict:
            raise
        except InvalidInput as error:
            return "failed", {"error": str(error)[:_LONGEST_ERROR]}
        except Exception:
            # Whatever one file does, the worker lives; the file's words stay out of the log.
            log.exception("scrub_failed", extra={"scrub": found.id})
            return "failed", {"error": "Something went wrong on our side."}
        return "done", {"result": _counted(report)}

    def _settle(self, found: ScrubRow, status: str, **what: Any) -> None:
        with self.kit.store.write() as connection:
            scrubs.settle(connection, found.id, status, **what)
        log.info("scrub_over", extra={"scrub": found.id, "status": status})

    def _renew(self, number: str, over: threading.Event) -> None:
        while not over.wait(_RENEW_SECONDS):
            try:
                with self.kit.store.write() as connection:
                    scrubs.renew(connection, number, self.kit.now())
            except StoreUnavailable:
                log.warning("scrub_lease_not_renewed", extra={"scrub": number})

    def _progress(self, found: ScrubRow) -> Path:
        return self.folder / found.id / "progress.json"

    def _order(self, found: ScrubRow) -> Order:
        noted, place = found.asked, self.folder / found.id
        ending = Path(noted["file"]).suffix
        message_class, at = noted["message_class"], noted["at"]
        moment = datetime.fromisoformat(at).astimezone(UTC) if at else None
        return Order(
            audience=place / noted["file"],
            asked=Asked(
                channel=Channel(noted["channel"]),
                topic=noted["topic"],
                message_class=MessageClass(message_class) if message_class else None,
                brand=noted["brand"],
                sender=noted["sender"],
                country=noted["country"],
                # A campaign that was to start while its scrub waited is judged as of now.
                at=max(moment, self.kit.now()) if moment else None,
            ),
            kept=place / f"kept{ending}",
            blocked=place / f"blocked{ending}",
            rejected=place / "rejected.csv",
            certificate=place / "certificate.json",
            columns=tuple(noted["columns"]),
            hashed=noted["hashed"],
        )


def _ending(path: Path) -> str:
    with path.open("rb") as file:
        return ".parquet" if file.read(len(_PARQUET)) == _PARQUET else ".csv"


def _noted(request: ScrubRequest, file: str) -> dict[str, Any]:
    asked = request.asked
    return {
        "file": file,
        "channel": str(asked.channel),
        "topic": asked.topic,
        "message_class": str(asked.message_class) if asked.message_class else None,
        "brand": asked.brand,
        "sender": asked.sender,
        "country": asked.country,
        "at": asked.at.isoformat() if asked.at else None,
        "columns": list(request.columns),
        "hashed": request.hashed,
    }


def _counted(report: Report) -> dict[str, Any]:
    return {
        "counts": {"rows": report.rows, "kept": report.kept, "blocked": report.blocked, "rejected": report.rejected},
        "reasons": dict(report.reasons),
        "ledger_position": report.position,
        "policy_version": report.policy_version,
        "key_only": report.key_only,
        "columns": list(report.columns),
    }

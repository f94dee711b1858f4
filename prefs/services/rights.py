"""What people ask the privacy office for on the web: taken down, dated, and followed (ux.md P9).

An objection and a restriction act at once, without a check of who asks; the rest waits for it
(rules.md G-2, G-4). The console of the privacy office works on the same rows.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import Connection

from prefs.domain.deadlines import answer_by, honour_by
from prefs.domain.terms import Source
from prefs.errors import InvalidInput, InvalidLink
from prefs.links import LinkTarget, Purpose
from prefs.services import casework
from prefs.services.access import AccessFiles, CopyFormat
from prefs.services.casework import ACTS_AT_ONCE, COPIES, LONGEST, Did, Right, act_id
from prefs.services.errands import Errands
from prefs.services.kit import Doing, Kit, keep_proof, stop
from prefs.services.linking import Linking
from prefs.services.stop_page import StopPage, TooManyLinks
from prefs.services.stopping import NOTHING_SEEN, Seen, contacts_of
from prefs.storage import ledger, limits, people, requests
from prefs.storage.people import KnownAddress, Wanted
from prefs.storage.requests import RequestRow

_MOST, _WITHIN = 10, timedelta(hours=1)
COPY_GOOD_FOR = timedelta(days=14)
"""How long the copy of somebody's data can be fetched once we answered."""


@dataclass(frozen=True, slots=True)
class RequestView:
    """What the person may see of a request: never what was found, never whether we know them."""

    reference: str
    kind: str
    status: str
    received_on: date
    due_on: date
    verified: bool
    confirmed: bool
    may_confirm: bool
    language: str
    stop_token: str
    answer: str = ""
    has_copy: bool = False
    copy_until: date | None = None
    extended: bool = False


@dataclass(frozen=True, slots=True)
class Rights:
    """The use cases behind ``/rights``."""

    kit: Kit
    errands: Errands
    linking: Linking
    stop_page: StopPage
    files: AccessFiles

    def ask(self, kind: Right, typed: str, about: str, language: str, client: str, *, seen: Seen = NOTHING_SEEN) -> str:
        """Take a request down and return the token of its progress page.

        Raises:
            InvalidAddress: What was typed is neither an email address nor a telephone number.
            InvalidInput: The words are too long.
            TooManyLinks: Many requests from one client; objecting is never refused.
            StoreUnavailable: Nothing was stored.
        """
        address = self.stop_page.read(typed)
        if len(about) > LONGEST:
            raise InvalidInput(f"Use {LONGEST} letters at most.", field="about", code="too_long")
        now = self.kit.now()
        with self.kit.store.write() as connection:
            room = limits.take(connection, f"rights:{client}", most=_MOST, within=_WITHIN, now=now)
            if not room and kind not in ACTS_AT_ONCE:
                raise TooManyLinks("You have sent several requests. Wait an hour, then try again.")
            # Only a key where we did not know the address: asking must not make us know it.
            wanted = Wanted(self.kit.address_keys.candidates(address), address.kind)
            known = people.open_addresses(connection, [wanted], now)[0]
            values = {
                "kind": kind,
                "status": "received",
                "subject": known.subject,
                "sealed": None,
                "language": language,
                "received_by": "web",
                "received_at": now,
                "due_on": answer_by(now.date()),
                "act_by": honour_by(now.date()) if kind is Right.OBJECTION else None,
                "acted_at": now if kind in ACTS_AT_ONCE else None,
            }
            number = requests.add(connection, values)
            sealed = casework.seal_said(self.kit, number, address.original, about)
            requests.change(connection, number, sealed=sealed)
            casework.log(connection, self.kit, number, Did.RECEIVED)
            self._act_at_once(connection, kind, number, known, seen)
            self.errands.report_request(connection, number)
        return self.linking.to_request(known.key, number).rpartition("/")[2]

    def view(self, token: str) -> RequestView:
        """Return the progress of a request. Raises ``InvalidLink``."""
        target, mailed = self._read(token)
        with self.kit.store.read() as connection:
            row = _row(connection, target)
            answer = self._answer(connection, row) if mailed else ""
        until = self._copy_until(row)
        return RequestView(
            reference=row.reference,
            kind=row.kind,
            status=row.status,
            received_on=row.received_at.date(),
            due_on=row.due_on,
            verified=row.verified_at is not None,
            confirmed=row.link_pressed_at is not None,
            may_confirm=mailed and _waits_for_press(row),
            language=row.language,
            stop_token=self.kit.links.make(LinkTarget(Purpose.UNSUBSCRIBE, target.channel, 0, target.address_key)),
            answer=answer,
            has_copy=mailed and until is not None and self.kit.now() < until,
            copy_until=until.date() if mailed and until else None,
            extended=row.first_due_on is not None,
        )

    def copy(self, token: str, form: CopyFormat) -> tuple[bytes, str]:
        """Return the copy of the person's data and its file name, as it is now.

        Only a mailed link of an answered request opens it, for two weeks, and only once it was
        shown that this is the person.

        Raises:
            InvalidLink: Anything else.
        """
        target, mailed = self._read(token)
        with self.kit.store.write() as connection:
            row = _row(connection, target, lock=True)
            until = self._copy_until(row)
            if not mailed or until is None or self.kit.now() >= until:
                raise _dead()
            made = self.files.make(connection, row, form, row.language)
            casework.log(connection, self.kit, row.id, Did.DOWNLOADED)
        return made, f"{row.reference}.{form}"

    def confirm(self, token: str) -> None:
        """Note that whoever reads the address asks: only a mailed link can say so. Raises ``InvalidLink``.

        The request waits on until staff record it as proof (rules.md G-2).
        """
        target, mailed = self._read(token)
        with self.kit.store.write() as connection:
            row = _row(connection, target, lock=True)
            if mailed and _waits_for_press(row):
                requests.change(connection, row.id, link_pressed_at=self.kit.now(), paused_at=None)
                casework.log(connection, self.kit, row.id, Did.LINK_PRESSED)

    def withdraw(self, token: str) -> None:
        """Close a request at the person's wish; a restriction ends with it. Raises ``InvalidLink``."""
        target, _ = self._read(token)
        with self.kit.store.write() as connection:
            row = _row(connection, target, lock=True)
            if row.status not in requests.OPEN:
                return
            requests.change(connection, row.id, status="withdrawn", closed_at=self.kit.now())
            casework.log(connection, self.kit, row.id, Did.WITHDRAWN)
            if row.kind == Right.RESTRICTION and row.subject is not None:
                casework.end_restriction(connection, self.kit, row, Source.RIGHTS_PAGE)

    def _read(self, token: str) -> tuple[LinkTarget, bool]:
        target = self.kit.links.read(token, Purpose.RIGHTS)
        return target, bool(target.number & 1)

    def _act_at_once(self, connection: Connection, kind: Right, number: int, known: KnownAddress, seen: Seen) -> None:
        """An objection stops marketing, a restriction holds it, from receipt (rules.md G-1, G-4).

        Both name no channel, so they reach the whole contact where one is known (contract D4).
        """
        reason = ACTS_AT_ONCE.get(kind)
        if reason is None:
            return
        doing = _doing(self.kit, number, seen)
        book = ledger.open_book(connection, [known], contacts_of(known))
        subject = known.contact if known.contact is not None else known.subject
        ledger.append(connection, book, [stop(doing, book, subject, None, reason=reason)])
        keep_proof(connection, self.kit, doing, [subject])

    def _answer(self, connection: Connection, row: RequestRow) -> str:
        lines = [casework.opened(self.kit, row.id, note) for note in requests.notes(connection, row.id)]
        return next((line.words for line in reversed(lines) if line.did is Did.ANSWERED), "")

    def _copy_until(self, row: RequestRow) -> datetime | None:
        """Return until when the copy may be fetched; None where there is none, or nobody was shown to be the person."""
        granted = row.status == "answered" and row.acted_at is not None
        ready = row.kind in COPIES and granted and row.verified_at is not None
        return row.closed_at + COPY_GOOD_FOR if ready and row.closed_at and row.subject is not None else None


def _doing(kit: Kit, number: int, seen: Seen) -> Doing:
    proof = {**seen.page, "request": f"PR-{number:04}"}
    now: datetime = kit.now()
    return Doing(act_id(number), act_id(number), Source.RIGHTS_PAGE, now, now, None, proof, seen.device or None)


def _waits_for_press(row: RequestRow) -> bool:
    unproved = row.kind in casework.NEEDS_PROOF and row.verified_at is None
    return unproved and row.link_pressed_at is None and row.status in requests.OPEN


def _row(connection: Connection, target: LinkTarget, *, lock: bool = False) -> RequestRow:
    found = requests.read(connection, target.number // 2, lock=lock)
    if found is None:
        raise _dead()
    return found


def _dead() -> InvalidLink:
    return InvalidLink("This link does not work. Part of it may be missing.")

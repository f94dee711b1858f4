"""What people ask the privacy office for on the web: taken down, dated, and followed (ux.md P9).

An objection and a restriction act at once, without a check of who asks; the rest waits for it
(rules.md G-2, G-4). The console of the privacy office works on the same rows.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from sqlalchemy import Connection

from prefs.domain.deadlines import answer_by
from prefs.domain.terms import Reason, Source
from prefs.errors import InvalidInput, InvalidLink
from prefs.links import LinkTarget, Purpose
from prefs.services.errands import Errands
from prefs.services.kit import Doing, Kit, act, keep_proof, lift, stop
from prefs.services.linking import Linking
from prefs.services.stop_page import StopPage, TooManyLinks
from prefs.services.stopping import NOTHING_SEEN, Seen
from prefs.storage import ledger, limits, people, requests
from prefs.storage.people import KnownAddress, Wanted
from prefs.storage.requests import RequestRow

LONGEST = 4000
_MOST, _WITHIN = 10, timedelta(hours=1)


class Right(StrEnum):
    """What can be asked for (contract section 6, ``/v1/privacy-requests``)."""

    ACCESS = "access"
    RECTIFICATION = "rectification"
    ERASURE = "erasure"
    RESTRICTION = "restriction"
    OBJECTION = "objection"
    PORTABILITY = "portability"


# What counts from receipt, whoever asks; the reason it is recorded under.
ACTS_AT_ONCE = {Right.OBJECTION: Reason.OBJECTION, Right.RESTRICTION: Reason.RESTRICTED}


@dataclass(frozen=True, slots=True)
class RequestView:
    """What the person may see of a request: never what was found, never whether we know them."""

    reference: str
    kind: str
    status: str
    received_on: date
    due_on: date
    verified: bool
    may_verify: bool
    language: str
    stop_token: str


@dataclass(frozen=True, slots=True)
class Rights:
    """The use cases behind ``/rights``."""

    kit: Kit
    errands: Errands
    linking: Linking
    stop_page: StopPage

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
            }
            number = requests.add(connection, values, answer_by(now.date()))
            said = {"address": address.original, "about": about}
            requests.change(connection, number, sealed=self.kit.vault.seal_json(said, context=_context(number)))
            self._act_at_once(connection, kind, number, known, seen)
            self.errands.report_request(connection, number)
        return self.linking.to_request(known.key, number).rpartition("/")[2]

    def view(self, token: str) -> RequestView:
        """Return the progress of a request. Raises ``InvalidLink``."""
        target, mailed = self._read(token)
        with self.kit.store.read() as connection:
            row = _row(connection, target)
        return RequestView(
            reference=row.reference,
            kind=row.kind,
            status=row.status,
            received_on=row.received_at.date(),
            due_on=row.due_on,
            verified=row.verified_at is not None,
            may_verify=mailed and row.verified_at is None and row.status in requests.OPEN,
            language=row.language,
            stop_token=self.kit.links.make(LinkTarget(Purpose.UNSUBSCRIBE, target.channel, 0, target.address_key)),
        )

    def verify(self, token: str) -> None:
        """Note that the request came from the address: only a mailed link can say so. Raises ``InvalidLink``."""
        target, mailed = self._read(token)
        with self.kit.store.write() as connection:
            row = _row(connection, target, lock=True)
            if mailed and row.verified_at is None and row.status in requests.OPEN:
                requests.change(connection, row.id, verified_at=self.kit.now())

    def withdraw(self, token: str) -> None:
        """Close a request at the person's wish; a restriction ends with it. Raises ``InvalidLink``."""
        target, _ = self._read(token)
        with self.kit.store.write() as connection:
            row = _row(connection, target, lock=True)
            if row.status not in requests.OPEN:
                return
            requests.change(connection, row.id, status="withdrawn", closed_at=self.kit.now())
            if row.kind == Right.RESTRICTION and row.subject is not None:
                self._end_restriction(connection, row)

    def _read(self, token: str) -> tuple[LinkTarget, bool]:
        target = self.kit.links.read(token, Purpose.RIGHTS)
        return target, bool(target.number & 1)

    def _act_at_once(self, connection: Connection, kind: Right, number: int, known: KnownAddress, seen: Seen) -> None:
        """An objection stops marketing, a restriction holds it, from receipt (rules.md G-1, G-4)."""
        reason = ACTS_AT_ONCE.get(kind)
        if reason is None:
            return
        doing = _doing(self.kit, number, seen)
        book = ledger.open_book(connection, [known])
        ledger.append(connection, book, [stop(doing, book, known.subject, None, reason=reason)])
        keep_proof(connection, self.kit, doing, [known.subject])

    def _end_restriction(self, connection: Connection, row: RequestRow) -> None:
        known = people.locate(connection, row.subject or 0)
        if known is None:
            return
        book = ledger.open_book(connection, [known])
        doing = act(Source.RIGHTS_PAGE, self.kit.now(), key=f"withdrawn:{row.id}")
        name = next((e.act_id for e in book.of(known) if e.act_id == _act_id(row.id)), None)
        if name is not None:
            ledger.append(connection, book, [lift(doing, book, known.subject, f"act:{name}")])


def _act_id(number: int) -> str:
    return f"request_{number}"


def _doing(kit: Kit, number: int, seen: Seen) -> Doing:
    proof = {**seen.page, "request": f"PR-{number:04}"}
    now: datetime = kit.now()
    return Doing(_act_id(number), _act_id(number), Source.RIGHTS_PAGE, now, now, None, proof, seen.device or None)


def _context(number: int) -> bytes:
    return f"request:{number}".encode()


def _row(connection: Connection, target: LinkTarget, *, lock: bool = False) -> RequestRow:
    found = requests.read(connection, target.number // 2, lock=lock)
    if found is None:
        raise InvalidLink("This link does not work. Part of it may be missing.")
    return found

"""Erasure (contract D3, rules.md G-3): everything about a person goes, but for what keeps us from writing again.

What stays is a new subject under the same keyed hashes with ``erased`` on every channel, and the
stops that reach further than that. Older ledger entries stay and lead to nobody.
"""

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from prefs.domain.address import parse_address
from prefs.domain.ledger import Entry
from prefs.domain.reasons import REASONS
from prefs.domain.terms import CHANNELS_OF_KIND, Act, AddressKind, Channel, Reason, Source
from prefs.errors import Conflict, InvalidAddress
from prefs.services import casework
from prefs.services.approvals import Approvals
from prefs.services.casework import Did, Person, Right
from prefs.services.errands import Errands
from prefs.services.kit import Kit, act, sale_opt_out, stop
from prefs.services.telling import ERASE, Telling
from prefs.storage import jobs, ledger, people, personal, requests
from prefs.storage.ledger import Book
from prefs.storage.people import KnownAddress
from prefs.storage.personal import HELD, Fate, SealedRow
from prefs.storage.requests import RequestRow
from prefs.storage.staff import StaffUser

APPROVAL = "erasure"
"""The kind of question a second person says yes to (``approvals.KINDS``)."""

# ``erased`` blocks marketing only. These block more, or must be kept by law: a company do-not-call
# request for five years (47 CFR 64.1200(d)(6), rules.md G-11), a revocation and a do-not-contact
# because they hold service messages too.
CARRIED = frozenset({Reason.DO_NOT_CALL, Reason.DO_NOT_CONTACT, Reason.REVOKED_IN_REPLY})


@dataclass(frozen=True, slots=True)
class ErasurePreview:
    """What an erasure deletes and what stays, counted; ``in_the_way`` are other open requests of the person."""

    goes: dict[str, int]
    stays: dict[str, int]
    providers: tuple[str, ...]
    written_to: bool
    in_the_way: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Erasures:
    """The use cases around deleting a person: preview, a second person's approval, carrying it out."""

    kit: Kit
    errands: Errands
    telling: Telling
    approvals: Approvals

    def preview(self, number: int) -> ErasurePreview:
        """Count what would go and what would stay. Changes nothing. Raises ``NotFound``."""
        with self.kit.store.read() as connection:
            row = casework.read_row(connection, number)
            person = casework.person_behind(connection, row)
            held = personal.count(connection, person.subjects)
            book = ledger.open_book(connection, person.addresses)
            carried = sum(len(_carried(book, one)) for one in person.addresses)
            others = self._others(connection, row, person)
            return ErasurePreview(
                goes={name: held[name] for name, one in HELD.items() if one.fate in {Fate.DELETED, Fate.EMPTIED}}
                | {"addresses": held["addresses"]},
                stays={
                    "entries": held["entries"],
                    "fingerprints": len(person.addresses),
                    "stops": sum(len(CHANNELS_OF_KIND[one.kind]) for one in person.addresses) + carried,
                },
                providers=tuple(self.telling.providers),
                written_to=self.errands.addressee(row, person) is not None,
                in_the_way=tuple(one.reference for one in others),
            )

    def ask(self, by: StaffUser, number: int) -> int:
        """Ask a second person to approve and return the number of the question.

        Raises:
            Conflict: Nobody checked who asks, or the person has other open requests.
            InvalidInput: This role does not decide about requests.
        """
        with self.kit.store.write() as connection:
            row = self._erasable(connection, number)
            requests.change(connection, row.id, status="working", owner=row.owner or by.actor)
            casework.log(connection, self.kit, row.id, Did.APPROVAL_ASKED, actor=by.actor)
        return self.approvals.ask(by, APPROVAL, row.reference, {"request": row.id})

    def carry_out(self, number: int, actor: str) -> int:
        """Erase, with a second person's yes; answer and close; return how many providers are told.

        One transaction under the person's locks: what was claimed for sending finishes or finds
        nothing, what was queued is gone (invariant I15).

        Raises:
            Conflict: As ``ask``.
            NeedsSecondPerson: Nobody else has said yes in the last seven days.
        """
        with self.kit.store.write() as connection:
            row = self._erasable(connection, number)
            approved = self.approvals.use(connection, APPROVAL, row.reference)
            casework.log(connection, self.kit, row.id, Did.APPROVED, actor=approved.decided_by)
            person = casework.person_behind(connection, row, lock=True)
            told = self._pass_on(connection, row, person)
            last = self.errands.addressee(row, person)
            forbidden = self._erase(connection, person)
            self._blank_requests(connection, row, person)
            if last is not None and last.key not in forbidden:
                fresh = people.find(connection, [last.key])[last.key]
                # Its key is the same, so what was sealed for the old row opens for this one mail.
                self.errands.tell_erased(connection, row, replace(fresh, sealed=last.sealed), passed_on=told > 0)
            self._close(connection, row, actor)
        return told

    def handlers(self) -> Mapping[str, Callable[[dict[str, Any]], None]]:
        """Return who runs which job."""
        return {"erasure_sweep": self._sweep}

    def _erasable(self, connection: Connection, number: int) -> RequestRow:
        row = casework.read_open(connection, number)
        if row.kind != Right.ERASURE:
            raise Conflict("This request is not about deletion.", code="not_an_erasure")
        casework.require_proof(row)
        others = self._others(connection, row, casework.person_behind(connection, row))
        if others:
            waiting = ", ".join(one.reference for one in others)
            raise Conflict(f"Answer the person's other requests first: {waiting}.", code="other_requests")
        return row

    def _others(self, connection: Connection, row: RequestRow, person: Person) -> list[RequestRow]:
        found = requests.of_subjects(connection, person.subjects)
        return [one for one in found if one.is_open and one.id != row.id]

    def _pass_on(self, connection: Connection, row: RequestRow, person: Person) -> int:
        """Queue what providers are told and the sweep behind it, while the addresses are still there."""
        clear = [(one, value) for one in person.addresses if (value := self.kit.clear(one)) is not None]
        emails = [value for one, value in clear if one.kind is AddressKind.EMAIL]
        typed = casework.said(self.kit, row).get("address")
        sent = [one.provider_id for one in personal.messages(connection, person.subjects) if one.channel == Channel.SMS]
        received = [one.provider_id for one in personal.texts(connection, person.subjects)]
        messages = [one for one in (*sent, *received) if one]
        mine = {
            "addresses": sorted({value for _, value in clear} | ({typed} if typed else set())),
            "keys": [one.key.hex() for one in person.addresses],
            "subjects": person.subjects,
        }
        sealed = self.kit.vault.seal_json(mine, context=_sweep_context(row.id))
        payload = {"request": row.id, "whose": base64.b64encode(sealed).decode()}
        jobs.add(connection, "erasure_sweep", payload, key=f"sweep:{row.id}", now=self.kit.now())
        return self.telling.queue(connection, row.id, ERASE, emails=emails, messages=messages)

    def _erase(self, connection: Connection, person: Person) -> set[bytes]:
        """Delete the person and put on record what must stand; return the keys nobody may write to."""
        now = self.kit.now()
        book = ledger.open_book(connection, person.addresses)
        kept = {one.key: _carried(book, one) for one in person.addresses}
        personal.forget(connection, person.subjects, now)
        personal.renew(connection, person.addresses, person.contact.subject if person.contact else None, now)
        renewed = people.find(connection, [one.key for one in person.addresses], lock=True)
        fresh = ledger.open_book(connection, renewed.values())
        for known in renewed.values():
            ledger.append(connection, fresh, self._minimal(fresh, known, kept[known.key]))
        return {key for key, entries in kept.items() if any(e.reason is Reason.DO_NOT_CONTACT for e in entries)}

    def _minimal(self, book: Book, known: KnownAddress, kept: Sequence[Entry]) -> list[Entry]:
        """Return the record that stays: ``erased`` on each channel, and the stops that reach further.

        Each address has an act of its own, and a stop keeps its day, not its moment: neither must
        lead back to the older entries.
        """
        doing = act(Source.ERASURE, self.kit.now())
        wanted = [
            stop(doing, book, known.subject, channel, reason=Reason.ERASED) for channel in CHANNELS_OF_KIND[known.kind]
        ]
        for entry in kept:
            day = entry.effective_at.replace(hour=0, minute=0, second=0, microsecond=0)
            again = act(Source.ERASURE, self.kit.now(), occurred_at=day)
            if entry.act is Act.SALE_OPT_OUT:
                wanted.append(replace(sale_opt_out(again, book, known.subject), effective_at=day))
            elif entry.reason is not None:
                place = {"scope": entry.scope, "sender": entry.sender, "flag": entry.flag, "at": day}
                wanted.append(stop(again, book, known.subject, entry.channel, reason=entry.reason, **place))  # type: ignore[arg-type]
        return wanted

    def _blank_requests(self, connection: Connection, row: RequestRow, person: Person) -> None:
        mine = {one.id for one in requests.of_subjects(connection, person.subjects)} | {row.id}
        requests.blank(connection, sorted(mine))

    def _close(self, connection: Connection, row: RequestRow, actor: str) -> None:
        now = self.kit.now()
        requests.change(connection, row.id, status="answered", acted_at=now, answered_at=now, closed_at=now)
        casework.log(connection, self.kit, row.id, Did.ERASED, actor=actor)

    def _sweep(self, payload: dict[str, Any]) -> None:
        """Delete what names no subject but holds the address: kept answers, errands, strangers' mails.

        It runs after the erasure, outside its locks, over rows that live 30 days at most.
        """
        if not payload:
            return  # swept before, and its worker died before it could say so
        sealed = base64.b64decode(payload["whose"])
        mine = self.kit.vault.open_json(sealed, context=_sweep_context(payload["request"]))
        whose = _Whose.of(mine)
        with self.kit.store.read() as connection:
            places = [one.place for one in personal.loose_rows(connection) if self._is_theirs(one, whose)]
            mails = [one.id for one in personal.mails_of_strangers(connection) if self._is_from(one, whose)]
        with self.kit.store.write() as connection:
            personal.drop_loose(connection, places)
            personal.empty_mails(connection, mails, self.kit.now())
            jobs.forget_payload(connection, f"sweep:{payload['request']}")

    def _is_theirs(self, row: SealedRow, whose: "_Whose") -> bool:
        table = row.place[0]
        if table == "job":
            return self._errand_is_theirs(row.names, whose)
        if table == "idempotency":
            context = f"idempotency:{row.names['caller']}:{row.names['key']}".encode()
        else:
            context = b"quarantine:" + row.names["item_key"].rpartition(":")[2].encode()
        words = [row.names.get("key"), self.kit.vault.open(row.sealed or b"", context=context).decode()]
        return any(whose.mentioned_in(one) for one in words if one)

    def _errand_is_theirs(self, payload: dict[str, Any], whose: "_Whose") -> bool:
        if payload.get("key") in whose.keys or payload.get("subject") in whose.subjects:
            return True
        if "typed" not in payload:
            return False
        typed = self.kit.vault.open_text(base64.b64decode(payload["typed"]), context=b"errand")
        return whose.mentioned_in(typed)

    def _is_from(self, mail: personal.StoredMail, whose: "_Whose") -> bool:
        opened = self.kit.vault.open_json(mail.sealed or b"", context=f"mail:{mail.mail_key}".encode())
        return whose.mentioned_in(str(opened.get("from_") or ""))


@dataclass(frozen=True, slots=True)
class _Whose:
    """Whom a sweep looks for: addresses in clear, their keys, and the subjects that lead to nobody now."""

    emails: tuple[str, ...]
    numbers: tuple[str, ...]
    keys: frozenset[str]
    subjects: frozenset[int]

    @classmethod
    def of(cls, mine: dict[str, Any]) -> "_Whose":
        """Return whom a deletion was about, worked out once for many rows."""
        emails = {one.casefold() for one in mine["addresses"] if "@" in one}
        numbers = {re.sub(r"\D", "", one) for one in mine["addresses"] if "@" not in one}
        return cls(
            tuple(emails | {found for one in emails if (found := _canonical(one))}),
            tuple(one for one in numbers if len(one) >= _SHORTEST),
            frozenset(mine["keys"]),
            frozenset(mine["subjects"]),
        )

    def mentioned_in(self, text: str) -> bool:
        """True where a text holds one of the addresses, however a number is written.

        One hit too many costs a repeated request its kept answer, so near is near enough.
        """
        if self.emails:
            lower = text.casefold()
            if any(one in lower for one in self.emails):
                return True
        return bool(self.numbers) and any(
            number in digits or (len(digits) >= _SHORTEST and number.endswith(digits))
            for digits in _digit_runs(text)
            for number in self.numbers
        )


def _canonical(email: str) -> str | None:
    try:
        return parse_address(Channel.EMAIL, email).value
    except InvalidAddress:
        return None


_SHORTEST = 7
_NUMBER = re.compile(r"\+?\d[\d\s().-]{5,}\d")


def _digit_runs(text: str) -> list[str]:
    return [re.sub(r"\D", "", run) for run in _NUMBER.findall(text)]


def _carried(book: Book, known: KnownAddress) -> list[Entry]:
    """Return the entries in force about an address that reach further than ``erased``."""
    by_number = {entry.id: entry for entry in book.of(known)}
    entries = [by_number[fact.entry_id] for fact in book.standing(known)]
    channels = set(CHANNELS_OF_KIND[known.kind])
    kept = []
    for entry in entries:
        applies = REASONS[entry.reason].channels if entry.reason else frozenset()
        reaches = not applies or bool(applies & channels)
        if entry.act is Act.SALE_OPT_OUT or (entry.reason in CARRIED and reaches):
            kept.append(entry)
    return sorted(kept, key=lambda entry: entry.id)


def _sweep_context(request: int) -> bytes:
    return f"erasure-sweep:{request}".encode()

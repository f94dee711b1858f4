"""May this be sent? One question, fifty thousand, or an old one worked out again."""

import base64
import binascii
import hmac
import struct
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from threading import Lock
from typing import Any

from sqlalchemy import Connection

from prefs.crypto import mac_of
from prefs.domain.address import Address, parse_address, plain_values
from prefs.domain.calling_hours import BOUND_CHANNELS
from prefs.domain.catalogue import Catalogue
from prefs.domain.decision import (
    POLICY,
    Decision,
    Hold,
    Question,
    RecipientState,
    Step,
    consent_for,
    decide,
    explain,
)
from prefs.domain.ledger import Entry, Standing, fold
from prefs.domain.reasons import REASONS, Family
from prefs.domain.terms import KIND_OF_CHANNEL, Channel, MessageClass, Outcome, Reason
from prefs.errors import InvalidAddress, InvalidInput, NotFound, StoreUnavailable
from prefs.services.kit import Kit
from prefs.services.numbers import Numbers
from prefs.storage import ledger, people
from prefs.storage.states import Row, load_rows, load_states, merged, shape_of, state_of
from prefs.storage.tables import EPOCH, from_microseconds, to_microseconds

NO_KEY = bytes(16)
_MOST_FORMS = 1_000

_Keys = bytes | tuple[bytes, ...] | None
"""What one address of a batch is looked up by: its key, several possible ones, or nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question in the caller's words; slugs, not numbers.

    Either ``topic`` or a ``message_class`` other than marketing says what kind of message it is.
    """

    channel: Channel
    topic: str | None = None
    message_class: MessageClass | None = None
    brand: str | None = None
    sender: str | None = None
    country: str | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A decision with all that a caller is told about it; ``id`` is a signed receipt (contract D23)."""

    id: str
    decision: Decision
    to: str
    question: Question
    position: int
    policy_version: str
    scope: str | None = None
    alternative: Channel | None = None
    steps: tuple[Step, ...] = ()
    address_key: bytes = NO_KEY


@dataclass(frozen=True, slots=True)
class Verdict:
    """A decision without the record behind it: what many addresses can have in common."""

    outcome: Outcome
    reason: Reason | None
    verified: bool

    @property
    def allowed(self) -> bool:
        """True where the message may go now."""
        return self.outcome is Outcome.ALLOWED


@dataclass(frozen=True, slots=True)
class Weighed:
    """An address to be looked at: every key it may be stored under, and itself where we hold it in clear."""

    keys: tuple[bytes, ...]
    address: Address | None


@dataclass(frozen=True, slots=True)
class BatchAnswer:
    """Verdicts in the order asked, from one snapshot, and how many there are of each."""

    position: int
    decisions: list[Verdict]
    counted: Counter[Verdict]


@dataclass
class Decisions:
    """Answers questions. ``held_back`` says whether marketing must wait: a failed write, a
    journal that holds an opt-out this process cannot see yet (contract D24).
    """

    kit: Kit
    numbers: Numbers
    receipts: "Receipts"
    held_back: Callable[[], bool]
    counts: Counter[tuple[str, str, str, str, str]] = field(default_factory=Counter)
    _counting: Lock = field(default_factory=Lock)
    _forms: tuple[Catalogue | None, dict[tuple[Any, ...], Question]] = (None, {})

    def ask(self, asked: Asked, to: object, *, steps: bool = False) -> Answer:
        """Return the answer for one address; text that is no address is ``blocked``, never an error.

        Raises:
            UnknownTopic: A topic, brand or sender the catalogue does not have.
            InvalidInput: The topic and the class contradict each other.
        """
        question = self.question(asked)
        address = _parsed(asked.channel, to, self.kit.default_region)
        answer = self._answer(question, address, str(to))
        if steps:
            answer = replace(answer, steps=explain(answer.question, self._state_of(answer.id))[1])
        self._count(question, answer.decision, 1)
        return answer

    def ask_contact(self, asked: Asked, external_id: str, *, steps: bool = False) -> Answer:
        """Return the answer for a contact's first allowed address on the channel, or its first (contract D28).

        Raises:
            NotFound: No such contact, or it has no address that the channel can reach.
        """
        with self.kit.store.read() as connection:
            contact = people.find_contact(connection, external_id)
            if contact is None:
                raise NotFound("There is no contact with this id.")
            known = people.of_contact(connection, [contact.subject])
        clear = [self.kit.clear(one) for one in known if one.kind is KIND_OF_CHANNEL[asked.channel]]
        reachable = [value for value in clear if value is not None]
        if not reachable:
            raise NotFound("This contact has no address on that channel.", code="no_address")
        answers = [self.ask(asked, value, steps=steps) for value in reachable]
        return next((answer for answer in answers if answer.decision.allowed), answers[0])

    def ask_many(self, asked: Asked, to: Sequence[object]) -> BatchAnswer:
        """Return verdicts in the order asked, from one snapshot and a fixed number of queries."""
        question = self.question(asked)
        addresses = self._keys_of_many(asked.channel, to)
        different = set(addresses)
        wanted = {one for one in different if type(one) is bytes}
        if len(wanted) < len(different):
            wanted.update(*(one for one in different if type(one) is tuple))
        position, rows = self._rows_of(asked.channel, wanted)
        judge = _Judge(question, rows or {}, available=rows is not None and not self._is_held(question))
        verdicts = judge.verdicts(addresses)
        if is_timed(question):
            timed = zip(verdicts, addresses, to, strict=True)
            verdicts = [self._timed(judge, question, *one) if one[0].allowed else one[0] for one in timed]
        counted = _counted(verdicts)
        for verdict, number in counted.items():
            self._count(question, verdict, number)
        return BatchAnswer(position, verdicts, counted)

    def _timed(self, judge: "_Judge", question: Question, verdict: Verdict, keys: _Keys, to: object) -> Verdict:
        """Return what remains of an allowed verdict once the number's hour and registry are asked."""
        address = _parsed(question.channel, to, self.kit.default_region)
        state = judge.state(keys)
        now = self.numbers.now(state, address, question.at) if address else state
        return verdict if now is state else judge.decided(now)

    def _keys_of_many(self, channel: Channel, to: Sequence[object]) -> list[_Keys]:
        """Return the key of each address, several where it may be stored under several, None for no address."""
        keys = self.kit.address_keys
        found: list[_Keys] = [None] * len(to)
        if keys.is_single:
            found = [*keys.of_plain(plain_values(KIND_OF_CHANNEL[channel], to))]
        for place, known in enumerate(found):
            if known is None:
                address = _parsed(channel, to[place], self.kit.default_region)
                found[place] = keys.candidates(address) if address else None
        return found

    def _rows_of(self, channel: Channel, wanted: set[bytes]) -> tuple[int, Mapping[bytes, Sequence[Row]] | None]:
        """Ask the store as ``_load`` does; None where it cannot be asked."""
        for _ in range(2):
            try:
                found = load_rows(self.kit.store, channel, wanted)
            except StoreUnavailable:
                continue
            return found.position, found.by_key
        return 0, None

    def look(self, question: Question, address: Address | None, keys: Sequence[bytes], *, to: str = "") -> Answer:
        """Return the answer about an address, or about a key alone, with its steps; a look is not counted."""
        answer = self._answer(question, address, to, keys)
        return replace(answer, steps=explain(answer.question, self._state_of(answer.id))[1])

    def weigh(self, questions: Sequence[Question], whom: Sequence[Weighed]) -> list[list[tuple[Decision, bool]]]:
        """Return, for each question (all on one channel), the decision about each person; not counted.

        Beside each decision: whether a consent counts. One snapshot, one query.
        """
        channel = questions[0].channel
        _, states = self._load(channel, [one.keys for one in whom])
        return [
            [self._weighed(question, one, state) for one, state in zip(whom, states, strict=True)]
            for question in questions
        ]

    def _weighed(self, question: Question, one: Weighed, state: RecipientState) -> tuple[Decision, bool]:
        seen = _seen(state, parsable=True, held=self._is_held(question))
        if one.address and is_timed(question):
            seen = self.numbers.now(seen, one.address, question.at)
        question = _with_country(question, seen)
        return decide(question, seen), consent_for(question, seen) is not None

    def again(self, receipt_id: str) -> Answer:
        """Work out an old answer again, as of its own ledger position (rules.md P-2).

        Raises:
            NotFound: The id is not a receipt of ours.
            StoreUnavailable: The ledger cannot be read.
        """
        receipt = self.receipts.read(receipt_id)
        question = self._question_of(receipt)
        state = self._state_of(receipt_id)
        decision, steps = explain(question, state)
        return Answer(
            id=receipt_id,
            decision=decision,
            to="",
            question=question,
            position=receipt.position,
            policy_version=receipt.policy,
            scope=self._scope(decision),
            steps=steps,
            address_key=receipt.address_key,
        )

    def question(self, asked: Asked) -> Question:
        """Return the question in catalogue numbers. Raises what ``ask`` raises."""
        form = self._form(asked)
        return Question(
            channel=form.channel,
            message_class=form.message_class,
            at=asked.at or self.kit.now(),
            topic=form.topic,
            brand=form.brand,
            sender=form.sender,
            country=form.country,
        )

    def _form(self, asked: Asked) -> Question:
        """Return the question without its time, worked out once for each edition of the catalogue."""
        catalogue = self.kit.catalogue
        edition, forms = self._forms
        if edition is not catalogue:
            forms = {}
            self._forms = (catalogue, forms)
        words = (asked.channel, asked.topic, asked.message_class, asked.brand, asked.sender, asked.country)
        found = forms.get(words)
        if found is None:
            found = _worked_out(catalogue, asked)
            if len(forms) < _MOST_FORMS:
                forms[words] = found
        return found

    def receipt(self, question: Question, address_key: bytes, position: int, state: RecipientState) -> str:
        """Return the id of a decision that another service took under its own locks."""
        return self.receipts.make(Receipt(question, address_key, position, state, self.kit.catalogue.revision))

    def policy_version(self) -> str:
        """Return the edition of rules and catalogue that answers now."""
        return f"{POLICY}.{self.kit.catalogue.revision}"

    def take_counts(self) -> Counter[tuple[str, str, str, str, str]]:
        """Return the counts since the last call and start afresh."""
        with self._counting:
            taken, self.counts = self.counts, Counter()
        return taken

    def give_back(self, taken: Counter[tuple[str, str, str, str, str]]) -> None:
        """Put counts back that could not be stored."""
        with self._counting:
            self.counts.update(taken)

    def _answer(
        self, question: Question, address: Address | None, to: str, keys: Sequence[bytes] | None = None
    ) -> Answer:
        parsable = address is not None or keys is not None
        if keys is None:
            keys = self.kit.address_keys.candidates(address) if address else ()
        position, (state,) = self._load(question.channel, [keys])
        seen = _seen(state, parsable=parsable, held=self._is_held(question))
        if address and is_timed(question):
            seen = self.numbers.now(seen, address, question.at)
        question = _with_country(question, seen)
        decision = decide(question, seen)
        receipt = Receipt(question, keys[0] if keys else NO_KEY, position, seen, self.kit.catalogue.revision)
        return Answer(
            id=self.receipts.make(receipt),
            decision=decision,
            to=to,
            question=question,
            position=position,
            policy_version=f"{POLICY}.{receipt.revision}",
            scope=self._scope(decision),
            alternative=self._alternative(question, decision, keys),
            address_key=receipt.address_key,
        )

    def refuse_held_back(self) -> None:
        """Marketing fails closed: with an opt-out still in the journal no list may be called clean (D24).

        Raises:
            StoreUnavailable: One waits there.
        """
        if self.held_back():
            raise StoreUnavailable("An opt-out waits to be written. Run this again when the database takes changes.")

    def _load(self, channel: Channel, groups: Sequence[Sequence[bytes]]) -> tuple[int, list[RecipientState]]:
        """Ask the store, twice if need be: a pooled connection may have been dropped meanwhile."""
        for _ in range(2):
            try:
                snapshot = load_states(self.kit.store, channel, groups)
            except StoreUnavailable:
                continue
            return snapshot.position, snapshot.states
        return 0, [RecipientState(available=False)] * len(groups)

    def _is_held(self, question: Question) -> bool:
        return question.message_class is MessageClass.MARKETING and self.held_back()

    def _scope(self, decision: Decision) -> str | None:
        if decision.fact is None or decision.fact.reason is None:
            return None
        return self.kit.catalogue.scope_name(decision.fact.scope)

    def _alternative(self, question: Question, decision: Decision, keys: Sequence[bytes]) -> Channel | None:
        """Name a channel that may carry a blocked transactional text (rules.md T-5, W-9)."""
        if decision.allowed or question.message_class is not MessageClass.TRANSACTIONAL:
            return None
        if question.channel is not Channel.EMAIL and keys and self._email_works(question, keys):
            return Channel.EMAIL
        return Channel.POSTAL if question.channel is not Channel.POSTAL else None

    def _email_works(self, question: Question, keys: Sequence[bytes]) -> bool:
        with self.kit.store.read() as connection:
            contacts = {one.contact for one in people.find(connection, keys).values()} - {None}
            theirs = people.of_contact(connection, [number for number in contacts if number is not None])
            groups = [[one.key] for one in theirs if one.kind is KIND_OF_CHANNEL[Channel.EMAIL]]
        if not groups:
            return False
        states = load_states(self.kit.store, Channel.EMAIL, groups).states
        by_email = replace(question, channel=Channel.EMAIL, sender=None)
        return any(decide(by_email, state).allowed for state in states)

    def _question_of(self, receipt: "ReadReceipt") -> Question:
        return Question(
            channel=receipt.channel,
            message_class=receipt.message_class,
            at=receipt.at,
            topic=self.kit.catalogue.topic_numbered(receipt.topic) if receipt.topic else None,
            brand=receipt.brand or None,
            sender=receipt.sender or None,
            country=receipt.country,
        )

    def _state_of(self, receipt_id: str) -> RecipientState:
        """Fold exactly the entries the receipt names, for the same state even after erasure (contract D23)."""
        receipt = self.receipts.read(receipt_id)
        if not (receipt.parsable and receipt.available):
            return RecipientState(parsable=receipt.parsable, available=receipt.available)
        with self.kit.store.read() as connection:
            own = _folded(connection, receipt.address_last)
            theirs = _folded(connection, receipt.contact_last)
        facts = [fact for fact in (*own, *theirs) if fact.channel in (None, receipt.channel)]
        return RecipientState(
            tuple(facts), country=receipt.country, hold=receipt.hold, registry_stale=receipt.registry_stale
        )

    def _count(self, question: Question, decision: Decision | Verdict, number: int) -> None:
        day = self.kit.now().date().isoformat()
        topic = question.topic.slug if question.topic else str(question.message_class)
        slot = (day, str(question.channel), topic, str(decision.outcome), str(decision.reason or ""))
        with self._counting:
            self.counts[slot] += number


class _Judge:
    """Decides about many addresses, once for each sort of them."""

    def __init__(self, question: Question, rows: Mapping[bytes, Sequence[Row]], *, available: bool) -> None:
        self._question = question
        self._rows = rows
        self._unparsable = self.decided(RecipientState(parsable=False))
        # What has no facts, and while the store is away everybody, is answered alike.
        self._unknown = self.decided(RecipientState(available=available))
        self._by_key = self._of_known() if available else {}

    def verdicts(self, addresses: Sequence[_Keys]) -> list[Verdict]:
        """Return the verdict on each address, known by its possible keys."""
        known, unknown = self._by_key, self._unknown
        return [known.get(one, unknown) if isinstance(one, bytes) else self._of_several(one) for one in addresses]

    def state(self, keys: _Keys) -> RecipientState:
        """Return the state behind an address that can be asked about."""
        several = (keys,) if isinstance(keys, bytes) else keys or ()
        known = [state_of(self._rows[key], self._question.channel) for key in several if key in self._rows]
        return merged(known)

    def _of_known(self) -> dict[bytes, Verdict]:
        memo: dict[Row, Verdict] = {}
        found = {}
        for key, rows in self._rows.items():
            shape = shape_of(rows)
            verdict = memo.get(shape) if shape is not None else None
            if verdict is None:
                verdict = self.decided(state_of(rows, self._question.channel))
                if shape is not None:
                    memo[shape] = verdict
            found[key] = verdict
        return found

    def _of_several(self, keys: tuple[bytes, ...] | None) -> Verdict:
        if keys is None:
            return self._unparsable
        known = [key for key in keys if key in self._by_key]
        if len(known) < 2:
            return self._by_key[known[0]] if known else self._unknown
        return self.decided(merged([state_of(self._rows[key], self._question.channel) for key in known]))

    def decided(self, state: RecipientState) -> Verdict:
        """Return the verdict on one state."""
        decision = decide(_with_country(self._question, state), state)
        return Verdict(decision.outcome, decision.reason, decision.verified)


def _counted(verdicts: Sequence[Verdict]) -> Counter[Verdict]:
    # Few objects stand for many verdicts: telling them apart by identity spares a hash for each.
    kinds = {id(verdict): verdict for verdict in verdicts}
    counted: Counter[Verdict] = Counter()
    for kind, number in Counter(map(id, verdicts)).items():
        counted[kinds[kind]] += number
    return counted


def _folded(connection: Connection, last: int) -> frozenset[Standing]:
    entry: Entry | None = ledger.entry_numbered(connection, last) if last else None
    return fold(ledger.history(connection, [entry.subject], up_to=last)) if entry else frozenset()


def _parsed(channel: Channel, to: object, region: str) -> Address | None:
    try:
        return parse_address(channel, to, default_region=region)
    except InvalidAddress:
        return None


def _seen(state: RecipientState, *, parsable: bool, held: bool) -> RecipientState:
    if parsable and not held:
        return state
    return replace(state, parsable=parsable, available=state.available and not held)


def is_timed(question: Question) -> bool:
    """True for marketing by telephone: the hour, and the age of a registry, matter (contract D15)."""
    return question.message_class is MessageClass.MARKETING and question.channel in BOUND_CHANNELS


def _with_country(question: Question, state: RecipientState) -> Question:
    return replace(question, country=question.country or state.country) if state.country else question


def _worked_out(catalogue: Catalogue, asked: Asked) -> Question:
    topic = catalogue.topic(asked.topic) if asked.topic is not None else None
    message_class = _message_class(topic.message_class if topic else None, asked.message_class)
    brand = asked.brand or "default"
    return Question(
        channel=asked.channel,
        message_class=message_class,
        at=EPOCH,
        topic=topic,
        brand=catalogue.brand(brand).number,
        sender=_sender_number(catalogue, asked, brand, message_class),
        country=asked.country,
    )


def _message_class(of_topic: MessageClass | None, stated: MessageClass | None) -> MessageClass:
    if of_topic is None and stated is None:
        raise InvalidInput("Say which `topic` it is, or the `message_class`.", field="topic", code="missing")
    if of_topic is None and stated is not MessageClass.TRANSACTIONAL:
        raise InvalidInput("Only `transactional` may stand without a `topic`.", field="topic", code="missing")
    if of_topic and stated and of_topic is not stated:
        raise InvalidInput(f"This topic is {of_topic}, not {stated}.", field="message_class", code="conflicting_class")
    found = of_topic or stated
    assert found is not None  # one of the two was given, checked above
    return found


def _sender_number(catalogue: Catalogue, asked: Asked, brand: str, message_class: MessageClass) -> int | None:
    if asked.sender is None:
        sender = catalogue.default_sender(asked.channel, brand, message_class)
        return sender.number if sender else None
    sender = catalogue.sender(asked.sender)
    if sender.channel is not asked.channel:
        raise InvalidInput(f"This sender is for {sender.channel}.", field="sender", code="wrong_channel")
    return sender.number


_CHANNELS = tuple(Channel)
_CLASSES = tuple(MessageClass)
_CHANNEL_PLACES = {channel: place for place, channel in enumerate(_CHANNELS)}
_CLASS_PLACES = {message_class: place for place, message_class in enumerate(_CLASSES)}
# version, flags, channel, class, topic, brand, sender, country, at, position, two last entries, catalogue, key
_FORM = struct.Struct(">BBBBHHH2sqQQQI16s")
_MAC_BYTES = 16
_PARSABLE, _AVAILABLE, _STALE, _HELD, _HELD_FOR_GOOD = 1, 2, 4, 8, 16
# What the clock said follows the rest where it held the message back: until when, 0 for good.
_HOLD = struct.Struct(">q")


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a receipt is made from: the question, and which entries answered it."""

    question: Question
    address_key: bytes
    position: int
    state: RecipientState
    revision: int


@dataclass(frozen=True, slots=True)
class ReadReceipt:
    """What a receipt says when it is shown again; it never holds the address itself."""

    channel: Channel
    message_class: MessageClass
    topic: int
    brand: int
    sender: int
    country: str | None
    at: datetime
    position: int
    address_last: int
    contact_last: int
    policy: str
    address_key: bytes
    parsable: bool
    available: bool
    registry_stale: bool
    hold: Hold | None


class Receipts:
    """Makes and reads decision ids: signed, so nothing is written per decision (contract D23)."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._macs = [mac_of(key) for key in keys]

    def make(self, receipt: Receipt) -> str:
        """Return ``dec_…``."""
        question, state = receipt.question, receipt.state
        body = _FORM.pack(
            1,
            _flags(state),
            _CHANNEL_PLACES[question.channel],
            _CLASS_PLACES[question.message_class],
            question.topic.number if question.topic else 0,
            question.brand or 0,
            question.sender or 0,
            (question.country or "").encode("ascii", "replace")[:2].ljust(2, b"\0"),
            to_microseconds(question.at),
            receipt.position,
            state.address_last,
            state.contact_last,
            receipt.revision,
            receipt.address_key,
        )
        if state.hold:
            body += _HOLD.pack(to_microseconds(state.hold.until) if state.hold.until else 0)
        return "dec_" + base64.urlsafe_b64encode(body + self._macs[0](body)).decode().rstrip("=")

    def read(self, text: str) -> ReadReceipt:
        """Return what a receipt says. Raises ``NotFound`` for anything we did not sign."""
        unknown = NotFound("There is no decision with this id.")
        try:
            encoded = text.removeprefix("dec_")
            raw = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError) as error:
            raise unknown from error
        body, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
        signed = any(hmac.compare_digest(make(body), mac) for make in self._macs)
        if not (text.startswith("dec_") and len(body) >= _FORM.size and signed):
            raise unknown
        (_, flags, channel, message_class, topic, brand, sender, country, at, position, own, theirs, revision, key) = (
            _FORM.unpack_from(body)
        )
        return ReadReceipt(
            channel=_CHANNELS[channel],
            message_class=_CLASSES[message_class],
            topic=topic,
            brand=brand,
            sender=sender,
            country=country.rstrip(b"\0").decode() or None,
            at=from_microseconds(at),
            position=position,
            address_last=own,
            contact_last=theirs,
            policy=f"{POLICY}.{revision}",
            address_key=key,
            parsable=bool(flags & _PARSABLE),
            available=bool(flags & _AVAILABLE),
            registry_stale=bool(flags & _STALE),
            hold=_read_hold(flags, body),
        )


def _flags(state: RecipientState) -> int:
    for_good = state.hold is not None and state.hold.until is None
    return (
        state.parsable * _PARSABLE
        | state.available * _AVAILABLE
        | state.registry_stale * _STALE
        | (state.hold is not None) * _HELD
        | for_good * _HELD_FOR_GOOD
    )


def _read_hold(flags: int, body: bytes) -> Hold | None:
    if not flags & _HELD:
        return None
    until = None if flags & _HELD_FOR_GOOD else from_microseconds(_HOLD.unpack_from(body, _FORM.size)[0])
    return Hold(Reason.QUIET_HOURS, until)


def record_id(decision: Decision) -> str | None:
    """Return the id of the suppression that decided, or None (``sup_…``, contract section 6)."""
    if decision.fact is None or decision.reason is None or REASONS[decision.reason].family is not Family.SUPPRESSION:
        return None
    return f"sup_{decision.fact.entry_id}"

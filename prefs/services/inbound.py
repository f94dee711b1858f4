"""Apply the texts people send us, exactly once."""

import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from prefs import words
from prefs.domain.address import Address, calling_code_region_is_eea_or_uk, parse_address
from prefs.domain.catalogue import Sender
from prefs.domain.keywords import RULE_VERSION, Reading, read_keyword, wants_to_keep
from prefs.domain.ledger import INFERRED, REVOKE_ALL, Entry, live_entries, still_in_force
from prefs.domain.reasons import REASONS, Ender
from prefs.domain.regions import EEA, UK
from prefs.domain.terms import Act, Channel, ConsentKind, MessageClass, Reason, Source, TextClass
from prefs.providers.ports import ProviderTimes
from prefs.services import replies
from prefs.services.kit import (
    Doing,
    Kit,
    act,
    keep_proof,
    lift,
    new_address,
    open_address,
    start,
    stop,
    write_at_once,
)
from prefs.services.organisation import Organisation
from prefs.storage import at_once, choices, inbound, jobs, ledger, people
from prefs.storage.at_once import Beside
from prefs.storage.ledger import Book
from prefs.storage.people import KnownAddress

log = logging.getLogger(__name__)

ANSWER_WITHIN = timedelta(minutes=5)
YES_WITHIN = ANSWERED_WITHIN = timedelta(days=7)
ASKED_FOR_YES, ASKED_WHAT = "yes", "what"
_SHORT_CODE = re.compile(r"[0-9]{5,6}")
_TOLL_FREE = ("+1800", "+1833", "+1844", "+1855", "+1866", "+1877", "+1888")


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundText:
    """A text somebody sent us; ``provider_id`` is the provider's own name for it.

    ``sent_at`` is the provider's clock where its log was read: a stop then counts from there (D7).
    """

    provider_id: str
    channel: Channel
    from_: str
    to: str
    body: str
    received_at: datetime
    service_sid: str | None = None
    opt_out_type: str | None = None
    sent_at: datetime | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the text as the journal keeps it."""
        sent_at = self.sent_at.isoformat() if self.sent_at else None
        return {**asdict(self), "received_at": self.received_at.isoformat(), "sent_at": sent_at}

    @classmethod
    def from_json(cls, item: dict[str, Any]) -> "InboundText":
        """Return a text as the journal kept it."""
        received = datetime.fromisoformat(item["received_at"])
        sent_at = datetime.fromisoformat(item["sent_at"]) if item.get("sent_at") else None
        return cls(**{**item, "channel": Channel(item["channel"]), "received_at": received, "sent_at": sent_at})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a text: how it was read, whether it changed anything, what to answer (None: nothing)."""

    kind: TextClass
    changed: bool = False
    reply: str | None = None
    asked: str | None = None


@dataclass(frozen=True, slots=True)
class _Scene:
    """One text with all that bears on it, under the address lock."""

    text: InboundText
    reading: Reading
    doing: Doing
    known: KnownAddress
    book: Book
    sender: Sender | None
    in_europe: bool

    @property
    def wants_to_stop(self) -> bool:
        """True for a keyword, and for a sentence that nobody could read otherwise (T-2)."""
        return self.reading.kind is TextClass.STOP or self.reading.evident

    @property
    def marketing_sender(self) -> bool:
        return self.sender is not None and self.sender.message_class is MessageClass.MARKETING

    @property
    def entries(self) -> list[Entry]:
        return self.book.of(self.known)


@dataclass(frozen=True, slots=True)
class Inbound:
    """The use cases behind the webhooks.

    ``revoke_all_from`` is the date T-6 begins, None for never. ``twilio_times`` says that the
    provider can be asked when texts were sent (contract D7).
    """

    kit: Kit
    revoke_all_from: date | None
    organisation: Organisation
    twilio_times: bool = False

    def handle_text(self, text: InboundText) -> Outcome:
        """Apply one text and say what to answer. The same text again changes nothing (rules.md W-3).

        Raises:
            InvalidAddress: The sender is nothing we could ever stop.
            StoreUnavailable: Nothing was stored.
        """
        address = parse_address(text.channel, text.from_, default_region=self.kit.default_region)
        reading = _read(text)
        if reading.kind is TextClass.STOP and (done := self._stop_at_once(text, reading, address)):
            return done
        with self.kit.store.write() as connection:
            scene = self._open(connection, text, reading, address)
            if not inbound.is_new(connection, text.provider_id):
                return Outcome(reading.kind)
            outcome = self._apply(connection, scene)
            self._keep(connection, scene, outcome)
        return outcome

    def settle_times(self, payload: dict[str, Any], read_times: Callable[[str], ProviderTimes]) -> None:
        """Undo a START that was sent before the STOP it lifted (contract D7, invariant I01)."""
        started = read_times(payload["start"]).sent_at
        stopped = [read_times(sid).sent_at for sid in payload["stops"]]
        if started is None or not any(moment is not None and moment >= started for moment in stopped):
            return
        with self.kit.store.write() as connection:
            known = people.locate(connection, payload["subject"])
            if known is None:
                return
            book = ledger.open_book(connection, [known], [known.contact] if known.contact else [])
            doing = act(Source.PROVIDER_TIMES, self.kit.now(), key=f"times:{payload['start']}")
            lifts = [e for e in book.of(known) if e.act is Act.LIFT and e.act_id == payload["act"]]
            ledger.append(connection, book, [lift(doing, book, e.subject, f"entry:{e.entry_key}") for e in lifts])

    def _open(self, connection: Connection, text: InboundText, reading: Reading, address: Address) -> _Scene:
        known = open_address(connection, self.kit, address)
        contact = people.contact_of(connection, known.contact) if known.contact is not None else None
        by_country = contact is not None and contact.country in EEA | UK
        in_europe = by_country if contact else calling_code_region_is_eea_or_uk(address.value)
        reach_contact = in_europe and known.contact is not None
        book = ledger.open_book(connection, [known], [known.contact] if reach_contact and known.contact else [])
        return self._scene(text, reading, known, book, in_europe)

    def _stop_at_once(self, text: InboundText, reading: Reading, address: Address) -> Outcome | None:
        """Do what a STOP does in a round trip or three, or return None where it takes more."""
        wanted = self.kit.wanted(address)
        if len(wanted.keys) > 1 or wanted.seal is None:
            return None
        key = wanted.keys[0]
        in_europe = calling_code_region_is_eea_or_uk(address.value)
        for seen in at_once.looks(self.kit.store, key, new_address(key, wanted.kind, wanted.seal(key))):
            if seen.known.sealed is None:
                return None
            scene = self._scene(text, reading, seen.known, seen.book, in_europe)
            stops = self._stops(scene)
            if any(still_in_force(_standing(scene), entry) for entry in stops):
                return None
            outcome = self._stopped(scene, stops)
            kept = Beside("inbound_text", self._kept(scene, outcome).row())
            if write_at_once(self.kit, scene.doing, seen, stops, [kept]):
                return outcome
        return None

    def _scene(self, text: InboundText, reading: Reading, known: KnownAddress, book: Book, in_europe: bool) -> _Scene:
        proof = {"text": text.body, "read_as": str(reading.kind), "rule": reading.rule, "rules": RULE_VERSION}
        doing = act(Source.SMS_KEYWORD, self.kit.now(), key=f"text:{text.provider_id}", proof=proof)
        sender = self.kit.catalogue.sender_receiving(text.to, text.service_sid)
        return _Scene(text, reading, doing, known, book, sender, in_europe)

    def _apply(self, connection: Connection, scene: _Scene) -> Outcome:
        kind = scene.reading.kind
        kept = self._appointments_kept(connection, scene)
        if kept is not None:
            return kept
        if kind in {TextClass.STOP, TextClass.UNCLEAR}:
            return self._stop(connection, scene)
        if kind is TextClass.START:
            return self._start(connection, scene)
        if kind is TextClass.HELP:
            return self._answer(scene, replies.HELP)
        return Outcome(kind)

    def _stop(self, connection: Connection, scene: _Scene) -> Outcome:
        wanted = [entry for entry in self._stops(scene) if still_in_force(_standing(scene), entry) is None]
        added = ledger.append(connection, scene.book, wanted)
        keep_proof(connection, self.kit, scene.doing, [entry.subject for entry in added])
        if not scene.wants_to_stop:
            return self._answer(scene, replies.UNCLEAR, changed=bool(added))
        if not added:
            # Already stopped by this very sender: nothing changed, and nothing is answered (T-8),
            # except on a short code, which answers everybody (rules.md section 4).
            short = _SHORT_CODE.fullmatch(scene.text.to) is not None
            return self._answer(scene, replies.ALREADY) if short else Outcome(scene.reading.kind)
        return self._stopped(scene, wanted)

    def _stopped(self, scene: _Scene, wanted: Sequence[Entry]) -> Outcome:
        """Return what came of a STOP that took something, and the words that say so."""
        if any(entry.reason is Reason.REVOKED_IN_REPLY for entry in wanted):
            asks = scene.sender is not None and scene.sender.clarify
            situation = replies.ASK_WHAT if asks else replies.STOPPED_EVERYTHING
            return self._answer(scene, situation, True, asked=ASKED_WHAT if asks else None)
        if not self._service_texts_go_on(scene):
            return self._answer(scene, replies.STOPPED_MARKETING, True)
        return self._answer(scene, replies.STOPPED_EVERYWHERE if scene.in_europe else replies.STOPPED, True)

    def _service_texts_go_on(self, scene: _Scene) -> bool:
        """True where appointments come from another number: carriers block the one that was told STOP (5.4)."""
        brand = scene.sender.brand if scene.sender else "default"
        other = self.kit.catalogue.default_sender(Channel.SMS, brand, MessageClass.TRANSACTIONAL)
        mine = scene.sender.address if scene.sender else scene.text.to
        return other is not None and other.address != mine

    def _appointments_kept(self, connection: Connection, scene: _Scene) -> Outcome | None:
        """Give back what our question offered, where it was asked lately and this answers it (T-6a)."""
        language = wants_to_keep(scene.text.body)
        number = scene.sender.number if scene.sender else None
        asked = inbound.last_asked(connection, scene.known.subject, ASKED_WHAT, number) if language else None
        if language is None or asked is None or self.kit.now() - asked[0] > ANSWERED_WITHIN:
            return None
        taken = [e for e in live_entries(scene.entries) if e.act_id == asked[1]]
        revoked = [e for e in taken if e.reason is Reason.REVOKED_IN_REPLY]
        lifts = [lift(scene.doing, scene.book, e.subject, f"entry:{e.entry_key}", sender=number) for e in revoked]
        added = ledger.append(connection, scene.book, lifts)
        keep_proof(connection, self.kit, scene.doing, [scene.known.subject] if added else [])
        if not added:
            return None
        spoken = replace(scene, reading=replace(scene.reading, language=language))
        return self._answer(spoken, replies.KEPT, True)

    def _stops(self, scene: _Scene) -> list[Entry]:
        """Return what a STOP takes (contract D10; rules.md T-4 to T-6)."""
        number = scene.sender.number if scene.sender else None
        unclear = not scene.wants_to_stop
        flag = INFERRED if scene.reading.kind is TextClass.UNCLEAR else None
        own, at = scene.known.subject, scene.text.sent_at
        if scene.in_europe and not unclear:
            everyone = scene.known.contact if scene.known.contact is not None else own
            first = stop(
                scene.doing, scene.book, everyone, None, reason=Reason.OBJECTION, sender=number, flag=flag, at=at
            )
        else:
            first = stop(scene.doing, scene.book, own, scene.text.channel, sender=number, flag=flag, at=at)
        if unclear or not self._revokes_everything(scene):
            return [first]
        reach = REVOKE_ALL if scene.marketing_sender else flag
        revoked = stop(
            scene.doing, scene.book, own, Channel.SMS, reason=Reason.REVOKED_IN_REPLY, sender=number, flag=reach, at=at
        )
        return [first, revoked]

    def _revokes_everything(self, scene: _Scene) -> bool:
        """True where a STOP ends service texts too: not on a marketing sender, until T-6's date."""
        if scene.text.channel is not Channel.SMS:
            return False
        begun = self.revoke_all_from is not None and self.kit.now().date() >= self.revoke_all_from
        return not scene.marketing_sender or (begun and scene.text.from_.startswith("+1"))

    def _start(self, connection: Connection, scene: _Scene) -> Outcome:
        taken = self._taken_by_stops(scene)
        is_yes = scene.reading.rule == "word:yes"
        if is_yes and self._asked_lately(connection, scene):
            return self._agree(connection, scene)
        if not taken:
            asks = scene.marketing_sender and not is_yes
            if not asks:
                return Outcome(TextClass.START)
            return self._answer(scene, replies.ASK_FOR_YES, asked=ASKED_FOR_YES)
        subjects = dict.fromkeys(entry.subject for entry in taken)
        number = scene.sender.number if scene.sender else 0
        lifts = [lift(scene.doing, scene.book, subject, f"sender:{number}", sender=number) for subject in subjects]
        added = ledger.append(connection, scene.book, lifts)
        keep_proof(connection, self.kit, scene.doing, list(subjects))
        if self.twilio_times:
            self._ask_for_times(connection, scene, taken)
        return self._answer(scene, replies.STARTED, changed=bool(added))

    def _taken_by_stops(self, scene: _Scene) -> list[Entry]:
        """Return the live entries that a START on this sender brings back (S-3)."""
        if scene.sender is None:
            return []
        return [
            entry
            for entry in live_entries(scene.entries)
            if entry.sender == scene.sender.number
            and entry.reason is not None
            and Ender.START in REASONS[entry.reason].ended_by
        ]

    def _ask_for_times(self, connection: Connection, scene: _Scene, taken: Sequence[Entry]) -> None:
        sids = inbound.provider_ids(connection, scene.known.subject, TextClass.STOP)
        payload = {
            "start": scene.text.provider_id,
            "stops": sids,
            "subject": scene.known.subject,
            "act": scene.doing.id,
        }
        if taken and sids:
            key = f"times:{scene.text.provider_id}"
            jobs.add(connection, "twilio_times", payload, key=key, now=self.kit.now())

    def _asked_lately(self, connection: Connection, scene: _Scene) -> bool:
        number = scene.sender.number if scene.sender else None
        asked = inbound.last_asked(connection, scene.known.subject, ASKED_FOR_YES, number)
        by_text = asked[0] if asked else None
        by_page = choices.asked_at(connection, scene.known.subject, Channel.SMS)
        return any(asked is not None and self.kit.now() - asked <= YES_WITHIN for asked in (by_text, by_page))

    def _agree(self, connection: Connection, scene: _Scene) -> Outcome:
        """A YES we asked for is an express consent to what the text named (contract D8)."""
        topics = self.kit.catalogue.marketing_topics(scene.text.channel)
        consents = [
            start(
                scene.doing,
                scene.book,
                scene.known.subject,
                scene.text.channel,
                topic=topic.number,
                kind=ConsentKind.OWN_ACT,
            )
            for topic in topics
        ]
        added = ledger.append(connection, scene.book, consents)
        keep_proof(connection, self.kit, scene.doing, [scene.known.subject])
        return self._answer(scene, replies.STARTED, changed=bool(added))

    def _answer(self, scene: _Scene, situation: str, changed: bool = False, *, asked: str | None = None) -> Outcome:
        spoken = words.first_spoken([scene.reading.language])
        text = None if self._is_silent(scene) else replies.word(situation, self.organisation, spoken)
        return Outcome(scene.reading.kind, changed, text, asked if text is not None else None)

    def _is_silent(self, scene: _Scene) -> bool:
        """True where the provider or the network answered already, or it is too late (W-5, T-7)."""
        number = scene.sender.address if scene.sender else scene.text.to
        by_provider = bool(scene.text.opt_out_type) or (scene.sender is not None and scene.sender.answers == "provider")
        toll_free = number.startswith(_TOLL_FREE) or scene.text.to.startswith(_TOLL_FREE)
        late = self.kit.now() - scene.text.received_at > ANSWER_WITHIN
        return by_provider or toll_free or late

    def _keep(self, connection: Connection, scene: _Scene, outcome: Outcome) -> None:
        """Store the exact words with how they were read (rules.md S-5)."""
        inbound.keep_text(connection, self._kept(scene, outcome))

    def _kept(self, scene: _Scene, outcome: Outcome) -> inbound.KeptText:
        context = f"text:{scene.text.provider_id}".encode()
        return inbound.KeptText(
            provider_id=scene.text.provider_id,
            subject=scene.known.subject,
            channel=scene.text.channel,
            sender=scene.sender.number if scene.sender else None,
            sealed=self.kit.vault.seal_json(
                {"body": scene.text.body, "normalised": scene.reading.normalised}, context=context
            ),
            kind=outcome.kind,
            rule=scene.reading.rule,
            rule_version=RULE_VERSION,
            changed=outcome.changed,
            received_at=self.kit.now(),
            asked=outcome.asked,
            act_id=scene.doing.id,
        )


def _read(text: InboundText) -> Reading:
    """Read our own way and hear the provider's; the wish to stop wins (rules.md W-4)."""
    ours = read_keyword(text.body)
    theirs = (text.opt_out_type or "").upper()
    if theirs == "STOP":
        return Reading(TextClass.STOP, "provider:STOP", ours.language or "en", ours.normalised)
    if ours.kind in {TextClass.STOP, TextClass.UNCLEAR} or not theirs:
        return ours
    kinds = {"START": TextClass.START, "HELP": TextClass.HELP}
    return Reading(kinds.get(theirs, ours.kind), f"provider:{theirs}", ours.language or "en", ours.normalised)


def _standing(scene: _Scene) -> list[Any]:
    number = scene.sender.number if scene.sender else None
    return [fact for fact in scene.book.standing(scene.known) if fact.sender == number or fact.consent]

"""Take people off lists at their own request: by one click, by the page, and back within 30 minutes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from prefs.domain.address import Address, masked
from prefs.domain.ledger import ALL, Entry, Standing, reopened
from prefs.domain.reasons import REASONS, SUPPRESSION_REASONS
from prefs.domain.terms import KIND_OF_CHANNEL, Channel, MessageClass, Reason, Source
from prefs.links import LinkTarget, Purpose
from prefs.services import presses, stopping
from prefs.services.errands import RECORD, Errands
from prefs.services.kit import Kit, keep_proof, open_key, stop
from prefs.services.presses import UNDO_FOR, reference
from prefs.services.stopping import EVERY_CHANNEL, NOTHING_SEEN, Seen
from prefs.storage import jobs, ledger, people
from prefs.storage.people import KnownAddress


@dataclass(frozen=True, slots=True)
class LinkView:
    """What the page behind an unsubscribe link may show: never the address, never other topics (V05).

    ``topic_slug`` is the one topic the link is about, None where it stops all marketing.
    ``stopped_since`` is set once the link's wider stop stands; without a date where the person
    was erased. ``reference`` names the last stop made with this link. ``undone`` is True when
    that stop was taken back. ``language`` is the contact's, None where we do not know it.
    """

    channel: Channel
    masked: str
    topic_slug: str | None
    topic_stopped: bool
    stopped: bool
    stopped_since: datetime | None
    reference: str | None
    can_undo: bool
    undone: bool
    just_pressed: bool
    record_sent: bool
    language: str | None


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """The use cases behind ``/u/<token>``. The token is the authority, whatever else is sent."""

    kit: Kit
    errands: Errands

    def by_link(self, token: str, *, source: str = Source.ONE_CLICK, seen: Seen = NOTHING_SEEN) -> str:
        """Stop what the token names and return the reference; doing it again changes nothing (rules.md E-4).

        Raises:
            InvalidLink: Not a token of ours, or not one for unsubscribing.
            StoreUnavailable: Nothing was stored.
        """
        return self.by_target(self.kit.links.read(token, Purpose.UNSUBSCRIBE), source=source, seen=seen)

    def by_target(self, target: LinkTarget, *, source: str, seen: Seen = NOTHING_SEEN, key: str | None = None) -> str:
        """Stop what a token that was read already names, and return the reference."""
        doing = stopping.by_page(source, self.kit, seen, key=key)
        return reference(stopping.press(self.kit, doing, target, target.channel, self._link_scope(target)))

    def by_page(self, token: str, scope: str, *, seen: Seen = NOTHING_SEEN) -> str:
        """Stop what a button of the page says and return the reference.

        ``scope`` is ``all`` (this channel), ``topic:SLUG``, or ``every_channel`` (contract D18).

        Raises:
            InvalidLink: As ``by_link``.
            UnknownTopic: The scope names a topic that does not exist.
            StoreUnavailable: Nothing was stored.
        """
        target = self.kit.links.read(token, Purpose.UNSUBSCRIBE)
        channel = None if scope == EVERY_CHANNEL else target.channel
        doing = stopping.by_page(Source.UNSUBSCRIBE_PAGE, self.kit, seen, token=token)
        return reference(stopping.press(self.kit, doing, target, channel, stopping.read_scope(self.kit, scope)))

    def by_ticks(self, token: str, slugs: Sequence[str], *, seen: Seen = NOTHING_SEEN) -> str:
        """Stop every topic ticked on the list that is the same for everybody (contract D18).

        Raises: As ``by_page``. Topics that stand stopped already are left as they are.
        """
        target = self.kit.links.read(token, Purpose.UNSUBSCRIBE)
        numbers = [self.kit.catalogue.topic(slug).number for slug in dict.fromkeys(slugs)]
        doing = stopping.by_page(Source.UNSUBSCRIBE_PAGE, self.kit, seen, token=token)
        with self.kit.store.write() as connection:
            known = open_key(connection, self.kit, target.address_key, KIND_OF_CHANNEL[target.channel])
            book = ledger.open_book(connection, [known])
            facts = book.standing(known)
            wanted = [
                stop(doing, book, known.subject, target.channel, scope=number)
                for number in numbers
                if not topic_stopped(facts, number)
            ]
            ledger.append(connection, book, wanted)
            keep_proof(connection, self.kit, doing, [known.subject] if wanted else [])
        return reference(doing.id)

    def check(self, token: str, scope: str) -> None:
        """Refuse a press that could never be stored, before it is kept anywhere. Raises as ``by_page``."""
        self.kit.links.read(token, Purpose.UNSUBSCRIBE)
        stopping.read_scope(self.kit, scope)

    def undo(self, token: str) -> bool:
        """Take back what the last press on the page took; False where that is no longer possible (D19).

        Raises:
            InvalidLink: As ``by_link``.
            StoreUnavailable: Nothing was stored.
        """
        target = self.kit.links.read(token, Purpose.UNSUBSCRIBE)
        return stopping.take_back(self.kit, token, target, Source.UNSUBSCRIBE_PAGE)

    def send_record(self, token: str, language: str) -> None:
        """Send the record of the last press to the link's own address, once per reference (ux P2)."""
        target = self.kit.links.read(token, Purpose.UNSUBSCRIBE)
        with self.kit.store.write() as connection:
            known, book = stopping.look(connection, self.kit, target.address_key)
            pressed = presses.last_press(book.of(known), token) if known else []
            if known is not None and pressed and target.channel is Channel.EMAIL:
                self.errands.send_record(connection, known, pressed[0].act_id, language)

    def view(self, token: str) -> LinkView:
        """Return what the page may show now. Changes nothing (rules.md E-5).

        Raises:
            InvalidLink: As ``by_link``.
            StoreUnavailable: The state cannot be read.
        """
        target = self.kit.links.read(token, Purpose.UNSUBSCRIBE)
        topic = self.kit.catalogue.topic_numbered(target.scope)
        if topic and (topic.retired or topic.message_class is not MessageClass.MARKETING):
            topic = None
        with self.kit.store.read() as connection:
            known, book = stopping.look(connection, self.kit, target.address_key)
            contact = people.contact_of(connection, known.contact) if known and known.contact is not None else None
            last = presses.last_press(book.of(known), token) if known else []
            sent = bool(last) and jobs.exists(connection, RECORD + last[0].act_id)
        entries: list[Entry] = book.of(known) if known else []
        facts = [f for f in (book.standing(known) if known else []) if f.channel in (None, target.channel)]
        since = stopped_since(facts)
        undone = bool(last) and presses.is_undone(entries, last)
        return LinkView(
            channel=target.channel,
            masked=masked_address(self.kit, known),
            topic_slug=topic.slug if topic else None,
            topic_stopped=bool(topic) and topic_stopped(facts, topic.number if topic else ALL),
            stopped=since is not None or any(fact.reason is Reason.ERASED for fact in facts),
            stopped_since=since,
            reference=reference(last[0].act_id) if last else None,
            can_undo=bool(last) and bool(presses.undoable(entries, token, self.kit.now())),
            undone=undone,
            just_pressed=bool(last) and not undone and self.kit.now() - last[0].recorded_at < UNDO_FOR,
            record_sent=sent,
            language=contact.locale if contact else None,
        )

    def _link_scope(self, target: LinkTarget) -> int:
        """A link of a retired or unknown topic stops all marketing on its channel (contract D16)."""
        topic = self.kit.catalogue.topic_numbered(target.scope)
        return target.scope if topic and not topic.retired else ALL


def masked_address(kit: Kit, known: KnownAddress | None) -> str:
    """Return an address as pages show it, or nothing where we hold only its key."""
    clear = kit.clear(known) if known else None
    return masked(Address(known.kind, clear, clear)) if known and clear else ""


def stopped_since(facts: Sequence[Standing]) -> datetime | None:
    """Return when all marketing was stopped, or None where it was not."""
    return max((fact.effective_at for fact in _stops(facts) if fact.scope == ALL and fact.until is None), default=None)


def topic_stopped(facts: Sequence[Standing], topic: int) -> bool:
    """True where a stop covers this topic and nothing let it in again."""
    return any(fact.scope in (ALL, topic) and not reopened(fact, topic, facts) for fact in _stops(facts))


def _stops(facts: Sequence[Standing]) -> list[Standing]:
    return [f for f in facts if f.reason in SUPPRESSION_REASONS and REASONS[f.reason].rule is None]

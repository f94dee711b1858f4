"""Take people off lists at their own request: by one click, by the page, and back within 30 minutes."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from prefs.domain.address import Address, masked
from prefs.domain.ledger import ALL, Entry, Standing, reopened, still_in_force
from prefs.domain.reasons import REASONS, SUPPRESSION_REASONS
from prefs.domain.terms import KIND_OF_CHANNEL, Act, Channel, MessageClass, Source
from prefs.errors import InvalidInput
from prefs.links import LinkTarget, Purpose
from prefs.services.kit import Doing, Kit, act, keep_proof, lift, open_key, stop
from prefs.storage import ledger, people
from prefs.storage.ledger import Book
from prefs.storage.people import KnownAddress

UNDO_FOR = timedelta(minutes=30)
EVERY_CHANNEL = "every_channel"
_REFERENCE_LETTERS = "23456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass(frozen=True, slots=True)
class LinkView:
    """What the page behind an unsubscribe link may show: never the address, never other topics (V05).

    ``topic`` is the name of the one topic the link is about, ``topic_slug`` its slug; both None
    where the link stops all marketing. ``stopped_since`` is set once the link's wider stop
    stands. ``reference`` names the last stop made with this link. ``undone`` is True when that
    stop was taken back.
    """

    channel: Channel
    masked: str
    topic: str | None
    topic_slug: str | None
    topic_stopped: bool
    stopped_since: datetime | None
    reference: str | None
    can_undo: bool
    undone: bool
    just_pressed: bool


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """The use cases behind ``/u/<token>``. The token is the authority, whatever else is sent."""

    kit: Kit

    def by_link(self, token: str, *, source: Source = Source.ONE_CLICK, proof: dict[str, Any] | None = None) -> str:
        """Stop what the token names and return the reference; doing it again changes nothing (rules.md E-4).

        Raises:
            InvalidLink: Not a token of ours, or not one for unsubscribing.
            StoreUnavailable: Nothing was stored.
        """
        target = self.kit.links.read(token, Purpose.UNSUBSCRIBE)
        return self._stop(token, target, target.channel, self._link_scope(target), source, proof)

    def by_page(self, token: str, scope: str, *, proof: dict[str, Any] | None = None) -> str:
        """Stop what a button of the page says and return the reference.

        ``scope`` is ``all`` (this channel), ``topic:SLUG``, or ``every_channel`` (contract D18).

        Raises:
            InvalidLink: As ``by_link``.
            UnknownTopic: The scope names a topic that does not exist.
            StoreUnavailable: Nothing was stored.
        """
        target = self.kit.links.read(token, Purpose.UNSUBSCRIBE)
        channel = None if scope == EVERY_CHANNEL else target.channel
        number = ALL if scope == EVERY_CHANNEL else self._page_scope(scope)
        return self._stop(token, target, channel, number, Source.UNSUBSCRIBE_PAGE, proof)

    def check(self, token: str, scope: str) -> None:
        """Refuse a press that could never be stored, before it is kept anywhere. Raises as ``by_page``."""
        self.kit.links.read(token, Purpose.UNSUBSCRIBE)
        if scope != EVERY_CHANNEL:
            self._page_scope(scope)

    def undo(self, token: str) -> bool:
        """Take back what the last press on the page took; False where that is no longer possible (D19).

        Raises:
            InvalidLink: As ``by_link``.
            StoreUnavailable: Nothing was stored.
        """
        target = self.kit.links.read(token, Purpose.UNSUBSCRIBE)
        with self.kit.store.write() as connection:
            known = open_key(connection, self.kit, target.address_key, KIND_OF_CHANNEL[target.channel])
            book = ledger.open_book(connection, [known], _contacts([known]))
            pressed = _undoable(book.of(known), token, self.kit.now())
            if not pressed:
                return False
            doing = act(Source.UNSUBSCRIBE_PAGE, self.kit.now(), key=f"undo:{pressed[0].act_id}")
            subjects = dict.fromkeys(entry.subject for entry in pressed)
            lifts = [lift(doing, book, subject, f"act:{pressed[0].act_id}") for subject in subjects]
            ledger.append(connection, book, lifts)
        return True

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
            known = people.find(connection, [target.address_key]).get(target.address_key)
            book = _look(connection, known)
        entries = book.of(known) if known else []
        facts = [f for f in (book.standing(known) if known else []) if f.channel in (None, target.channel)]
        since = _stopped_since(facts)
        last = _last_press(entries, token)
        undone = bool(last) and _is_undone(entries, last)
        return LinkView(
            channel=target.channel,
            masked=self._masked(known),
            topic=topic.name if topic else None,
            topic_slug=topic.slug if topic else None,
            topic_stopped=bool(topic) and _topic_stopped(facts, topic.number if topic else ALL),
            stopped_since=since,
            reference=reference(last[0].act_id) if last else None,
            can_undo=bool(_undoable(entries, token, self.kit.now())),
            undone=undone,
            just_pressed=bool(last) and not undone and self.kit.now() - last[0].recorded_at < UNDO_FOR,
        )

    def _stop(
        self,
        token: str,
        target: LinkTarget,
        channel: Channel | None,
        scope: int,
        source: Source,
        proof: dict[str, Any] | None,
    ) -> str:
        doing = act(source, self.kit.now(), proof=proof)
        if source is Source.UNSUBSCRIBE_PAGE:
            doing = _marked(doing, token)
        with self.kit.store.write() as connection:
            known = open_key(connection, self.kit, target.address_key, KIND_OF_CHANNEL[target.channel])
            book = ledger.open_book(connection, [known], _contacts([known]) if channel is None else ())
            subject = known.contact if channel is None and known.contact is not None else known.subject
            wanted = stop(doing, book, subject, channel, scope=scope)
            already = still_in_force(book.standing(known), wanted)
            if already is not None:
                return reference(_act_of(book.of(known), already))
            ledger.append(connection, book, [wanted])
            keep_proof(connection, self.kit, doing, [subject])
        return reference(doing.id)

    def _link_scope(self, target: LinkTarget) -> int:
        """A link of a retired or unknown topic stops all marketing on its channel (contract D16)."""
        topic = self.kit.catalogue.topic_numbered(target.scope)
        return target.scope if topic and not topic.retired else ALL

    def _page_scope(self, scope: str) -> int:
        if scope != "all" and not scope.startswith("topic:"):
            raise InvalidInput("The scope is `all`, `topic:SLUG` or `every_channel`.", field="scope")
        return self.kit.catalogue.scope_number(scope)

    def _masked(self, known: KnownAddress | None) -> str:
        clear = self.kit.clear(known) if known else None
        return masked(Address(known.kind, clear, clear)) if known and clear else ""


def reference(act_id: str) -> str:
    """Return the short reference people read out, like ``NW-7K3M-92QD``."""
    number = int.from_bytes(hashlib.sha256(act_id.encode()).digest()[:8])
    letters = ""
    for _ in range(8):
        number, place = divmod(number, len(_REFERENCE_LETTERS))
        letters += _REFERENCE_LETTERS[place]
    return f"NW-{letters[:4]}-{letters[4:]}"


def _contacts(known: Sequence[KnownAddress]) -> list[int]:
    return [one.contact for one in known if one.contact is not None]


def _mark(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()[:16]


def _marked(doing: Doing, token: str) -> Doing:
    """Name the act after its link, so that only this link can take it back (contract D19)."""
    return Doing(
        f"page_{_mark(token)}_{doing.key}",
        doing.key,
        doing.source,
        doing.occurred_at,
        doing.recorded_at,
        doing.actor,
        doing.proof,
    )


def _last_press(entries: Sequence[Entry], token: str) -> list[Entry]:
    mine = [e for e in entries if e.act is Act.OPT_OUT and e.act_id.startswith(f"page_{_mark(token)}_")]
    last = max(mine, key=lambda entry: entry.id, default=None)
    return [entry for entry in mine if last and entry.act_id == last.act_id]


def _is_undone(entries: Sequence[Entry], pressed: Sequence[Entry]) -> bool:
    newest = max(entries, key=lambda entry: entry.id)
    return newest.act is Act.LIFT and newest.lifts == f"act:{pressed[0].act_id}"


def _undoable(entries: Sequence[Entry], token: str, now: datetime) -> list[Entry]:
    """Return the entries of the last press if nothing newer is recorded and it is recent."""
    pressed = _last_press(entries, token)
    if not pressed or now - pressed[0].recorded_at >= UNDO_FOR:
        return []
    newest = max(entries, key=lambda entry: entry.id)
    return pressed if newest.act_id == pressed[0].act_id else []


def _act_of(entries: Sequence[Entry], fact: Standing) -> str:
    return next(entry.act_id for entry in entries if entry.id == fact.entry_id)


def _look(connection: Connection, known: KnownAddress | None) -> Book:
    """Return the record of one address for reading; no lock is taken."""
    return ledger.open_book(connection, [known] if known else [])


def _stops(facts: Sequence[Standing]) -> list[Standing]:
    return [f for f in facts if f.reason in SUPPRESSION_REASONS and REASONS[f.reason].rule is None]


def _stopped_since(facts: Sequence[Standing]) -> datetime | None:
    return max((fact.effective_at for fact in _stops(facts) if fact.scope == ALL and fact.until is None), default=None)


def _topic_stopped(facts: Sequence[Standing], topic: int) -> bool:
    return any(fact.scope in (ALL, topic) and not reopened(fact, topic, facts) for fact in _stops(facts))

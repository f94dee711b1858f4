"""Brands, topics and senders: what a person can choose, and who the message is from.

Every item has a number that is never used twice, because links carry it for ever (contract D16).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from prefs.domain.ledger import ALL
from prefs.domain.terms import Channel, MessageClass, Need
from prefs.errors import UnknownTopic

HIGHEST_NUMBER = 8191
"""Links have thirteen bits for a scope (contract D17)."""

MERGED = frozenset({Channel.SMS, Channel.VOICE, Channel.WHATSAPP})
"""Channels that people choose as one row, whatever the topics (contract D22)."""


@dataclass(frozen=True, slots=True)
class Brand:
    """Who a message is from."""

    number: int
    slug: str
    name: str
    retired: bool = False


@dataclass(frozen=True, slots=True)
class Topic:
    """What a message is about; ``needs`` says per channel what must be on record.

    A channel that ``needs`` does not name cannot carry the topic. ``exempt`` topics survive a
    revoke-all (rules.md T-6), ``essential`` ones a confirmed restriction (contract D9).
    ``approved_by`` names who allowed an emergency topic. ``translations`` gives name and
    description in other languages.
    """

    number: int
    slug: str
    name: str
    message_class: MessageClass
    needs: Mapping[Channel, Need]
    description: str = ""
    essential: bool = False
    exempt: bool = False
    approved_by: str | None = None
    retired: bool = False
    translations: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    def said(self, language: str) -> tuple[str, str]:
        """Return name and description in a language, or as they were first written."""
        return self.translations.get(language, (self.name, self.description))


@dataclass(frozen=True, slots=True)
class Sender:
    """A from-address or Messaging Service; it carries one message class only (rules.md 5.4).

    ``address`` is what the provider is told (a number, ``MG…``, or ``Name <a@b>``).
    ``inbound`` lists the numbers whose incoming texts belong to it. ``answers`` says who
    answers keywords: ``service`` or ``provider`` (contract D30). With ``clarify`` the answer to a
    STOP that ends every text asks whether appointment texts may stay (rules.md T-6a). ``groups`` maps the email
    provider's unsubscribe groups to topic slugs.
    """

    number: int
    slug: str
    channel: Channel
    message_class: MessageClass
    address: str
    brand: str = "default"
    default: bool = True
    inbound: tuple[str, ...] = ()
    answers: str = "service"
    clarify: bool = False
    groups: Mapping[int, str] = field(default_factory=dict)
    retired: bool = False


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Everything on offer, as one unchanging value; ``revision`` counts its editions."""

    brands: tuple[Brand, ...]
    topics: tuple[Topic, ...]
    senders: tuple[Sender, ...]
    revision: int = 0
    _topics: dict[str, Topic] = field(init=False, repr=False, compare=False)
    _by_number: dict[int, Brand | Topic | Sender] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_topics", {topic.slug: topic for topic in self.topics})
        items: Iterable[Brand | Topic | Sender] = (*self.brands, *self.topics, *self.senders)
        object.__setattr__(self, "_by_number", {item.number: item for item in items})

    @property
    def highest_number(self) -> int:
        """The highest number given so far; they end at ``HIGHEST_NUMBER``."""
        return max(self._by_number, default=0)

    def topic(self, slug: str, *, field: str = "topic") -> Topic:
        """Return the topic, retired or not. Raises ``UnknownTopic`` naming ``field``."""
        found = self._topics.get(slug)
        if found is None:
            raise UnknownTopic("There is no such topic. `prefs topics list` shows the ones there are.", field=field)
        return found

    def topic_numbered(self, number: int) -> Topic | None:
        """Return the topic a link names, or None where the number is not a topic."""
        found = self._by_number.get(number)
        return found if isinstance(found, Topic) else None

    def brand(self, slug: str, *, field: str = "brand") -> Brand:
        """Return the brand. Raises ``UnknownTopic`` naming ``field``."""
        return _named(self.brands, slug, "brand", field)

    def sender(self, slug: str, *, field: str = "sender") -> Sender:
        """Return the sender. Raises ``UnknownTopic`` naming ``field``."""
        return _named(self.senders, slug, "sender", field)

    def sender_numbered(self, number: int) -> Sender | None:
        """Return the sender with this number, or None."""
        found = self._by_number.get(number)
        return found if isinstance(found, Sender) else None

    def default_sender(self, channel: Channel, brand: str, message_class: MessageClass) -> Sender | None:
        """Return who speaks for a brand on a channel when a caller does not say (contract D5)."""
        fitting = [
            sender
            for sender in self.senders
            if not sender.retired
            and (sender.channel, sender.brand, sender.message_class) == (channel, brand, _carried_as(message_class))
        ]
        return next((s for s in fitting if s.default), fitting[0] if fitting else None)

    def topic_of_group(self, group: int | None) -> Topic | None:
        """Return the topic behind an email provider's unsubscribe group, or None where no sender names it."""
        named = (sender.groups[group] for sender in self.senders if group is not None and group in sender.groups)
        slug = next(named, None)
        return self.topic(slug) if slug is not None else None

    def groups_of_topic(self, number: int) -> tuple[int, ...]:
        """Return the email provider's unsubscribe groups that stand for a topic, in order."""
        found = {
            group
            for sender in self.senders
            for group, slug in sender.groups.items()
            if not sender.retired and self.topic(slug).number == number
        }
        return tuple(sorted(found))

    def sender_receiving(self, number: str, service_sid: str | None) -> Sender | None:
        """Return the sender an incoming text was addressed to, by service or by number."""
        by_service = (s for s in self.senders if service_sid and s.address == service_sid)
        by_number = (s for s in self.senders if number == s.address or number in s.inbound)
        return next(by_service, None) or next(by_number, None)

    def marketing_topics(self, channel: Channel) -> tuple[Topic, ...]:
        """Return what can be chosen on a channel, in catalogue order."""
        return tuple(
            topic
            for topic in self.topics
            if topic.message_class is MessageClass.MARKETING and channel in topic.needs and not topic.retired
        )

    def scope_number(self, scope: str, *, field: str = "scope") -> int:
        """Return the number of ``all``, ``brand:x``, ``topic:x`` or ``sender:x``."""
        kind, _, slug = scope.partition(":")
        if scope == "all":
            return ALL
        if kind == "topic" and slug:
            return self.topic(slug, field=field).number
        if kind == "brand" and slug:
            return self.brand(slug, field=field).number
        if kind == "sender" and slug:
            return self.sender(slug, field=field).number
        raise UnknownTopic("A scope is `all`, `brand:SLUG`, `topic:SLUG` or `sender:SLUG`.", field=field)

    def scope_name(self, number: int) -> str:
        """Return a scope the way callers write it."""
        if number == ALL:
            return "all"
        item = self._by_number.get(number)
        kind = type(item).__name__.lower() if item else "topic"
        return f"{kind}:{item.slug if item else number}"


_Item = TypeVar("_Item", Brand, Sender)


def _named(items: Iterable[_Item], slug: str, kind: str, field: str) -> _Item:
    for item in items:
        if item.slug == slug:
            return item
    raise UnknownTopic(f"There is no such {kind}. `prefs topics list` shows the ones there are.", field=field)


def _carried_as(message_class: MessageClass) -> MessageClass:
    """Emergency messages travel by the transactional sender."""
    return MessageClass.TRANSACTIONAL if message_class is MessageClass.EMERGENCY else message_class

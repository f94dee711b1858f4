"""The catalogue as a file, checked; and as a value every process keeps for a few seconds."""

import time
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from importlib import resources
from typing import Any, TypeVar

from prefs.domain.catalogue import HIGHEST_NUMBER, Catalogue, Sender
from prefs.domain.terms import Channel, MessageClass, Need
from prefs.errors import Conflict, InvalidInput, NotFound, StoreUnavailable
from prefs.services import audit
from prefs.storage import catalogue as storage
from prefs.storage import states
from prefs.storage.base import Store
from prefs.storage.catalogue import Item

FRESH_SECONDS = 5

_MARKETING_NEEDS = {c: Need.NO_OBJECTION if c in {Channel.EMAIL, Channel.POSTAL} else Need.CONSENT for c in Channel}
_SERVICE_NEEDS = {c: Need.CONSENT if c is Channel.PUSH else Need.NO_OBJECTION for c in Channel}

DEFAULT_NEEDS: dict[MessageClass, dict[Channel, Need]] = {
    MessageClass.MARKETING: _MARKETING_NEEDS,
    MessageClass.TRANSACTIONAL: _SERVICE_NEEDS,
    MessageClass.EMERGENCY: dict.fromkeys(Channel, Need.NO_OBJECTION),
}
"""What a topic needs where its file does not say (contract section 1)."""

_FIELDS: dict[str, dict[str, type]] = {
    "brand": {"slug": str, "name": str, "retired": bool},
    "topic": {
        "slug": str,
        "name": str,
        "description": str,
        "message_class": str,
        "needs": dict,
        "essential": bool,
        "exempt": bool,
        "approved_by": str,
        "retired": bool,
        "translations": dict,
    },
    "sender": {
        "slug": str,
        "channel": str,
        "message_class": str,
        "address": str,
        "brand": str,
        "default": bool,
        "inbound": list,
        "answers": str,
        "clarify": bool,
        "groups": dict,
        "retired": bool,
    },
}
_REQUIRED = {
    "brand": ("slug", "name"),
    "topic": ("slug", "name", "message_class"),
    "sender": ("slug", "channel", "message_class", "address"),
}


@dataclass
class Catalogues:
    """Reads and changes the catalogue; ``current`` may be up to five seconds old.

    ``messaging_services`` are the settings' Twilio services by message class.
    """

    store: Store
    messaging_services: Mapping[MessageClass, str] = field(default_factory=dict)
    clock: Callable[[], float] = time.monotonic
    _held: Catalogue | None = field(default=None, init=False)
    _until: float = field(default=0.0, init=False)

    def current(self) -> Catalogue:
        """Return the catalogue. Raises ``StoreUnavailable`` only if it was never read before."""
        if self._held is not None and self.clock() < self._until:
            return self._held
        try:
            with self.store.read() as connection:
                self._held = self._with_services(storage.load(connection))
        except StoreUnavailable:
            if self._held is None:
                raise
        self._until = self.clock() + FRESH_SECONDS
        return self._held

    def apply(self, text: str) -> Catalogue:
        """Add and change what a catalogue file describes; all of it or nothing.

        Raises:
            InvalidInput: Something in the file cannot be; the message names the item.
            Conflict: A topic or sender would change its message class, which old links and
                promises forbid: retire it and add another.
        """
        items = parse(text)
        with self.store.write() as connection:
            _refuse_changed_classes(storage.load(connection), items)
            storage.apply(connection, items)
            changed = storage.load(connection)
            if changed.highest_number > HIGHEST_NUMBER:
                raise Conflict("The catalogue has used up its numbers: links have room for 8,191 items.")
        self._held, self._until = self._with_services(changed), self.clock() + FRESH_SECONDS
        return self._held

    def change(self, kind: str, table: dict[str, Any], *, by: str) -> Catalogue:
        """Add or change one item, described as in a catalogue file.

        Raises:
            InvalidInput, Conflict: As ``apply`` does.
        """
        one = item(kind, table)
        with self.store.write() as connection:
            _refuse_changed_classes(storage.load(connection), [one])
            storage.change(connection, one)
            changed = storage.load(connection)
            if changed.highest_number > HIGHEST_NUMBER:
                raise Conflict("The catalogue has used up its numbers: links have room for 8,191 items.")
            about = f"{kind}:{one.slug}"
            audit.note(connection, self.store.now(), by, f"{kind}_changed", about, retired=one.retired)
        self._held, self._until = self._with_services(changed), self.clock() + FRESH_SECONDS
        return self._held

    def table(self, kind: str, slug: str) -> dict[str, Any]:
        """Return an item as a catalogue file would describe it. Raises ``NotFound``."""
        with self.store.read() as connection:
            for one in storage.items(connection):
                if (one.kind, one.slug) == (kind, slug):
                    return {**one.body, "slug": one.slug, "retired": one.retired}
        raise NotFound(f"There is no such {kind}.")

    def choices_about(self, number: int) -> int:
        """Return how many stops and consents name this topic; it counts, so only where it is needed."""
        with self.store.read() as connection:
            return states.naming(connection, number)

    def _with_services(self, stored: Catalogue) -> Catalogue:
        """Put the Messaging Services of the settings in the place of the default text senders."""

        def with_service(sender: Sender) -> Sender:
            service = self.messaging_services.get(sender.message_class)
            if service is None or sender.channel is not Channel.SMS or not sender.default:
                return sender
            return replace(sender, address=service, inbound=(*sender.inbound, sender.address))

        return replace(stored, senders=tuple(with_service(sender) for sender in stored.senders))

    def ensure_default(self) -> None:
        """Put the starting catalogue into an empty database."""
        with self.store.read() as connection:
            empty = not storage.load(connection).topics
        if empty:
            self.apply(resources.files("prefs").joinpath("catalogue.toml").read_text())


def parse(text: str) -> list[Item]:
    """Return the items of a catalogue file, checked one by one.

    Raises:
        InvalidInput: Not TOML, an unknown field, a missing or wrong value.
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput(f"This is not a catalogue file: {error}.", code="bad_toml") from error
    unknown = tables.keys() - _FIELDS.keys()
    if unknown:
        raise InvalidInput(f"Unknown table: {', '.join(sorted(unknown))}. Use [[brand]], [[topic]], [[sender]].")
    return [item(kind, table) for kind in _FIELDS for table in tables.get(kind, [])]


def item(kind: str, table: dict[str, Any]) -> Item:
    """Return one catalogue item, checked. Raises ``InvalidInput`` naming it and the field."""
    name = f"{kind} {table.get('slug', '?')}"
    for key, value in table.items():
        wanted = _FIELDS[kind].get(key)
        if wanted is None or not isinstance(value, wanted):
            raise InvalidInput(f"{name}: `{key}` is unknown or of the wrong type.", field=key)
    for key in _REQUIRED[kind]:
        if not table.get(key):
            raise InvalidInput(f"{name}: `{key}` is missing.", field=key)
    body = {key: value for key, value in table.items() if key not in {"slug", "retired"}}
    _check_slug(table["slug"], name)
    if kind == "topic":
        body["needs"] = _needs(name, body)
        _check_emergency(name, body)
        _check_translations(name, body)
    elif kind == "sender":
        _word(Channel, body["channel"], f"{name}: channel")
        _word(MessageClass, body["message_class"], f"{name}: message_class")
        if body.get("answers", "service") not in {"service", "provider"}:
            raise InvalidInput(f"{name}: `answers` is `service` or `provider`.", field="answers")
    return Item(kind, table["slug"], body, table.get("retired", False))


def _check_slug(slug: str, name: str) -> None:
    if len(slug) > 64 or not all(
        part.isalnum() and part.isascii() and part == part.lower() for part in slug.split("-")
    ):
        raise InvalidInput(
            f"{name}: a slug is lower-case letters, digits and single hyphens, 64 at most.", field="slug"
        )


def _needs(name: str, body: dict[str, Any]) -> dict[str, str]:
    message_class = _word(MessageClass, body["message_class"], f"{name}: message_class")
    stated = {
        _word(Channel, channel, f"{name}: needs"): _word(Need, need, f"{name}: needs")
        for channel, need in body.get("needs", {}).items()
    }
    return {str(channel): str(need) for channel, need in {**DEFAULT_NEEDS[message_class], **stated}.items()}


def _check_emergency(name: str, body: dict[str, Any]) -> None:
    if body["message_class"] == MessageClass.EMERGENCY and not body.get("approved_by"):
        raise InvalidInput(f"{name}: an emergency topic needs `approved_by`, the person who allowed it.")


def _check_translations(name: str, body: dict[str, Any]) -> None:
    for language, said in body.get("translations", {}).items():
        if not isinstance(said, dict) or not said.keys() <= {"name", "description"} or not said.get("name"):
            raise InvalidInput(
                f"{name}: write [topic.translations.{language}] with `name` and `description`.", field="translations"
            )


_Word = TypeVar("_Word", bound=StrEnum)


def _word(words: type[_Word], value: Any, name: str) -> _Word:
    try:
        return words(value)
    except ValueError as error:
        raise InvalidInput(f"{name} does not know `{value}`. Known: {', '.join(words)}.") from error


def _refuse_changed_classes(present: Catalogue, items: list[Item]) -> None:
    classes = {("topic", topic.slug): topic.message_class for topic in present.topics}
    classes |= {("sender", sender.slug): sender.message_class for sender in present.senders}
    for one in items:
        before = classes.get((one.kind, one.slug))
        if before is not None and before != one.body["message_class"]:
            raise Conflict(f"{one.kind} {one.slug} is {before} and stays so. Retire it and add another.")

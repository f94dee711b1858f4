"""One press that stops, and taking it back: shared by every page with a link (contract D18, D19)."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection

from prefs.domain.ledger import ALL, Entry, Standing, still_in_force
from prefs.domain.terms import KIND_OF_CHANNEL, Channel
from prefs.errors import InvalidInput
from prefs.links import LinkTarget
from prefs.services import presses
from prefs.services.kit import Doing, Kit, act, keep_proof, lift, new_address, open_key, stop, write_at_once
from prefs.storage import at_once, ledger, people
from prefs.storage.ledger import Book
from prefs.storage.people import KnownAddress

EVERY_CHANNEL = "every_channel"


@dataclass(frozen=True, slots=True)
class Seen:
    """How a person did something on a page: what they saw, and the device they used.

    ``page`` is its id with the version of its wording and the language; ``device`` is kept
    for 90 days only. ``key`` names this one press, so that a press that went through the
    journal counts once however often it is applied; empty for a key made up on the way.
    """

    page: dict[str, Any]
    device: dict[str, Any]
    key: str = ""


NOTHING_SEEN = Seen({}, {})
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


def by_page(source: str, kit: Kit, seen: Seen, *, token: str | None = None, key: str | None = None) -> Doing:
    """Return an act done on a page; with a token, one that only its link can take back."""
    given = key or seen.key or None
    doing = act(source, kit.now(), key=given, proof=seen.page or None, device=seen.device or None)
    if token:
        return presses.marked(doing, token)
    return replace(doing, id=f"act_{seen.key}") if seen.key else doing


def reference_of(seen: Seen, token: str | None = None) -> str:
    """Return the reference a press will have once it is recorded."""
    doing = Doing("", seen.key, "", _NEVER, _NEVER)
    return presses.reference(presses.marked(doing, token).id if token else f"act_{seen.key}")


def read_scope(kit: Kit, scope: str) -> int:
    """Return the number of ``all``, ``topic:SLUG`` or ``every_channel``, as page buttons say it.

    Raises:
        InvalidInput: Another word.
        UnknownTopic: A topic that does not exist.
    """
    if scope in {"all", EVERY_CHANNEL}:
        return ALL
    if not scope.startswith("topic:"):
        raise InvalidInput("The scope is `all`, `topic:SLUG` or `every_channel`.", field="scope")
    return kit.catalogue.scope_number(scope)


def press(kit: Kit, doing: Doing, target: LinkTarget, channel: Channel | None, scope: int) -> str:
    """Record one stop for the address of a link and return its act; channel None is every channel.

    A stop that stands already is answered with the act that made it stand (rules.md E-4).
    """
    if channel is not None and (done := _press_at_once(kit, doing, target, channel, scope)):
        return done
    with kit.store.write() as connection:
        known = open_key(connection, kit, target.address_key, KIND_OF_CHANNEL[target.channel])
        book = ledger.open_book(connection, [known], contacts_of(known) if channel is None else ())
        subject = known.contact if channel is None and known.contact is not None else known.subject
        wanted = stop(doing, book, subject, channel, scope=scope)
        already = still_in_force(book.standing(known), wanted)
        if already is not None:
            return _act_of(book.of(known), already)
        ledger.append(connection, book, [wanted])
        keep_proof(connection, kit, doing, [subject])
    return doing.id


def _press_at_once(kit: Kit, doing: Doing, target: LinkTarget, channel: Channel, scope: int) -> str | None:
    """Do what ``press`` does in a round trip or three, or return None where it takes more."""
    key = target.address_key
    for seen in at_once.looks(kit.store, key, new_address(key, KIND_OF_CHANNEL[target.channel])):
        wanted = stop(doing, seen.book, seen.known.subject, channel, scope=scope)
        already = still_in_force(seen.book.standing(seen.known), wanted)
        if already is not None:
            return _act_of(seen.book.of(seen.known), already)
        if write_at_once(kit, doing, seen, [wanted]):
            return doing.id
    return None


def take_back(kit: Kit, token: str, target: LinkTarget, source: str) -> bool:
    """Lift what the last press with this link did; False where that is no longer possible (D19)."""
    with kit.store.write() as connection:
        known = open_key(connection, kit, target.address_key, KIND_OF_CHANNEL[target.channel])
        book = ledger.open_book(connection, [known], contacts_of(known))
        entries = bearing(book, known, token)
        pressed = presses.undoable(entries, token, kit.now()) if entries else []
        if not pressed:
            return False
        doing = act(source, kit.now(), key=f"undo:{pressed[0].act_id}")
        subjects = dict.fromkeys(entry.subject for entry in pressed)
        ledger.append(connection, book, [lift(doing, book, one, f"act:{pressed[0].act_id}") for one in subjects])
    return True


def bearing(book: Book, known: KnownAddress, token: str) -> list[Entry]:
    """Return what bears on the last press with a link: all about every subject it touched, and its own."""
    everything = [entry for entries in book.entries.values() for entry in entries]
    touched = {entry.subject for entry in presses.last_press(everything, token)}
    touched |= {known.subject, *contacts_of(known)}
    return [entry for entry in everything if entry.subject in touched]


def look(connection: Connection, kit: Kit, key: bytes) -> tuple[KnownAddress | None, Book]:
    """Return the address behind a key with what is on record; nothing is locked or made."""
    known = people.find(connection, [key]).get(key)
    return known, ledger.open_book(connection, [known] if known else [])


def contacts_of(known: KnownAddress) -> list[int]:
    """Return the contact an address belongs to, as a list of at most one."""
    return [known.contact] if known.contact is not None else []


def _act_of(entries: list[Entry], fact: Standing) -> str:
    return next(entry.act_id for entry in entries if entry.id == fact.entry_id)

"""What the use cases share: the store, the keys, the catalogue, and how facts are worded."""

import base64
import binascii
import hashlib
import json
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from prefs.crypto import AddressKeys, Vault
from prefs.domain.address import Address, parse_address
from prefs.domain.catalogue import Catalogue
from prefs.domain.ledger import ALL, Entry
from prefs.domain.terms import CHANNELS_OF_KIND, Act, AddressKind, Channel, ConsentKind, Reason
from prefs.links import Links
from prefs.services.catalogue import Catalogues
from prefs.storage import at_once, evidence, marks, people
from prefs.storage.at_once import Beside, Look, Writing
from prefs.storage.base import Store
from prefs.storage.ledger import Book
from prefs.storage.people import KnownAddress, Wanted


@dataclass(frozen=True, slots=True)
class Kit:
    """The tools every use case needs; made once by ``wiring.build``."""

    store: Store
    address_keys: AddressKeys
    vault: Vault
    links: Links
    catalogues: Catalogues
    default_region: str

    def now(self) -> datetime:
        """Return the present moment, UTC; tests set it."""
        return self.store.now()

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue, at most a few seconds old."""
        return self.catalogues.current()

    def wanted(self, address: Address) -> Wanted:
        """Return how to find or make the row of an address met in clear text."""

        def seal(key: bytes) -> bytes:
            return self.vault.seal_text(address.original, context=address_context(key))

        return Wanted(self.address_keys.candidates(address), address.kind, seal)

    def clear(self, known: KnownAddress) -> str | None:
        """Return the address as it was given to us, or None where we hold only its key."""
        if known.sealed is None:
            return None
        return self.vault.open_text(known.sealed, context=address_context(known.key))

    def rows_of(self, connection: Connection, known: KnownAddress) -> list[KnownAddress]:
        """Return an address's row and, while hashes are listed, the rows of its own hashes (contract D34)."""
        clear = self.clear(known) if self.address_keys.hashes_listed() else None
        if clear is None:
            return [known]
        address = parse_address(_ANY_CHANNEL[known.kind], clear, default_region=self.default_region)
        found = people.find(connection, self.address_keys.candidates(address)).values()
        return [known, *{one.subject: one for one in found if one.subject != known.subject}.values()]


_ANY_CHANNEL = {kind: channels[0] for kind, channels in CHANNELS_OF_KIND.items()}


def address_context(key: bytes) -> bytes:
    return b"address:" + key


@dataclass(frozen=True, slots=True)
class Doing:
    """One act on its way into the ledger: who did what through which door, and the proof.

    ``key`` makes the same act the same: a webhook's id, a caller's idempotency key, or random.
    ``device`` is where the person did it from; it is forgotten long before the proof (D32).
    """

    id: str
    key: str
    source: str
    occurred_at: datetime
    recorded_at: datetime
    actor: str | None = None
    proof: dict[str, Any] | None = None
    device: dict[str, Any] | None = None

    @property
    def proof_hash(self) -> str | None:
        """What the ledger keeps of the proof: enough to show later that it is the same."""
        if self.proof is None:
            return None
        return hashlib.sha256(json.dumps(self.proof, sort_keys=True, default=str).encode()).hexdigest()


def act(
    source: str,
    now: datetime,
    *,
    key: str | None = None,
    occurred_at: datetime | None = None,
    actor: str | None = None,
    proof: dict[str, Any] | None = None,
    device: dict[str, Any] | None = None,
) -> Doing:
    """Return an act that begins now; without ``key`` it is like no other."""
    number = secrets.token_hex(12)
    return Doing(f"act_{number}", key or number, source, occurred_at or now, now, actor, proof, device)


def stop(
    doing: Doing,
    book: Book,
    subject: int,
    channel: Channel | None,
    *,
    reason: Reason = Reason.UNSUBSCRIBED,
    scope: int = ALL,
    sender: int | None = None,
    until: datetime | None = None,
    flag: str | None = None,
    at: datetime | None = None,
) -> Entry:
    """Return an opt-out as an entry. It counts at receipt unless ``at`` comes from a trusted clock."""
    return _entry(
        doing,
        book,
        subject,
        channel,
        Act.OPT_OUT,
        at,
        scope=scope,
        reason=reason,
        sender=sender,
        until=until,
        flag=flag,
    )


def bad_address(
    doing: Doing,
    book: Book,
    subject: int,
    channel: Channel | None,
    *,
    reason: Reason,
    scope: int = ALL,
    sender: int | None = None,
    at: datetime | None = None,
) -> Entry:
    """Return a fact about whether an address works: never an opt-out (contract D13)."""
    return _entry(doing, book, subject, channel, Act.UNREACHABLE, at, scope=scope, reason=reason, sender=sender)


def start(
    doing: Doing,
    book: Book,
    subject: int,
    channel: Channel,
    *,
    topic: int,
    kind: ConsentKind,
    at: datetime | None = None,
    until: datetime | None = None,
) -> Entry:
    """Return a consent to one topic. A stated time counts only as far back as it was received."""
    return _entry(doing, book, subject, channel, Act.OPT_IN, at, scope=topic, consent=kind, until=until)


def sale_opt_out(doing: Doing, book: Book, subject: int) -> Entry:
    """Return the wish not to have data sold or shared; it says nothing about marketing (rules.md G-8)."""
    return _entry(doing, book, subject, None, Act.SALE_OPT_OUT, None)


def lift(doing: Doing, book: Book, subject: int, names: str, *, sender: int | None = None) -> Entry:
    """Return the end of earlier entries; ``names`` is ``entry:KEY``, ``act:ID`` or ``sender:N``."""
    return _entry(doing, book, subject, None, Act.LIFT, None, lifts=names, sender=sender)


def place_of(channel: Channel | None, scope: int, word: str) -> str:
    """Return the part of an entry's key that says what the fact is about."""
    return f"{channel or 'any'}:{scope}:{word}"


def _entry(
    doing: Doing, book: Book, subject: int, channel: Channel | None, kind: Act, at: datetime | None, **what: Any
) -> Entry:
    # R1: a trusted time never counts later than we received it.
    effective = min(at, doing.recorded_at) if at else book.receipt_time(subject, doing.recorded_at)
    word = what.get("reason") or what.get("consent") or kind
    place = place_of(channel, what.get("scope", ALL), str(word))
    return Entry(
        entry_key=entry_key(doing.key, subject, place, str(what.get("lifts") or "")),
        act_id=doing.id,
        act=kind,
        subject=subject,
        channel=channel,
        source=doing.source,
        effective_at=effective,
        occurred_at=doing.occurred_at,
        recorded_at=doing.recorded_at,
        actor=doing.actor,
        evidence_hash=doing.proof_hash,
        **what,
    )


def entry_key(key: str, subject: int, place: str, names: str) -> str:
    """Return what makes a fact the same fact, whatever its parts' lengths: one digest."""
    return hashlib.sha256("\x1f".join((key, str(subject), place, names)).encode()).hexdigest()


def new_address(key: bytes, kind: AddressKind, sealed: bytes | None = None) -> KnownAddress:
    """Return the row an address will have if it has none yet."""
    return KnownAddress(people.new_subject(), key, kind, sealed, None)


def write_at_once(kit: Kit, doing: Doing, look: Look, entries: Sequence[Entry], beside: Sequence[Beside] = ()) -> bool:
    """Write an act about one address with its proof in one go; False: nothing was written.

    Raises:
        StoreUnavailable: The database cannot take it.
    """
    known = {entry.entry_key for entry in look.book.of(look.known)}
    if not entries or any(entry.entry_key in known for entry in entries):
        return False
    proofs = [
        Beside("evidence", evidence.values(doing.id, subject, sealed, doing.recorded_at, part))
        for part, subject, sealed in _sealed_proofs(kit, doing, [entry.subject for entry in entries])
    ]
    return at_once.write(kit.store, Writing(look, entries, (*proofs, *beside)))


def keep_proof(connection: Connection, kit: Kit, doing: Doing, subjects: list[int]) -> None:
    """Store what proves an act, sealed, beside the ledger, where erasure and retention can reach it."""
    for part, subject, sealed in _sealed_proofs(kit, doing, subjects):
        evidence.add(connection, doing.id, subject, sealed, doing.recorded_at, part)


def keep_proofs(connection: Connection, kit: Kit, proven: Sequence[tuple[Doing, list[int]]]) -> None:
    """Store what proves several acts, each with the subjects it is about, as ``keep_proof`` does for one."""
    evidence.add_many(
        connection,
        [
            evidence.values(doing.id, subject, sealed, doing.recorded_at, part)
            for doing, subjects in proven
            for part, subject, sealed in _sealed_proofs(kit, doing, subjects)
        ],
    )


def _sealed_proofs(kit: Kit, doing: Doing, subjects: Iterable[int]) -> Iterator[tuple[str, int, bytes]]:
    for part, known in ((evidence.PROOF, doing.proof), (evidence.DEVICE, doing.device)):
        for subject in dict.fromkeys(subjects) if known else ():
            yield part, subject, kit.vault.seal_json(known, context=evidence_context(doing.id, subject))


def evidence_context(act_id: str, subject: int) -> bytes:
    """Return what ties a sealed proof to its act and person."""
    return f"evidence:{act_id}:{subject}".encode()


def open_address(connection: Connection, kit: Kit, address: Address) -> KnownAddress:
    """Return the row of one address, locked, made where there was none."""
    return people.open_addresses(connection, [kit.wanted(address)], kit.now())[0]


def open_key(connection: Connection, kit: Kit, key: bytes, kind: AddressKind) -> KnownAddress:
    """Return the row behind a key from a link, locked; the address itself may be unknown (contract D17)."""
    return people.open_addresses(connection, [Wanted((key,), kind)], kit.now())[0]


def write_slip(kit: Kit, what: str, values: dict[str, Any], *, good_for: timedelta) -> str:
    """Return a sealed note for a URL: what the next page has to say, kept nowhere else (contract D21)."""
    note = {"values": values, "until": (kit.now() + good_for).isoformat()}
    return base64.urlsafe_b64encode(kit.vault.seal_json(note, context=f"slip:{what}".encode())).decode().rstrip("=")


def read_slip(kit: Kit, what: str, slip: str) -> dict[str, Any] | None:
    """Return what a note of ours says, or None where it is not ours, for another page, or too old."""
    try:
        sealed = base64.b64decode(slip + "=" * (-len(slip) % 4), altchars=b"-_", validate=True)
        note = kit.vault.open_json(sealed, context=f"slip:{what}".encode())
        if kit.now() >= datetime.fromisoformat(note["until"]):
            return None
    except (binascii.Error, ValueError, KeyError):
        return None
    values: dict[str, Any] = note["values"]
    return values


def how_far(kit: Kit, name: str) -> datetime | None:
    """Return how far a reader of a provider's list got, or None at first."""
    with kit.store.read() as connection:
        return marks.read(connection, name)


def move_mark(kit: Kit, name: str, moment: datetime) -> None:
    """Note how far it got, in a transaction of its own."""
    with kit.store.write() as connection:
        marks.write(connection, name, moment)

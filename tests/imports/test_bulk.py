"""The set-based writer yields exactly what the one-by-one writer would (``storage.bulk``, ``ledger.append``)."""

import base64
import random
from collections.abc import Callable
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from prefs.domain.address import parse_address
from prefs.domain.ledger import Entry
from prefs.domain.terms import AddressKind, Channel
from prefs.services.kit import open_key
from prefs.services.replay import replay
from prefs.storage import bulk, ledger, people
from prefs.storage.bulk import Merged
from prefs.storage.tables import address, address_alias, import_confirmation, standing
from tests.imports.making import bring, counts
from tests.make import World

KEYS = ",".join(base64.b64encode(letter * 32).decode() for letter in (b"a", b"b"))
PEOPLE = 40
WORDS = ("ManualSuppression", "SpamComplaint", "HardBounce")


def one_by_one(connection: Any, shared: Any, forms: Any, facts: Any) -> Merged:
    """Stands in for ``bulk.merge`` and leaves every row to ``ledger.append``."""
    return Merged(0, [], list(range(len(facts))))


def to(number: int, domain: str) -> str:
    return f"p{number}@{domain}.example.com"


def prepare(world: World, domain: str, chance: random.Random) -> None:
    """Give some people a past: stops, consents, contacts, an older key, an earlier list, a bounce."""
    kit = world.services.kit
    for number in range(PEOPLE):
        me, past = to(number, domain), chance.randrange(9)
        if past == 1:
            world.client.post(world.link(to=me, topic=chance.choice([None, "events"])))
        elif past == 2:
            world.consent("email", me)
        elif past == 3:
            world.know(("email", me), ("sms", f"+1{len(domain)}15555{number:04}"), contact=f"{domain}-{number}")
            world.post("/v1/suppressions", {"channel": "any", "contact": f"{domain}-{number}"})
        elif past == 4:
            old = kit.address_keys.candidates(parse_address(Channel.EMAIL, me))[1]
            with kit.store.write() as connection:
                open_key(connection, kit, old, AddressKind.EMAIL)
        elif past == 5:
            world.post("/v1/suppressions", {"channel": "email", "to": me, "source": "import-postmark"})
            if chance.random() < 0.5:
                world.clock.forward(seconds=1)
                world.consent("email", me, "product-offers", occurred_at=world.clock.at.isoformat())
        elif past == 6:
            world.post("/v1/suppressions", {"channel": "email", "to": me, "reason": "hard_bounce"})
        elif past == 7:
            world.know(("email", me), contact=f"{domain}-{number}")


def a_list(domain: str, chance: random.Random) -> str:
    rows = [
        f"{to(chance.randrange(2 * PEOPLE), domain)},{chance.choice(WORDS)},Customer,2020-02-01T10:53:34Z"
        for _ in range(3 * PEOPLE)
    ]
    return "EmailAddress,SuppressionReason,Origin,CreatedAt\n" + "\n".join(rows) + "\n"


def outcome(world: World, domain: str) -> dict[str, Any]:
    """Return what is on record about each person, numbers and random names left out."""
    kit, found = world.services.kit, {}
    with kit.store.read() as connection:
        confirmed = set(connection.execute(select(import_confirmation.c.entry_id)).scalars())
        for number in range(2 * PEOPLE):
            keys = kit.address_keys.candidates(parse_address(Channel.EMAIL, to(number, domain)))
            known = people.find(connection, keys)
            rows = {one.subject: one for one in known.values()}
            entries = [entry for one in rows.values() for entry in _of(connection, one)]
            query = select(standing).where(standing.c.address_key.in_([one.key for one in rows.values()]))
            stands = [
                {name: value for name, value in row._mapping.items() if name not in {"address_key", "entry_id"}}
                for row in connection.execute(query)
            ]
            lasts = connection.execute(select(address.c.last_entry).where(address.c.subject.in_(rows))).scalars().all()
            own = [entry.id for entry in entries if entry.subject in rows]
            aliases = connection.execute(select(address_alias.c.key).where(address_alias.c.subject.in_(rows))).all()
            found[number] = {
                "entries": [_plain(entry) for entry in entries],
                "standing": sorted(stands, key=str),
                "clear": sorted(kit.clear(one) or "" for one in rows.values()),
                "kinds": sorted(one.kind for one in rows.values()),
                "last is right": list(lasts) == [max(own, default=0)] if rows else None,
                "aliases": len(aliases),
                "confirmed": sorted(place for place, entry in enumerate(entries) if entry.id in confirmed),
            }
    return found


def _of(connection: Any, one: people.KnownAddress) -> list[Entry]:
    return ledger.open_book(connection, [one]).of(one)


def _plain(entry: Entry) -> dict[str, Any]:
    # The proof of a press names its link, which differs between the two halves of the world.
    hidden = {"id", "subject", "entry_key", "act_id", *(("evidence_hash",) if entry.source == "one_click" else ())}
    return {one.name: getattr(entry, one.name) for one in fields(Entry) if one.name not in hidden}


@pytest.mark.parametrize("seed", range(4))
def test_the_bulk_writer_yields_the_rows_that_append_would(
    build_world: Callable[..., World], tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = build_world(PREFS_ADDRESS_KEY=KEYS)
    start = world.clock.at
    for domain in ("bulk", "append"):
        world.clock.at = start  # both are made at the same moments
        prepare(world, domain, random.Random(seed))
    world.clock.at = start + timedelta(hours=1)

    reports = []
    for domain, writer in (("bulk", bulk.merge), ("append", one_by_one)):
        monkeypatch.setattr(bulk, "merge", writer)
        reports.append([counts(bring(world, tmp_path, a_list(domain, random.Random(seed + at)))) for at in range(2)])
    a, b = (outcome(world, domain) for domain in ("bulk", "append"))

    assert reports[0] == reports[1]
    masked = str(b).replace("append.example.com", "bulk.example.com")
    assert str(a) == masked
    assert not replay(world.services.kit.store).differing
    assert world.services.sealing.seal().entries == len(world.entries())
    assert not world.services.sealing.verify().problems


def test_most_rows_of_a_new_list_never_meet_the_slow_writer(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[int] = []

    def counted(connection: Any, shared: Any, forms: Any, facts: Any) -> Merged:
        merged = real(connection, shared, forms, facts)
        left.append(len(merged.left))
        return merged

    real = bulk.merge
    monkeypatch.setattr(bulk, "merge", counted)
    world.client.post(world.link(to="p7@example.com"))
    text = "email\n" + "".join(f"p{n}@example.com\n" for n in range(100))

    first, again = bring(world, tmp_path, text), bring(world, tmp_path, text)

    assert (counts(first), counts(again)) == ((100, 0, 0, 0), (0, 100, 0, 0))
    assert left == [1, 0]

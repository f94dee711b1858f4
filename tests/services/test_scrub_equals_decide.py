"""Whatever the store can hold, a scrub and ``decide`` give every row the same answer."""

import base64
import csv
import hashlib
import io
import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import duckdb
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from prefs.domain.address import parse_address
from prefs.domain.decision import Question, RecipientState, decide
from prefs.domain.ledger import Entry, Standing
from prefs.domain.shapes import shape_of, state_of
from prefs.domain.terms import KIND_OF_CHANNEL, Act, AddressKind, Channel, ConsentKind, MessageClass, Reason
from prefs.errors import InvalidAddress
from prefs.services.audience import NOT_A_HASH
from prefs.services.decisions import Asked
from prefs.services.kit import open_address
from prefs.services.scrub import Order
from prefs.storage import ledger, people
from tests.make import NOON, Clock, World, make_entry, make_world

CHANNELS = (Channel.EMAIL, Channel.SMS, Channel.VOICE, Channel.WHATSAPP, Channel.PUSH, Channel.POSTAL)
COUNTRIES = (None, "US", "DE", "GB", "CA")
ZONES = (None, "Europe/Berlin", "America/Los_Angeles", "Nowhere/Land")
ENTRY_REASONS = tuple(reason for reason in Reason if reason not in {Reason.NO_CONSENT, Reason.CONSENT_EXPIRED})
FLAGS = (None, "inferred", "confirmed", "revoke_all")


def random_fact(dice: random.Random, scopes: list[int], channel: Channel) -> Standing:
    consent = dice.random() < 0.4
    return Standing(
        channel=dice.choice((None, channel)),
        scope=dice.choice(scopes),
        fact=str(dice.choice(tuple(ConsentKind)) if consent else dice.choice(ENTRY_REASONS)),
        entry_id=dice.randrange(1, 10_000),
        effective_at=NOON - timedelta(days=dice.randrange(4)),
        until=dice.choice((None, None, NOON - timedelta(days=1), NOON, NOON + timedelta(days=1))),
        sender=dice.choice((None, *scopes)),
        source=dice.choice(("", "letter")),
        flag=dice.choice(FLAGS),
    )


@given(seed=st.integers(0, 2**32))
def test_states_of_one_shape_get_one_answer(seed: int) -> None:
    dice = random.Random(seed)
    channel, scopes = dice.choice(CHANNELS), [0, 1, 2, 3]
    by_slot = {
        (f.channel, f.scope, f.fact): f for f in (random_fact(dice, scopes, channel) for _ in range(dice.randrange(7)))
    }
    facts = tuple({fact.entry_id: fact for fact in by_slot.values()}.values())
    country = dice.choice(COUNTRIES)

    shared = state_of(shape_of(facts, NOON), country, channel, NOON)

    for message_class in (MessageClass.MARKETING, MessageClass.TRANSACTIONAL):
        for sender in (None, 2):
            question = Question(
                channel=channel, message_class=message_class, at=NOON, brand=1, sender=sender, country=country
            )
            mine = decide(question, RecipientState(facts, country=country))
            theirs = decide(question, shared)
            assert (mine.outcome, mine.reason, mine.rule) == (theirs.outcome, theirs.reason, theirs.rule)
    assert shape_of(shared.facts, NOON) == shape_of(facts, NOON)


ADDRESSES: dict[Channel, list[str]] = {
    Channel.EMAIL: [f"p{number}@example.com" for number in range(70)]
    + ["Grüße@Straße.de", "ÄRZTE@example.org", "x@münchen.de", "a.b+c@EXAMPLE.co.uk"],
    Channel.SMS: [f"+1415555{number:04}" for number in range(30)]
    + [f"+4930123{number:04}" for number in range(15)]
    + [f"+5255{number:08}" for number in range(8)]
    + [f"+52{mark}551234{number:04}" for number in range(5) for mark in ("", "1")]
    + [f"+54911{number:08}" for number in range(5)]
    + ["12345", "+18095550100", "+12425550111", "+79261234567", "+99912345678", "+13125550123", "+15125550123"],
    Channel.PUSH: [f"token-{number}:é" if number % 5 == 0 else f"Token {number}" for number in range(20)],
    Channel.POSTAL: [f"REF/{number}" for number in range(20)],
}
ADDRESSES[Channel.VOICE] = ADDRESSES[Channel.WHATSAPP] = ADDRESSES[Channel.SMS]
ODD: dict[Channel, list[str]] = {
    Channel.EMAIL: [
        "P1@Example.COM ", "  p2@example.com", "\tp3@example.com", "p4@example.com\u00a0", "", " ", "nobody", "@",
        "a@b@c.org",
        "\u202ep5@example.com", "p6@example", '"a b"@example.com', "x" * 65 + "@example.com",
        "p7@" + "a" * 320 + ".com",
        "p8@-bad-.com", "p9@exa_mple.com", "GRÜSSE@STRASSE.de", "p10@example.com", "unknown@example.com",
        "a,b@x.org",
        "p11@xn--mnchen-3ya.de", "X@xn--mnchen-3ya.de", "ｐ12@example.com",
    ],
    Channel.SMS: [
        "(415) 555-0001", "4155550002", "+1 415 555 0003", "tel:+14155550004", "whatsapp:+14155550005",
        "+5215500000001", "+521551234000", "+52 1 55 1234 0002", "+541100000001", "+5411000000012", "no digits", "",
        "+0123456789", "١٢٣٤٥", "+１４１５５５５０００６", "12", "+4930123000100000000", "+19005550100",
        "+521234567890",
        "+5212345678901",
    ],
    Channel.PUSH: ["unknown", " Token 1 ", "", "e\u0301", "Token\u200b1"],
    Channel.POSTAL: ["REF/1 ", "ref/1", "", "straße 1"],
}  # fmt: skip
OVER_TWO_LINES = ["p13@example.com\n", "no\nbody"]
ODD[Channel.VOICE] = ODD[Channel.WHATSAPP] = ODD[Channel.SMS]


def fill(world: World, dice: random.Random) -> None:
    """Put random facts about random addresses and contacts on record, through the one writer."""
    kit = world.services.kit
    numbers = [0, *(item.number for item in (*kit.catalogue.topics, *kit.catalogue.brands, *kit.catalogue.senders))]
    with kit.store.write() as connection:
        contacts = [
            people.save_contact(
                connection,
                f"c{number}",
                locale=None,
                country=dice.choice(COUNTRIES),
                time_zone=dice.choice(ZONES),
                now=NOON,
            ).subject
            for number in range(25)
        ]
        for kind in (Channel.EMAIL, Channel.SMS, Channel.PUSH, Channel.POSTAL):
            for text in ADDRESSES[kind]:
                if dice.random() < 0.2:
                    continue
                known = open_address(connection, kit, parse_address(kind, text))
                contact = dice.choice(contacts) if dice.random() < 0.5 else None
                book = ledger.open_book(connection, [known], [contact] if contact else [])
                if contact:
                    known = ledger.join(connection, book, known, contact)
                subjects = [known.subject] + ([contact] if contact and dice.random() < 0.3 else [])
                entries = [
                    random_entry(dice, numbers, dice.choice(subjects)) for _ in range(dice.choice((0, 1, 1, 2, 3, 5)))
                ]
                ledger.append(connection, book, entries)


def random_entry(dice: random.Random, numbers: list[int], subject: int) -> Entry:
    act = dice.choice((Act.OPT_OUT, Act.OPT_OUT, Act.OPT_IN, Act.OPT_IN, Act.UNREACHABLE, Act.SALE_OPT_OUT))
    reason = dice.choice(ENTRY_REASONS) if act in {Act.OPT_OUT, Act.UNREACHABLE} else None
    return make_entry(
        act,
        at=-dice.randrange(5) * 86_400,
        key=f"k{dice.getrandbits(60)}",
        subject=subject,
        channel=dice.choice((None, *CHANNELS)),
        scope=dice.choice((0, 0, *numbers)),
        reason=reason,
        consent=dice.choice(tuple(ConsentKind)) if act is Act.OPT_IN else None,
        sender=dice.choice((None, *numbers)),
        until=dice.choice(
            (None, None, NOON - timedelta(days=1), NOON, NOON + timedelta(hours=5), NOON + timedelta(days=9))
        ),
        flag=dice.choice(FLAGS),
    )


def questions(world: World, dice: random.Random, channel: Channel) -> list[Asked]:
    topics = [topic.slug for topic in world.services.kit.catalogue.topics]
    asked = [Asked(channel=channel, topic=dice.choice(topics)) for _ in range(2)]
    return [
        *asked,
        Asked(channel=channel, topic="product-offers", country=dice.choice(COUNTRIES)),
        Asked(channel=channel, message_class=MessageClass.TRANSACTIONAL),
        Asked(channel=channel, topic="events", at=NOON + timedelta(hours=dice.choice((6, 14)))),
    ]


@dataclass(frozen=True)
class File:
    """How addresses are given: in how many columns, as which hash, in which kind of file."""

    columns: int = 1
    hashed: str | None = None
    ending: str = ".csv"

    @property
    def names(self) -> list[str]:
        return ["address"] if self.columns == 1 else [f"address{number}" for number in range(self.columns)]

    def cell(self, channel: Channel, text: str) -> str:
        """Return what the file says of an address; odd texts stand as they are."""
        if self.hashed is None:
            return text
        try:
            value = parse_address(channel, text).value
        except InvalidAddress:
            return text
        return hashlib.new(self.hashed, value.encode()).hexdigest()

    def write(self, path: Path, rows: Sequence[Sequence[str]]) -> dict[str, int]:
        """Write the rows, numbered, and return the line each number begins at."""
        if self.ending == ".parquet":
            connection = duckdb.connect()
            connection.execute(f"CREATE TABLE people (id INTEGER, {', '.join(f'{one} VARCHAR' for one in self.names)})")
            marks = ", ".join("?" for _ in range(self.columns + 1))
            numbered = [[number, *(cell or None for cell in row)] for number, row in enumerate(rows)]
            connection.executemany(f"INSERT INTO people VALUES ({marks})", numbered)
            connection.table("people").write_parquet(str(path))
            return {str(number): number + 1 for number in range(len(rows))}
        lines, text = {}, io.StringIO(newline="")
        writer = csv.writer(text)
        writer.writerow(("id", *self.names))
        for number, row in enumerate(rows):
            lines[str(number)] = 1 + text.getvalue().count("\n")
            writer.writerow((number, *row))
        path.write_text(text.getvalue(), newline="")
        return lines


Answer = tuple[str, str, str]
"""Outcome or "rejected", reason, and the column that decided; of allowed rows the first alone."""
GRAVITY = ("allowed", "deferred", "blocked", "rejected")


def answers_of_decide(world: World, asked: Asked, rows: Sequence[Sequence[str]], file: File) -> dict[str, Answer]:
    """Return what the gravest answer about any address of a row is, asked one by one."""
    texts = sorted({text for row in rows for text in row if text})
    told = {}
    for text, decision in zip(texts, world.services.decisions.ask_many(asked, texts).decisions, strict=True):
        told[text] = (str(decision.outcome), str(decision.reason or ""))
        try:
            parse_address(asked.channel, text)
        except InvalidAddress as error:
            assert decision.reason is Reason.INVALID_ADDRESS
            told[text] = ("rejected", NOT_A_HASH if file.hashed else error.code)
    found: dict[str, Answer] = {}
    for number, row in enumerate(rows):
        each = [(*told[text], name) for text, name in zip(row, file.names, strict=True) if text]
        gravest = max(each, key=lambda one: GRAVITY.index(one[0]), default=("rejected", "empty", file.names[0]))
        found[str(number)] = gravest if gravest[0] != "allowed" else ("allowed", "", "")
    return found


def compare(
    world: World, asked: Asked, texts: Sequence[str | Sequence[str]], folder: Path, file: File = File()
) -> None:
    """Scrub rows of addresses (or one address a row) and lay the answers beside those of ``decide``."""
    rows = [[text] if isinstance(text, str) else text for text in texts]
    audience, kept, blocked = (folder / f"{part}{file.ending}" for part in ("audience", "kept", "blocked"))
    rejected = folder / "rejected.csv"
    lines = file.write(audience, [[file.cell(asked.channel, text) for text in row] for row in rows])
    expected = answers_of_decide(world, asked, rows, file)

    report = world.services.scrub.run(
        Order(
            audience=audience,
            asked=asked,
            kept=kept,
            blocked=blocked,
            rejected=rejected,
            columns=file.names if file.columns > 1 else (),
            hashed=file.hashed,
        )
    )

    found = {row["id"]: ("allowed", "", "") for row in read(kept)}
    found |= {row["id"]: (row["prefs_outcome"], row["prefs_reason"], row["prefs_column"]) for row in read(blocked)}
    bad = {row["row"].split(",")[0]: row for row in read(rejected)}
    found |= {number: ("rejected", row["reason"], row["column"]) for number, row in bad.items()}
    assert found == expected
    assert {number: int(row["line"]) for number, row in bad.items()} == {number: lines[number] for number in bad}
    assert report.kept + report.blocked + report.rejected == report.rows == len(rows)


def read(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    if path.suffix == ".parquet":
        found = duckdb.connect().read_parquet(str(path))
        texts = [["" if value is None else str(value) for value in row] for row in found.fetchall()]
        return [dict(zip(found.columns, row, strict=True)) for row in texts]
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


FILES = st.builds(
    File,
    columns=st.integers(1, 3),
    hashed=st.sampled_from((None, "sha256", "md5")),
    ending=st.sampled_from((".csv", ".parquet")),
)
SCRUBS = st.lists(st.tuples(st.sampled_from(CHANNELS), st.integers(0, 4), FILES), min_size=4, max_size=6)


def test_every_row_gets_the_answer_decide_gives(
    new_database: Callable[[Path], str], clock: Clock, tmp_path: Path
) -> None:
    """Whatever stands, on every channel, for every question, in any kind of file."""
    numbers = itertools.count()

    # Not shrunk: an example takes seconds, and no seed is simpler than another.
    @settings(max_examples=8, deadline=None, derandomize=True, phases=[Phase.generate])
    @given(seed=st.integers(0, 2**32), registry_copied=st.booleans(), scrubs=SCRUBS)
    def holds(seed: int, registry_copied: bool, scrubs: list[tuple[Channel, int, File]]) -> None:
        dice, folder = random.Random(seed), tmp_path / str(next(numbers))
        folder.mkdir()
        world = make_world(new_database(folder), clock, folder)
        fill(world, dice)
        if registry_copied:
            world.services.decisions.numbers.note_registry_copy(NOON.date())
        for channel, question, file in scrubs:
            asked, texts = questions(world, dice, channel)[question], ADDRESSES[channel] + ODD[channel] + OVER_TWO_LINES
            if file.hashed and KIND_OF_CHANNEL[channel] is AddressKind.PHONE:
                asked, texts = told_by_hash(channel, texts)
            dice.shuffle(texts)
            rows = [[text, *(dice.choice(["", *texts]) for _ in range(file.columns - 1))] for text in texts]
            compare(world, asked, rows, folder, file)
        world.services.kit.store.dispose()

    holds()


def told_by_hash(channel: Channel, texts: Sequence[str]) -> tuple[Asked, list[str]]:
    """Return a question without quiet hours, and numbers without a second form: of a hash nobody can tell either."""
    asked = Asked(channel=channel, message_class=MessageClass.TRANSACTIONAL)
    return asked, [text for text in texts if "52" not in text[:5] and "54" not in text[:5]]


def test_addresses_stored_under_an_older_key_are_found_and_their_states_joined(
    build_world: Callable[..., World], tmp_path: Path
) -> None:
    old, new = (base64.b64encode(letter * 32).decode() for letter in (b"a", b"b"))
    dice = random.Random(3)
    fill(build_world(PREFS_ADDRESS_KEY=old), dice)
    fill(build_world(PREFS_ADDRESS_KEY=new), dice)  # as if the old key had been forgotten: two rows an address

    world = build_world(PREFS_ADDRESS_KEY=f"{new},{old}")

    for channel in (Channel.EMAIL, Channel.SMS):
        for asked in questions(world, dice, channel):
            compare(world, asked, ADDRESSES[channel] + ODD[channel], tmp_path)


def test_lists_of_hashes_are_asked_as_decide_asks_them(world: World, tmp_path: Path) -> None:  # contract D34
    dice, kit = random.Random(9), world.services.kit
    fill(world, dice)
    kit.address_keys.hashes_listed = lambda: True
    for channel in (Channel.EMAIL, Channel.SMS):
        with kit.store.write() as connection:
            for text in ADDRESSES[channel][::3]:
                address = parse_address(channel, text)
                key = dice.choice(kit.address_keys.hash_list_keys(address))
                (known,) = people.open_addresses(connection, [people.Wanted((key,), address.kind)], NOON)
                book = ledger.open_book(connection, [known])
                ledger.append(connection, book, [random_entry(dice, [0, 1, 2], known.subject)])
        for asked in questions(world, dice, channel):
            compare(world, asked, ADDRESSES[channel] + ODD[channel], tmp_path)


def test_a_copy_made_before_changes_answers_as_the_store_does_after_them(world: World, tmp_path: Path) -> None:
    dice = random.Random(7)
    fill(world, dice)
    texts = [*ADDRESSES[Channel.EMAIL], "solo@example.com", "duo@example.com"]
    world.post("/v1/suppressions", {"channel": "email", "to": "duo@example.com", "scope": "topic:events"})
    world.post("/v1/suppressions", {"channel": "any", "contact": "c4"})
    asked = Asked(channel=Channel.EMAIL, topic="product-offers")
    compare(world, asked, texts, tmp_path)
    made = (tmp_path / "var" / "scrub" / "standing-email.duckdb").stat().st_ino

    world.know(("email", "duo@example.com"), contact="c4", country="DE")  # joins, and no entry says so
    compare(world, asked, texts, tmp_path)
    world.know(("email", "solo@example.com"), contact="new", country="CA")
    for number in range(1, 30):
        world.post("/v1/suppressions", {"channel": "any", "to": texts[number]})
    world.know(("email", "solo@example.com"), contact="new", country="US")
    compare(world, asked, texts, tmp_path)
    world.clock.forward(hours=6)  # pauses and consents have ended
    compare(world, asked, texts, tmp_path)
    world.clock.forward(days=10)
    compare(world, asked, texts, tmp_path)

    assert (tmp_path / "var" / "scrub" / "standing-email.duckdb").stat().st_ino == made

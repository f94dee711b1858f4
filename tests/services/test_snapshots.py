"""A snapshot and its deltas give every key the answer ``decide`` gives its address."""

import json
import random
from datetime import timedelta
from pathlib import Path

import pytest

from prefs.domain.address import parse_address
from prefs.domain.terms import Channel
from prefs.errors import InvalidInput, UnknownTopic
from prefs.services.decisions import Asked
from tests.make import World
from tests.services.test_scrub_equals_decide import ADDRESSES, fill

Answers = dict[bytes, tuple[str, str | None]]


def answers(folder: Path, channel: Channel, topic: str) -> Answers:
    import duckdb

    path = folder / "answers" / f"channel={channel}" / f"topic={topic}" / "part-0.parquet"
    return {key: (outcome, reason) for key, outcome, reason in duckdb.sql(
        f"SELECT key, outcome, reason FROM read_parquet('{path}')"
    ).fetchall()}  # fmt: skip


def check(world: World, folder: Path, found: Answers, channel: Channel, topic: str) -> None:
    """Compare every address with ``decide``: its row's answer, or the one for unknown addresses."""
    manifest = json.loads((folder / "manifest.json").read_text())
    part = next(p for p in manifest["parts"] if (p["channel"], p["topic"]) == (channel, topic))
    unknown = (part["unknown_outcome"], part["unknown_reason"])
    texts = [text for text in ADDRESSES[channel] if text.isascii()] + ["unheard.of@example.com"]
    decided = world.services.decisions.ask_many(Asked(channel=channel, topic=topic), texts).decisions
    keys = [world.services.kit.address_keys.key(parse_address(channel, text)) for text in texts]

    assert {text: found.get(key, unknown) for text, key in zip(texts, keys, strict=True)} == {
        text: (str(one.outcome), str(one.reason) if one.reason else None)
        for text, one in zip(texts, decided, strict=True)
    }


@pytest.mark.parametrize("topic", ["product-offers", "events"])
def test_a_snapshot_with_its_deltas_answers_as_decide_does(world: World, tmp_path: Path, topic: str) -> None:
    fill(world, random.Random(11))
    snapshots = world.services.snapshots
    first = snapshots.write(tmp_path / "first", channels=[Channel.EMAIL])
    found = answers(tmp_path / "first", Channel.EMAIL, topic)
    check(world, tmp_path / "first", found, Channel.EMAIL, topic)

    for number in range(0, 40, 3):
        world.post("/v1/suppressions", {"channel": "email", "to": f"p{number}@example.com", "scope": f"topic:{topic}"})
    world.know(("email", "late@example.com"), contact="c2", country="DE")
    world.clock.forward(hours=6)
    second = snapshots.write(tmp_path / "second", channels=[Channel.EMAIL], since=first.position)
    found |= answers(tmp_path / "second", Channel.EMAIL, topic)
    check(world, tmp_path / "second", found, Channel.EMAIL, topic)

    world.clock.forward(days=10)
    snapshots.write(tmp_path / "third", channels=[Channel.EMAIL], since=second.position)
    found |= answers(tmp_path / "third", Channel.EMAIL, topic)
    check(world, tmp_path / "third", found, Channel.EMAIL, topic)


def test_a_row_says_until_when_its_answer_holds_and_what_decided(world: World, tmp_path: Path) -> None:
    import duckdb

    until = (world.clock.at + timedelta(days=1)).isoformat()
    body = {"channel": "email", "to": "ada@example.com", "scope": "topic:events", "reason": "snoozed", "until": until}
    assert world.post("/v1/suppressions", body).status_code == 201

    made = world.services.snapshots.write(tmp_path / "out", channels=[Channel.EMAIL], topics=["events"])

    columns = "outcome, reason, scope, epoch_us(changes_at) // 1000000, ledger_position, policy_version"
    rows = duckdb.sql(f"SELECT {columns} FROM read_parquet('{tmp_path}/out/answers/*/*/*.parquet')").fetchall()
    ends = int((world.clock.at + timedelta(days=1)).timestamp())
    assert rows == [("blocked", "snoozed", "topic:events", ends, 1, made.policy_version)]
    assert [(part.topic, part.unknown_outcome, part.rows) for part in made.parts] == [("events", "allowed", 1)]


def test_nothing_is_written_over_and_no_position_is_invented(world: World, tmp_path: Path) -> None:
    snapshots = world.services.snapshots
    snapshots.write(tmp_path / "one", channels=[Channel.EMAIL])

    with pytest.raises(InvalidInput, match="not empty"):
        snapshots.write(tmp_path / "one")
    with pytest.raises(InvalidInput, match="ledger ends at 0"):
        snapshots.write(tmp_path / "two", since=5)
    with pytest.raises(UnknownTopic):
        snapshots.write(tmp_path / "three", topics=["nope"])

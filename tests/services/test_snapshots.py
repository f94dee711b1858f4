"""A snapshot and its deltas give every key the answer ``decide`` gives its address."""

import base64
import hashlib
import hmac
import json
import random
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from prefs.domain.address import parse_address
from prefs.domain.terms import Channel
from prefs.errors import Conflict, InvalidInput, UnknownTopic
from prefs.services import snapshots
from prefs.services.alone import alone_in
from prefs.services.decisions import Asked
from tests.imports.making import bring
from tests.make import ADA, World
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


def test_a_folder_is_there_whole_or_not_at_all_and_the_same_call_makes_it_again(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that was cut off left a folder without a manifest, and the next one said "not empty"."""
    real, out = snapshots._Job._part, tmp_path / "out"

    def cut_off(job: snapshots._Job, *given: Any) -> snapshots.Part:
        assert not out.exists()
        real(job, *given)
        raise KeyboardInterrupt

    monkeypatch.setattr(snapshots._Job, "_part", cut_off)
    with pytest.raises(KeyboardInterrupt):
        world.services.snapshots.write(out)
    assert [path.name for path in tmp_path.iterdir() if "out" in path.name] == []

    monkeypatch.setattr(snapshots._Job, "_part", real)
    (tmp_path / ".out.work" / "now" / "whole" / "answers").mkdir(parents=True)  # as kill -9 leaves it
    (tmp_path / ".out.work" / "now" / "work.duckdb").write_text("cut off")
    world.services.snapshots.write(out, channels=[Channel.EMAIL])

    assert sorted(path.name for path in out.iterdir()) == ["answers", "manifest.json"]
    assert [path.name for path in tmp_path.iterdir() if "out" in path.name] == ["out"]


def test_two_that_write_one_folder_do_not_mix(world: World, tmp_path: Path) -> None:
    (tmp_path / ".out.work").mkdir()
    with alone_in(tmp_path / ".out.work", "busy"), pytest.raises(Conflict, match="being written already"):
        world.services.snapshots.write(tmp_path / "out")


def test_whoever_waits_hears_how_far_it_is(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prefs.services.engine._WATCH_SECONDS", 0.0001)
    fill(world, random.Random(3))
    heard: list[tuple[str, float, int]] = []

    world.services.snapshots.write(tmp_path / "out", told=lambda *one: heard.append(one))

    assert "writing" in {step for step, _, _ in heard}
    assert all(0 <= fraction <= 1 and rows > 0 for _, fraction, rows in heard)


def test_the_manifest_names_every_key_and_form_that_rows_may_stand_under(
    build_world: Callable[..., World], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A join with the first key alone missed who left before a rotation, or came in by a list of hashes."""
    old, new = (base64.b64encode(letter * 32).decode() for letter in (b"a", b"n"))
    build_world().post("/v1/suppressions", {"channel": "email", "to": ADA})
    world = build_world(PREFS_ADDRESS_KEY=f"{new},{old}")
    rotated = world.services.snapshots.write(tmp_path / "rotated", channels=[Channel.EMAIL], topics=["events"])
    monkeypatch.setattr(world.services.imports.hash_lists, "sleep", lambda seconds: None)
    bring(world, tmp_path, hashlib.md5(b"cy@example.com", usedforsecurity=False).hexdigest() + "\n", channel="email")

    world.services.snapshots.write(tmp_path / "hashed", channels=[Channel.EMAIL], topics=["events"])

    manifest = json.loads((tmp_path / "hashed" / "manifest.json").read_text())
    keys = [base64.b64decode(one) for one in (new, old)]
    assert manifest["keys"] == [hmac.digest(key, b"fingerprint", "sha256").hex()[:16] for key in keys]
    assert (rotated.hashes, sorted(manifest["hashes"])) == ((), ["md5", "sha256"])
    found = answers(tmp_path / "hashed", Channel.EMAIL, "events")
    for address in (ADA, "cy@example.com"):
        forms = [
            address.encode(),
            *(f"{name}:{hashlib.new(name, address.encode()).hexdigest()}".encode() for name in manifest["hashes"]),
        ]
        assert {found.get(hmac.digest(key, form, "sha256")[:16]) for key in keys for form in forms} - {None}


def test_one_key_is_said_to_be_enough_only_where_it_is(build_world: Callable[..., World], tmp_path: Path) -> None:
    world = build_world()
    world.post("/v1/suppressions", {"channel": "email", "to": ADA})
    one = world.services.snapshots.write(tmp_path / "one", channels=[Channel.EMAIL])
    both = base64.b64encode(b"n" * 32).decode() + "," + base64.b64encode(b"a" * 32).decode()
    two = build_world(PREFS_ADDRESS_KEY=both).services.snapshots.write(tmp_path / "two", channels=[Channel.EMAIL])

    assert (one.needs_several_keys, two.needs_several_keys) == (False, True)


def test_nothing_is_written_over_and_no_position_is_invented(world: World, tmp_path: Path) -> None:
    snapshots = world.services.snapshots
    snapshots.write(tmp_path / "one", channels=[Channel.EMAIL])

    with pytest.raises(InvalidInput, match="not empty"):
        snapshots.write(tmp_path / "one")
    with pytest.raises(InvalidInput, match="ledger ends at 0"):
        snapshots.write(tmp_path / "two", since=5)
    with pytest.raises(UnknownTopic):
        snapshots.write(tmp_path / "three", topics=["nope"])

"""A list and the deltas behind it leave nothing out: what is under way, what joined a contact, what ended."""

import csv
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from prefs.domain.address import parse_address
from prefs.domain.terms import Channel
from prefs.errors import InvalidInput, StoreUnavailable
from prefs.services.exports import Exported, ExportRequest
from prefs.services.kit import act, open_address, stop
from prefs.storage import base, ledger
from tests.imports.making import STAFF, bring
from tests.make import ADA, BEN, World
from tests.services.test_snapshots import answers

SLOW = "slow@example.com"
Row = tuple[str, ...]


def export(world: World, path: Path, since: int = 0, **more: object) -> Exported:
    given = {"actor": STAFF, "recipient": "Adverts Ltd", "purpose": "campaign 7", **more}
    return world.services.exports.run(ExportRequest(path=path, since=since, **given))  # type: ignore[arg-type]


def rows_in(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def listed(path: Path, address: str = "to") -> set[Row]:
    """Return what tells the rows of a list apart."""
    return {(row["channel"], row[address], row["scope"], row["reason"]) for row in rows_in(path)}


def suppress(world: World, to: str, **more: object) -> str:
    answer = world.post("/v1/suppressions", {"channel": "email", "to": to, **more})
    assert answer.status_code == 201, answer.text
    number: str = answer.json["id"]
    return number


def lift(world: World, number: str) -> None:
    answer = world.post(f"/v1/suppressions/{number}/lift", {"source": "letter", "evidence": "Letter of 3 May"})
    assert answer.status_code == 200, answer.text


def exported(world: World, folder: Path, since: int) -> tuple[int, bool]:
    """Return the position of an export, and whether the slow writer's opt-out is in it."""
    done = export(world, folder / f"{since}.csv", since)
    return done.position, SLOW in (folder / f"{since}.csv").read_text()


def snapped(world: World, folder: Path, since: int) -> tuple[int, bool]:
    """Return the position of a snapshot, and whether the slow writer's opt-out is in it."""
    place = folder / f"snapshot-{since}"
    done = world.services.snapshots.write(place, channels=[Channel.EMAIL], topics=["events"], since=since or None)
    key = world.services.kit.address_keys.key(parse_address(Channel.EMAIL, SLOW))
    return done.position, answers(place, Channel.EMAIL, "events").get(key, ("allowed", None))[0] == "blocked"


@pytest.mark.parametrize("take", [exported, snapped])
def test_an_opt_out_that_commits_late_is_in_the_list_or_in_its_next_delta(
    world: World, tmp_path: Path, take: Callable[[World, Path, int], tuple[int, bool]]
) -> None:
    """I18: entry 1 was still uncommitted when the list named position 2, and no delta ever showed it."""
    kit = world.services.kit
    with ThreadPoolExecutor(1) as beside:
        with kit.store.write() as connection:
            known = open_address(connection, kit, parse_address(Channel.EMAIL, SLOW))
            book = ledger.open_book(connection, [known])
            ledger.append(connection, book, [stop(act("letter", kit.now()), book, known.subject, Channel.EMAIL)])
            if not kit.store.is_sqlite:  # which has one writer
                suppress(world, "quick@example.com")
            first = beside.submit(take, world, tmp_path, 0)
            time.sleep(1)
        position, there = first.result()
    suppress(world, "later@example.com")

    assert there or take(world, tmp_path, position)[1]


def test_a_list_asks_to_try_again_where_a_writer_takes_too_long(
    build_world: Callable[..., World], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "WRITE_WAIT_SECONDS", 1)
    world = build_world()
    with ThreadPoolExecutor(1) as beside, world.services.kit.store.write() as connection:
        open_address(connection, world.services.kit, parse_address(Channel.EMAIL, SLOW))
        refused = beside.submit(exported, world, tmp_path, 0).exception()

    assert isinstance(refused, StoreUnavailable)
    assert list(tmp_path.glob("*.csv*")) == []


def test_an_address_that_joins_a_contact_brings_older_stops_into_the_next_delta(world: World, tmp_path: Path) -> None:
    world.know(("email", ADA))
    suppress(world, ADA, channel="any")
    first = export(world, tmp_path / "out.csv")
    whole = world.services.snapshots.write(tmp_path / "whole", channels=[Channel.EMAIL], topics=["events"])

    world.know(("email", ADA), ("email", "new@example.com"), ("sms", BEN))
    export(world, tmp_path / "delta.csv", first.position)
    world.services.snapshots.write(
        tmp_path / "delta", channels=[Channel.EMAIL], topics=["events"], since=whole.position
    )

    assert {row["to"] for row in rows_in(tmp_path / "delta.csv")} >= {"new@example.com", f"'{BEN}"}
    key = world.services.kit.address_keys.key(parse_address(Channel.EMAIL, "new@example.com"))
    assert answers(tmp_path / "delta", Channel.EMAIL, "events")[key] == ("blocked", "unsubscribed")


def change_a_lot(world: World) -> Callable[[], None]:
    """Put stops of all sorts on record, and return what ends some and adds others."""
    until = (world.clock.at + timedelta(days=2)).isoformat()
    world.know(("email", ADA), ("sms", BEN))
    whole = suppress(world, ADA, channel="any")
    suppress(world, ADA, scope="topic:events")
    both = [suppress(world, "both@example.com"), suppress(world, "both@example.com", reason="complaint")]
    suppress(world, "open@example.com", scope="topic:events")
    suppress(world, "pause@example.com", reason="snoozed", until=until)
    suppress(world, "stays@example.com")

    def change() -> None:
        world.clock.forward(days=3)
        lift(world, whole)
        lift(world, both[1])
        suppress(world, "new@example.com")
        suppress(world, "pause@example.com", scope="topic:surveys")
        moment = world.clock.at.isoformat()
        assert world.consent("email", "open@example.com", "events", occurred_at=moment).status_code == 201
        world.clock.forward(hours=1)
        lift(world, suppress(world, "again@example.com"))

    return change


@pytest.mark.parametrize("channel", [None, Channel.EMAIL])
def test_a_list_less_what_is_lifted_with_what_is_new_is_the_list_of_now(
    world: World, tmp_path: Path, channel: Channel | None
) -> None:
    change = change_a_lot(world)
    first = export(world, tmp_path / "first.csv", channel=channel)
    change()

    done = export(world, tmp_path / "delta.csv", first.position, channel=channel)

    export(world, tmp_path / "now.csv", channel=channel)
    off = listed(tmp_path / "delta.lifted.csv", "lifted")
    assert listed(tmp_path / "first.csv") - off | listed(tmp_path / "delta.csv") == listed(tmp_path / "now.csv")
    assert {row[1:] for row in off} >= {
        (ADA, "all", "unsubscribed"),
        ("both@example.com", "all", "complaint"),
        ("open@example.com", "topic:events", "unsubscribed"),
        ("pause@example.com", "all", "snoozed"),
    }
    assert not off & listed(tmp_path / "now.csv")
    assert done.lifted == len(off)


def test_a_hash_is_lifted_only_where_nothing_stands_any_more(world: World, tmp_path: Path) -> None:
    change = change_a_lot(world)
    first = export(world, tmp_path / "first.csv", channel=Channel.EMAIL, hashed="sha256")
    change()

    export(world, tmp_path / "delta.csv", first.position, channel=Channel.EMAIL, hashed="sha256")

    assert rows_in(tmp_path / "delta.lifted.csv") == [{"lifted_sha256": sha256(b"open@example.com").hexdigest()}]


def test_a_hash_on_somebody_elses_list_is_not_lifted(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address is known in clear and, apart from that, by a list that holds only its hash: that still stops it."""
    monkeypatch.setattr(world.services.imports.hash_lists, "sleep", lambda seconds: None)
    number = suppress(world, ADA)
    bring(world, tmp_path, sha256(ADA.encode()).hexdigest() + "\n", channel="email")
    position = export(world, tmp_path / "first.csv", hashed="sha256").position
    lift(world, number)

    done = export(world, tmp_path / "delta.csv", position, hashed="sha256")

    assert world.decide()["allowed"] is False
    assert done.lifted == 0


@pytest.mark.parametrize("more", [{}, {"hashed": "md5", "channel": Channel.EMAIL}])
def test_what_is_lifted_is_never_imported_as_a_list_of_stops(
    world: World, tmp_path: Path, more: dict[str, object]
) -> None:
    number = suppress(world, ADA)
    position = export(world, tmp_path / "first.csv", **more).position
    lift(world, number)
    done = export(world, tmp_path / "delta.csv", position, **more)

    with pytest.raises(InvalidInput, match="come off a list"):
        bring(world, tmp_path, (tmp_path / "delta.lifted.csv").read_bytes(), channel=Channel.EMAIL)
    assert done.lifted == 1


def test_a_whole_list_has_no_second_file_and_takes_away_an_older_one(world: World, tmp_path: Path) -> None:
    position = int(suppress(world, ADA).removeprefix("sup_"))
    export(world, tmp_path / "out.csv", position)
    assert (tmp_path / "out.lifted.csv").exists()

    done = export(world, tmp_path / "out.csv")

    assert done.lifted is None
    assert sorted(path.name for path in tmp_path.glob("out*")) == ["out.csv", "out.csv.json"]


def test_a_position_ahead_of_the_ledger_is_refused_and_not_answered_with_an_empty_delta(
    world: World, tmp_path: Path
) -> None:
    suppress(world, ADA)

    with pytest.raises(InvalidInput, match="ledger ends at 1"):
        export(world, tmp_path / "out.csv", 2)

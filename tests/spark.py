"""The join of docs/scale.md on PySpark in local mode, compared with ``prefs scrub``.

    python -m tests.spark

Runs the page's own text, for email and text messages, on a whole snapshot and two deltas, after
the address key was rotated and a list of hashes came in. Needs Java and ``pip install pyspark``,
which the project does not: without them it says so and ends with 0 (with CI set: 1).
"""

import base64
import csv
import hashlib
import importlib.util
import json
import os
import random
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from prefs.domain.terms import Channel
from prefs.services.decisions import Asked
from prefs.services.scrub import Order
from prefs.storage import migrate
from prefs.storage.base import utc_now
from tests.imports.making import bring
from tests.make import World, make_world
from tests.services.test_scrub_equals_decide import ADDRESSES, ODD, fill

PAGE = Path(__file__).parent.parent / "docs" / "scale.md"
OLD, NEW = (base64.b64encode(letter * 32).decode() for letter in (b"a", b"n"))
LAST = 2
COLUMNS = {Channel.EMAIL: "email", Channel.SMS: "phone"}
QUESTIONS = ((Channel.EMAIL, "product-offers"), (Channel.EMAIL, "events"), (Channel.SMS, "events"))
BY_THE_HOUR = {"quiet_hours", "frequency_cap"}
"""Why a scrub holds somebody back whom a snapshot allows: the time of day is asked at hand-over."""


def main() -> int:
    missing = [name for name, there in (("Java", shutil.which("java")), ("pyspark", _has_pyspark())) if not there]
    if missing:
        print(f"Skipped: {' and '.join(missing)} is not installed.")
        return 1 if os.environ.get("CI") else 0
    with tempfile.TemporaryDirectory() as name:
        return compare(Path(name))


def compare(folder: Path) -> int:
    url = f"sqlite:///{folder / 'prefs.db'}"
    migrate.upgrade(url)
    before = _world(url, folder, OLD)
    fill(before, random.Random(5))
    before.services.kit.store.dispose()
    world = _world(url, folder, f"{NEW},{OLD}")
    for channel, column in COLUMNS.items():
        _write_people(folder / column, column, _people(channel))
    _move_and_snapshot(world, folder)
    os.environ["PREFS_ADDRESS_KEY"] = f"{NEW},{OLD}"
    spark = _spark(folder)
    wrong = sum(_compare_question(world, spark, folder, *question) for question in QUESTIONS)
    spark.stop()
    print("The same." if not wrong else f"{wrong} rows differ.")
    return 1 if wrong else 0


def _world(url: str, folder: Path, keys: str) -> World:
    return make_world(url, utc_now, folder, PREFS_ADDRESS_KEY=keys)  # type: ignore[arg-type]  # Spark has no other clock


def _people(channel: Channel) -> list[str]:
    people = [*ADDRESSES[channel], *ODD[channel]]
    if channel is Channel.SMS:
        return [*people, *(f"+1312555{number:04}" for number in range(2_000))]
    people += [*(f"p{number}@example.com" for number in range(5_000)), "p3@example.com\n"]
    return [*people, *(f"joined{number}@example.com" for number in range(LAST))]


def _write_people(folder: Path, column: str, people: list[str]) -> None:
    import duckdb

    folder.mkdir()
    with (folder / "people.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("id", column), *enumerate(people)])
    (folder / "people").mkdir()
    source = f"read_csv('{folder / 'people.csv'}', header=true, all_varchar=true, delim=',', quote='\"')"
    duckdb.sql(f"COPY (FROM {source}) TO '{folder / 'people' / 'part.parquet'}' (FORMAT parquet)")


def _move_and_snapshot(world: World, folder: Path) -> None:
    """Write a whole snapshot and two deltas, with stops, consents, joins and lists of hashes in between."""
    snapshots, position = world.services.snapshots, None
    for number in range(LAST + 1):
        made = snapshots.write(folder / "prefs" / f"{number:04}", channels=list(COLUMNS), since=position)
        position = made.position
        print(
            f"snapshot {number}: {sum(part.rows for part in made.parts)} rows, hashes: {', '.join(made.hashes) or '–'}"
        )
        if number == LAST:
            break
        for one in range(number, 600, 4):
            world.post("/v1/suppressions", {"channel": "email", "to": f"p{one}@example.com"})
            world.consent("sms", f"+1312555{one:04}")
        world.know(("email", f"joined{number}@example.com"), contact=f"c{number}", country="DE")
        _bring_hashes(world, folder, ("sha256", "md5")[number])


def _bring_hashes(world: World, folder: Path, kind: str) -> None:
    """Stop some people of whom the list holds a hash alone, some that we know among them."""
    for channel, people in (
        (Channel.EMAIL, [f"p{number}@example.com" for number in range(590, 700)]),
        (Channel.SMS, [f"+1312555{number:04}" for number in range(590, 700)]),
    ):
        digests = [hashlib.new(kind, one.encode(), usedforsecurity=False).hexdigest() for one in people]
        bring(world, folder, "\n".join(digests) + "\n", channel=channel)


def _compare_question(world: World, spark: Any, folder: Path, channel: Channel, topic: str) -> int:
    found = _ask_spark(spark, folder, channel, topic)
    expected = _scrubbed(world, folder / COLUMNS[channel], channel, topic)
    odd = {number for number, answer in found.items() if answer[1] == "not_canonical"}
    asked = [number for number in expected if number not in odd]
    wrong = [number for number in asked if found[number] != expected[number]]
    missed = [number for number in wrong if found[number][0] == "allowed"]
    print(
        f"{channel}, {topic}: {len(found)} rows, {_allowed(expected)} kept by prefs scrub, {_allowed(found)} by Spark, "
        f"{len(odd)} not canonical, {len(missed)} missed, {len(wrong)} different"
    )
    return len(wrong)


def _ask_spark(spark: Any, folder: Path, channel: Channel, topic: str) -> dict[str, tuple[str, str | None]]:
    """Run the page's own lines: the first block of Python and of SQL; for telephones the second of SQL within it."""
    page = PAGE.read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    query, by_phone = re.findall(r"```sql\n(.*?)```", page, re.DOTALL)
    if channel is Channel.SMS:
        query = re.sub(r"SELECT \*, CASE.*?AS canonical", lambda _: by_phone.strip(), query, flags=re.DOTALL)
    query = query.replace("channel=email/topic=product-offers", f"channel={channel}/topic={topic}")
    query = query.replace("/data/people", f"{folder / COLUMNS[channel]}/people").replace("/data/", f"{folder}/")
    manifest = json.loads((folder / "prefs" / f"{LAST:04}" / "manifest.json").read_text())
    part = next(one for one in manifest["parts"] if (one["channel"], one["topic"]) == (channel, topic))
    names = {"spark": spark, "manifest": manifest, "part": part, "query": query}
    exec(code, names)
    return {row["id"]: (row["outcome"], row["reason"]) for row in names["decided"].collect()}


def _scrubbed(world: World, folder: Path, channel: Channel, topic: str) -> dict[str, tuple[str, str | None]]:
    kept, blocked = folder / f"{topic}.csv", folder / f"{topic}.blocked.csv"
    order = Order(
        audience=folder / "people.csv",
        asked=Asked(channel=channel, topic=topic),
        kept=kept,
        blocked=blocked,
        columns=(COLUMNS[channel],),
    )
    world.services.scrub.run(order)
    answers: dict[str, tuple[str, str | None]] = {row["id"]: ("allowed", None) for row in _read(kept)}
    for row in _read(blocked):
        timed = row["prefs_reason"] in BY_THE_HOUR
        answers[row["id"]] = ("allowed", None) if timed else (row["prefs_outcome"], row["prefs_reason"])
    return answers


def _allowed(answers: dict[str, tuple[str, str | None]]) -> int:
    return sum(outcome == "allowed" for outcome, _ in answers.values())


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _spark(folder: Path) -> Any:
    from pyspark.sql import SparkSession

    settings = {
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": "2",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
    }
    builder = SparkSession.builder.master("local[2]").appName("prefs")
    for name, value in settings.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    return session


def _has_pyspark() -> bool:
    return importlib.util.find_spec("pyspark") is not None


if __name__ == "__main__":
    sys.exit(main())

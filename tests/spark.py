"""The join of docs/scale.md on PySpark in local mode, compared with ``prefs scrub``.

    python -m tests.spark

Runs the page's own text on a whole snapshot and two deltas. Needs Java and ``pip install
pyspark``, which the project does not: without them it says so and ends with 0 (with CI set: 1).
"""

import base64
import csv
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
from tests.make import World, make_world
from tests.services.test_scrub_equals_decide import ADDRESSES, ODD, fill

PAGE = Path(__file__).parent.parent / "docs" / "scale.md"
LAST = 2
TOPICS = ("product-offers", "events")


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
    world = make_world(url, utc_now, folder)  # type: ignore[arg-type]  # the real clock: Spark has no other
    people = [*ADDRESSES[Channel.EMAIL], *ODD[Channel.EMAIL], *(f"p{number}@example.com" for number in range(5_000))]
    people += [f"joined{number}@example.com" for number in range(LAST)]
    _write_people(folder, people)
    _move_and_snapshot(world, folder / "prefs")
    spark = _spark(folder)
    wrong = sum(_compare_topic(world, spark, folder, topic) for topic in TOPICS)
    spark.stop()
    print("The same." if not wrong else f"{wrong} rows differ.")
    return 1 if wrong else 0


def _write_people(folder: Path, people: list[str]) -> None:
    import duckdb

    with (folder / "people.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("id", "email"), *enumerate(people)])
    (folder / "people").mkdir()
    source = f"read_csv('{folder / 'people.csv'}', header=true, all_varchar=true, delim=',', quote='\"')"
    duckdb.sql(f"COPY (FROM {source}) TO '{folder / 'people' / 'part.parquet'}' (FORMAT parquet)")


def _move_and_snapshot(world: World, folder: Path) -> None:
    """Write a whole snapshot and two deltas, with stops, consents and joins in between."""
    fill(world, random.Random(5))
    snapshots, position = world.services.snapshots, None
    for number in range(LAST + 1):
        made = snapshots.write(folder / f"{number:04}", channels=[Channel.EMAIL], since=position)
        position = made.position
        print(f"snapshot {number}: {', '.join(f'{part.topic} {part.rows}' for part in made.parts)} rows")
        if number == LAST:
            break
        for one in range(number, 600, 4):
            world.post("/v1/suppressions", {"channel": "email", "to": f"p{one}@example.com"})
        world.know(("email", f"joined{number}@example.com"), contact=f"c{number}", country="DE")


def _compare_topic(world: World, spark: Any, folder: Path, topic: str) -> int:
    manifest = json.loads((folder / "prefs" / "0000" / "manifest.json").read_text())
    part = next(one for one in manifest["parts"] if one["topic"] == topic)
    page = PAGE.read_text()
    query = re.search(r"```sql\n(.*?)```", page, re.DOTALL)[1].replace("/data/", f"{folder}/")
    names = {
        "base64": base64,
        "os": os,
        "spark": spark,
        "part": part,
        "query": query.replace("topic=product-offers", f"topic={topic}"),
    }
    exec(re.search(r"```python\n(.*?)```", page, re.DOTALL)[1], names)  # the page's own lines
    found = {row["id"]: (row["outcome"], row["reason"]) for row in names["decided"].collect()}
    kept, blocked = folder / f"{topic}.csv", folder / f"{topic}.blocked.csv"
    order = Order(
        audience=folder / "people.csv",
        asked=Asked(channel=Channel.EMAIL, topic=topic),
        kept=kept,
        blocked=blocked,
        columns=("email",),
    )
    report = world.services.scrub.run(order)
    expected = {row["id"]: ("allowed", None) for row in _read(kept)}
    expected |= {row["id"]: ("blocked", row["prefs_reason"]) for row in _read(blocked)}
    odd = {number for number, answer in found.items() if answer[1] == "not_canonical"}
    wrong = [number for number in expected if number not in odd and found[number] != expected[number]]
    print(
        f"{topic}: {report.rows} rows, {report.kept} kept by prefs scrub, "
        f"{sum(answer[0] == 'allowed' for answer in found.values())} by Spark, {len(odd)} not canonical, "
        f"{len(wrong)} different"
    )
    return len(wrong)


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _spark(folder: Path) -> Any:
    from pyspark.sql import SparkSession

    os.environ["PREFS_ADDRESS_KEY"] = base64.b64encode(b"a" * 32).decode()
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

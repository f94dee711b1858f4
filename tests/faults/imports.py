"""``kill -9`` in the middle of an import, again and again, while people on the list opt out (I09, I10).

    python -m tests.faults.imports --database postgres --kills 50 --rows 300000

Exit 1 where a row was taken twice or not at all, the report does not add up, an address on the
list may be written to, the state differs from the ledger, or too few kills hit the import.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sqlalchemy import func, select

from prefs.domain.terms import Channel
from prefs.services.decisions import Asked
from prefs.services.replay import replay
from prefs.services.suppression import Wish
from prefs.storage.tables import ledger_entry
from tests.faults.service import Running, running


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", choices=["sqlite", "postgres"], required=True)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--rows", type=int, default=300_000)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, running(wanted.database, Path(folder)) as service:
        file = Path(folder) / "list.csv"
        listed = [f"p{number}@example.com" for number in range(wanted.rows)]
        bad = wanted.rows // 1_000
        lines = [*listed, *["broken"] * bad, *listed[:bad]]
        random.shuffle(lines)
        file.write_text("email\n" + "\n".join(lines) + "\n")
        kills = _import_until_done(service, file, listed, wanted.kills)
        return _judge(service, listed, bad, kills)


def _command(service: Running, *words: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "prefs", *words]
    return subprocess.Popen(
        command, env=service.environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    )


def _import_until_done(service: Running, file: Path, listed: list[str], most: int) -> int:
    """Kill the import at random moments until it finishes or was killed ``most`` times; then let it finish."""
    made, kills = service.services(), 0
    while True:
        process = _command(service, "import", str(file), "--json")
        wishes = [Wish(channel=Channel.EMAIL, to=random.choice(listed), source="letter") for _ in range(5)]
        made.suppressions.add_many(wishes)
        try:
            if process.wait(random.uniform(1.0, 4.0) if kills < most else None) == 0:
                return kills
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            kills += 1


def _judge(service: Running, listed: list[str], bad: int, kills: int) -> int:
    made = service.services()
    begun = next(place.name for place in made.imports.folder.glob("imp_*"))
    found = made.imports.view(begun)
    with made.kit.store.read() as connection:
        mine = ledger_entry.c.act_id == begun
        entries = connection.execute(select(func.count()).where(mine)).scalar_one()
        people = connection.execute(select(func.count(ledger_entry.c.subject.distinct())).where(mine)).scalar_one()
    allowed = 0
    for start in range(0, len(listed), 50_000):
        asked = Asked(channel=Channel.EMAIL, topic="product-offers")
        allowed += sum(one.allowed for one in made.decisions.ask_many(asked, listed[start : start + 50_000]).decisions)
    differing = len(replay(made.kit.store).differing)
    counts = {name: getattr(found, name) for name in ("added", "already", "invalid", "ignored")}
    true = counts == {"added": len(listed), "already": bad, "invalid": bad, "ignored": 0}
    database = service.environment["DATABASE_URL"].partition(":")[0]
    print(
        f"{database}: {kills} kills, {found.status}, {json.dumps(counts)}; "
        f"{entries} entries about {people} people; still allowed: {allowed}; state differs for {differing}; "
        f"the report is {'true' if true else 'FALSE'}"
    )
    right = true and entries == people == len(listed) and not allowed and not differing and found.status == "done"
    if kills < 3:
        print("too tame to prove anything")
    return 0 if right and kills >= 3 else 1


if __name__ == "__main__":
    started = time.monotonic()
    code = main()
    print(f"{time.monotonic() - started:.0f} s")
    sys.exit(code)

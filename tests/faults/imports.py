"""``kill -9`` in the middle of an import, again and again, while people on the list opt out (I09, I10).

    python -m tests.faults.imports --database postgres --kills 50 --rows 300000

From the first start of an import to its end people of the list opt out, one after the other,
through a door of their own. Exit 1 where a row was taken twice or not at all, an opt-out that was
answered is not on record, the report does not add up, an address on the list may be written to,
the state differs from the ledger, an import ended unharmed, or it was too tame: few kills in the
middle, few opt-outs, none of them while parts were merged. One list after the other, until the
kills are used up; printed is where each hit.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from sqlalchemy import func, select

from prefs.domain.terms import Channel
from prefs.errors import StoreUnavailable
from prefs.services.decisions import Asked
from prefs.services.replay import replay
from prefs.services.suppression import SuppressionView, Wish
from prefs.storage.imports import Import
from prefs.storage.tables import ledger_entry, standing
from prefs.wiring import Services
from tests.faults.service import Running, running

_SOURCE = "letter"
_PAUSE_SECONDS = 0.005


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=["sqlite", "postgres"], required=True)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument(
        "--opt-outs", type=int, default=1_000, help="fewer than this many while lists are read and merged prove nothing"
    )
    wanted = parser.parse_args()
    left = Counter[str]()
    with tempfile.TemporaryDirectory() as folder, running(wanted.database, Path(folder)) as service:
        hits, lists, right = list[str](), 0, True
        while len(hits) < wanted.kills and right:
            listed = [f"l{lists}.{number}@example.com" for number in range(wanted.rows)]
            bad = wanted.rows // 1_000
            lines = [*listed, *["broken"] * bad, *listed[:bad]]
            random.shuffle(lines)
            file = Path(folder) / f"list-{lists}.csv"
            file.write_text("email\n" + "\n".join(lines) + "\n")
            leaving = _Leaving(service.services(), listed)
            hit = _import_until_done(service, file, leaving, wanted.kills - len(hits))
            right = _judge(service, listed, bad, hit, leaving.ids)
            left += leaving.when
            hits, lists = hits + hit, lists + 1
            if not hit:
                print("finished before the first kill: make the list longer")
                return 1
    amid = [one for one in hits if one not in {"before", "done"}]
    print(f"{len(hits)} kills in {lists} lists, {len(amid)} in the middle; opt-outs: {json.dumps(left)}")
    tame = len(amid) < 3 or left["reading"] + left["merging"] < wanted.opt_outs or not left["merging"]
    if tame:
        print("too tame to prove anything")
    return 0 if right and not tame else 1


class _Leaving(threading.Thread):
    """People of a list who opt out, one after the other, until ``stop``.

    ``ids`` are the opt-outs that were answered, ``when`` how many of them came in which phase of the import.
    """

    def __init__(self, made: Services, listed: Sequence[str]) -> None:
        super().__init__(daemon=True)
        self._made, self._people = made, random.sample(listed, len(listed))
        self._earlier, self._over = _newest(made), threading.Event()
        self.ids: list[str] = []
        self.when: Counter[str] = Counter()

    def run(self) -> None:
        for person in self._people:
            if self._over.wait(_PAUSE_SECONDS):
                return
            with suppress(StoreUnavailable):  # nobody was told that this one counts
                self._opt_out(person)

    def _opt_out(self, person: str) -> None:
        (answer,) = self._made.suppressions.add_many([Wish(channel=Channel.EMAIL, to=person, source=_SOURCE)])
        assert isinstance(answer, SuppressionView), answer
        self.ids.append(answer.id)
        phase = _place(_newest(self._made), self._earlier)
        self.when["merging" if phase.startswith("part") else phase] += 1

    def stop(self) -> None:
        """Let the last one finish."""
        self._over.set()
        self.join()


def _command(service: Running, *words: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "prefs", *words]
    return subprocess.Popen(
        command, env=service.environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    )


def _import_until_done(service: Running, file: Path, leaving: _Leaving, most: int) -> list[str]:
    """Kill the import at random moments, ``most`` times at most, until it finishes; return where each hit it."""
    leaving.start()
    try:
        return _import_and_kill(service, file, most)
    finally:
        leaving.stop()


def _import_and_kill(service: Running, file: Path, most: int) -> list[str]:
    made = service.services()
    earlier = _newest(made)
    hit: list[str] = []
    while True:
        process = _command(service, "import", str(file), "--json")
        try:
            if process.wait(random.uniform(1.0, 4.0) if len(hit) < most else None) == 0:
                return hit
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            hit.append(_place(_newest(made), earlier))
            if hit[-1] == "done":
                return hit


def _newest(made: Services) -> Import | None:
    return next(iter(made.imports.page(1)), None)


def _place(found: Import | None, earlier: Import | None) -> str:
    """Return how far the import was: not begun, reading, after so many parts, or done and about to say so."""
    if found is None or (earlier is not None and found.id == earlier.id):
        return "before"
    return {"queued": "reading", "running": f"part {found.next_part}"}.get(found.status, found.status)


def _judge(service: Running, listed: list[str], bad: int, hit: list[str], left: list[str]) -> bool:
    made = service.services()
    found = made.imports.page(1)[0]
    begun = found.id
    with made.kit.store.read() as connection:
        mine = ledger_entry.c.act_id == begun
        entries = connection.execute(select(func.count()).where(mine)).scalar_one()
        people = connection.execute(select(func.count(ledger_entry.c.subject.distinct())).where(mine)).scalar_one()
        theirs = select(ledger_entry.c.id).where(ledger_entry.c.source == _SOURCE)
        kept = {f"sup_{number}" for number in connection.execute(theirs).scalars()}
        # What came after the upload stands in its own name: nothing but a later word of the person ends it.
        later = theirs.where(ledger_entry.c.effective_at > found.uploaded_at).subquery()
        stands = select(standing.c.entry_id).where(standing.c.entry_id == later.c.id).exists()
        gone = select(func.count()).select_from(later).where(~stands)
        lost = len(set(left) - kept) + connection.execute(gone).scalar_one()
    allowed = 0
    for start in range(0, len(listed), 50_000):
        asked = Asked(channel=Channel.EMAIL, topic="product-offers")
        allowed += sum(one.allowed for one in made.decisions.ask_many(asked, listed[start : start + 50_000]).decisions)
    differing = len(replay(made.kit.store).differing)
    counts = {name: getattr(found, name) for name in ("added", "already", "invalid", "ignored")}
    true = counts == {"added": len(listed), "already": bad, "invalid": bad, "ignored": 0}
    database = service.environment["DATABASE_URL"].partition(":")[0]
    print(
        f"{database}: {len(hit)} kills ({', '.join(hit)}), {found.status}, {json.dumps(counts)}; "
        f"{entries} entries about {people} people; "
        f"{len(left)} opt-outs meanwhile, lost: {lost}; still allowed: {allowed}; state differs for {differing}; "
        f"the report is {'true' if true else 'FALSE'}"
    )
    whole = entries == people == len(listed) and not lost and len(set(left)) == len(left)
    return true and whole and not allowed and not differing and found.status == "done"


if __name__ == "__main__":
    started = time.monotonic()
    code = main()
    print(f"{time.monotonic() - started:.0f} s")
    sys.exit(code)

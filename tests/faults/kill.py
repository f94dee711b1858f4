"""``kill -9`` of the whole service during a load of opt-outs: is an acknowledged one ever missing?

    python -m tests.faults.kill --database sqlite --kills 20 --acknowledged 2000

Exit 1 where an acknowledged opt-out does not block afterwards, where the state differs from the
ledger, or where the run was too tame to prove anything.
"""

import argparse
import random
import secrets
import sys
import tempfile
import threading
import time
from pathlib import Path

import requests

from prefs.domain.ledger import ALL
from prefs.domain.terms import Channel
from prefs.services.decisions import Asked
from prefs.services.replay import replay
from tests.faults.service import Running, running

CLIENTS = 8


class Load:
    """Clients that unsubscribe one fresh address after another and note each 200."""

    def __init__(self, service: Running) -> None:
        self.service = service
        self.made = service.services()
        self.acknowledged: list[str] = []
        self.unanswered = 0
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(CLIENTS)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        from prefs.domain.address import parse_address

        session = requests.Session()
        while not self._stop.is_set():
            address = f"{secrets.token_hex(8)}@example.com"
            key = self.made.kit.address_keys.key(parse_address(Channel.EMAIL, address))
            url = self.made.linking.for_address(Channel.EMAIL, key, ALL).unsubscribe
            try:
                if session.post(url, timeout=10).status_code == 200:
                    self.acknowledged.append(address)
            except requests.RequestException:
                self.unanswered += 1
                time.sleep(0.05)  # the server is being killed and started


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", choices=["sqlite", "postgres"], required=True)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--acknowledged", type=int, default=2_000)
    wanted = parser.parse_args()
    recoveries: list[float] = []
    with tempfile.TemporaryDirectory() as folder, running(wanted.database, Path(folder)) as service:
        with Load(service) as load:
            while len(recoveries) < wanted.kills or len(load.acknowledged) < wanted.acknowledged:
                time.sleep(random.uniform(0.5, 2.0))
                service.kill()
                started = time.monotonic()
                service.start()
                recoveries.append(time.monotonic() - started)
        return _judge(service, load, recoveries, wanted.acknowledged)


def _judge(service: Running, load: Load, recoveries: list[float], enough: int) -> int:
    made = load.made
    answer = made.decisions.ask_many(Asked(channel=Channel.EMAIL, topic="product-offers"), load.acknowledged)
    missing = [
        address for address, decision in zip(load.acknowledged, answer.decisions, strict=True) if decision.allowed
    ]
    differing = replay(made.kit.store).differing
    recoveries.sort()
    print(
        f"{service.environment['DATABASE_URL'].partition(':')[0]}: {len(load.acknowledged)} acknowledged, "
        f"{load.unanswered} unanswered, {len(recoveries)} kills, {answer.position} entries; "
        f"missing afterwards: {len(missing)}; state differs for {len(differing)}; "
        f"ready again in {recoveries[len(recoveries) // 2]:.2f} s (median), {recoveries[-1]:.2f} s (slowest)"
    )
    proved = len(load.acknowledged) >= enough and load.unanswered > 0
    if not proved:
        print("too tame to prove anything")
    return 1 if missing or differing or not proved else 0


if __name__ == "__main__":
    sys.exit(main())

"""Single decisions beside a no-op route of the same server, in the same run, on both databases.

    python -m bench.decisions --seconds 2 --rounds 5 --addresses 20000

One server process group serves both; slices of some seconds take turns, and each round gives a
ratio. Judge the ratios: absolute figures move with whatever else the machine does.
"""

import argparse
import http.client
import json
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from prefs.domain.terms import Channel
from prefs.services.suppression import Wish
from tests.faults.service import Running, running

Call = Callable[[http.client.HTTPConnection], None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--addresses", type=int, default=20_000)
    wanted = parser.parse_args()
    for database in ("sqlite", "postgres"):
        with tempfile.TemporaryDirectory() as folder, running(database, Path(folder)) as service:
            _fill(service, wanted.addresses)
            for clients in (1, 8):
                _compare(service, database, clients, wanted)


def _fill(service: Running, number: int) -> None:
    made = service.services()
    for start in range(0, number, 1_000):
        wishes = [
            Wish(channel=Channel.EMAIL, to=f"p{one}@example.com") for one in range(start, min(start + 1_000, number))
        ]
        made.suppressions.add_many(wishes)


def _compare(service: Running, database: str, clients: int, wanted: argparse.Namespace) -> None:
    headers = {"Authorization": f"Bearer {service.key}", "Content-Type": "application/json"}

    def no_op(connection: http.client.HTTPConnection) -> None:
        connection.request("GET", "/healthz")
        assert connection.getresponse().read()

    def decide(connection: http.client.HTTPConnection) -> None:
        to = f"p{random.randrange(2 * wanted.addresses)}@example.com"
        body = json.dumps({"channel": "email", "to": to, "topic": "product-offers"})
        connection.request("POST", "/v1/decisions", body, headers)
        answer = json.loads(connection.getresponse().read())
        assert answer["outcome"] in {"allowed", "blocked"}

    rounds: dict[str, list[list[float]]] = {"no-op": [], "decision": []}
    for _ in range(wanted.rounds):
        for name, call in (("no-op", no_op), ("decision", decide)):
            rounds[name].append(_slice(service, clients, wanted.seconds, call))
    ratios = [
        statistics.median(one) / statistics.median(floor)
        for one, floor in zip(rounds["decision"], rounds["no-op"], strict=True)
    ]
    for name, slices in rounds.items():
        times = sorted(one for part in slices for one in part)
        rate = len(times) / (wanted.seconds * wanted.rounds)
        print(
            f"{database:9} {clients} clients  {name:9} {rate:7.0f} requests/s   "
            f"p50 {1000 * times[len(times) // 2]:6.2f} ms   p99 {1000 * times[len(times) * 99 // 100]:6.2f} ms"
        )
    spread = f"from {min(ratios):.2f} to {max(ratios):.2f}"
    print(f"{database:9} {clients} clients  p50 ratio {statistics.median(ratios):.2f} ({spread})")


def _slice(service: Running, clients: int, seconds: float, call: Call) -> list[float]:
    """Return how long each call took, in seconds, with some clients calling for some seconds."""
    times: list[float] = []
    end = time.perf_counter() + seconds

    def run() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=20)
        while (started := time.perf_counter()) < end:
            call(connection)
            times.append(time.perf_counter() - started)
        connection.close()

    threads = [threading.Thread(target=run) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return times


if __name__ == "__main__":
    main()

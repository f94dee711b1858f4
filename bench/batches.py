"""Batches of 10,000 beside a route that only asks the database for the same keys, on both databases.

    python -m bench.batches --rows 1000000
    python -m bench.batches --rows 1000000 --rows 20000000 --database postgres

The floor gets sorted keys of 16 bytes and answers a number: no JSON, no addresses, no hashing. With
several sizes the figures of the later ones are set against the first. Half of the addresses are on
record. About four minutes for a million rows on both databases, eight for 20 million on one.
"""

import argparse
import json
import random
import statistics

from bench import load
from bench.load import Comparison, Request
from bench.service import KEYS, Measured, address, measured
from prefs.domain.address import parse_address
from prefs.domain.terms import Channel

SIZE = 10_000
_PREPARED = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, action="append")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--database", choices=["sqlite", "postgres"], action="append")
    wanted = parser.parse_args()
    for database in wanted.database or ("sqlite", "postgres"):
        first: Comparison | None = None
        for rows in wanted.rows or (1_000_000,):
            with measured(database, rows) as found:
                compared = load.compare(
                    found.port, found.pid, routes(found), clients=1, rounds=wanted.rounds, seconds=wanted.seconds
                )
            compared.show(f"{database} {rows:,} rows, 1 cl.")
            _judge(compared)
            if first is not None:
                _judge_size(first, compared, rows)
            first = first or compared


def routes(found: Measured) -> dict[str, Request]:
    """Return batches with their floor; some lists are made beforehand and take turns."""
    lists = [
        [address(one) for one in random.sample(range(2 * found.size), min(SIZE, 2 * found.size))]
        for _ in range(_PREPARED)
    ]
    head = {"channel": "email", "topic": "product-offers"}
    keys = [sorted(KEYS.key(parse_address(Channel.EMAIL, one)) for one in to) for to in lists]
    queries = [load.request("POST", "/bench/query", b"".join(one)) for one in keys]
    full = [found.post("/v1/decisions/batch", json.dumps({**head, "to": to}).encode()) for to in lists]
    blocked = [
        found.post("/v1/decisions/batch", json.dumps({**head, "only": "blocked", "to": to}).encode()) for to in lists
    ]
    lines = [
        found.post("/v1/decisions/batch", "\n".join([json.dumps(head), *to]).encode(), "application/x-ndjson")
        for to in lists
    ]
    return {
        "query-only": lambda: random.choice(queries),
        "blocked": lambda: random.choice(blocked),
        "full": lambda: random.choice(full),
        "lines": lambda: random.choice(lines),
    }


def _judge(compared: Comparison) -> None:
    compared.judge('rate with "only": "blocked" against query-only', "blocked", "query-only", load.rate, ">= 0.55")
    compared.judge("rate of the full answer against query-only", "full", "query-only", load.rate, ">= 0.40")
    for name in compared.rounds[0]:
        rate = statistics.median(one[name].rate for one in compared.rounds)
        print(f"         {name:10} {SIZE * rate:10,.0f} addresses/s", flush=True)


def _judge_size(first: Comparison, later: Comparison, rows: int) -> None:
    for name in ("blocked", "full"):
        ratio = _rate(later, name) / _rate(first, name)
        sign = "met   " if ratio >= 0.75 else "MISSED"
        print(f"  {sign} {name} at {rows:,} rows against the first size: {ratio:.2f}, mark >= 0.75", flush=True)


def _rate(compared: Comparison, name: str) -> float:
    return statistics.median(one[name].rate for one in compared.rounds)


if __name__ == "__main__":
    main()

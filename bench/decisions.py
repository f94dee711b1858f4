"""Single decisions beside their floors, in one server process, on both databases.

    python -m bench.decisions --rows 1000000

Floors: a Flask route that does nothing, and one that asks the database the same question by the
driver alone. Half of the addresses asked about are on record. About four minutes with a million rows.
"""

import argparse
import json
import random

from bench import load, service
from bench.load import Comparison, Request
from bench.service import KEYS, Measured, address, measured
from prefs.domain.address import parse_address
from prefs.domain.terms import Channel

_MARKS = {"sqlite": ("<= 1.8", None), "postgres": ("<= 2.5", "<= 1.3")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--database", choices=["sqlite", "postgres"], action="append")
    parser.add_argument("--server", default="granian")
    wanted = parser.parse_args()
    for database in wanted.database or ("sqlite", "postgres"):
        with measured(database, wanted.rows, server=wanted.server) as found:
            for clients in (1, 8):
                compared = load.compare(
                    found.port, found.pid, routes(found), clients=clients, rounds=wanted.rounds, seconds=wanted.seconds
                )
                compared.show(f"{database} {wanted.rows:,} rows, {clients} cl.")
                if clients == 1:
                    _judge(compared, database)


def routes(found: Measured) -> dict[str, Request]:
    """Return the decision with its floors; each call asks about another address."""
    quiet = load.request("GET", "/bench/noop")
    head = {"channel": "email", "topic": "product-offers"}

    def driver() -> bytes:
        key = KEYS.key(parse_address(Channel.EMAIL, service.address(random.randrange(2 * found.size))))
        return load.request("POST", "/bench/driver", key)

    def decision() -> bytes:
        body = {**head, "to": address(random.randrange(2 * found.size))}
        return found.post("/v1/decisions", json.dumps(body).encode())

    return {"no-op": lambda: quiet, "driver-only": driver, "decision": decision}


def _judge(compared: Comparison, database: str) -> None:
    to_no_op, to_driver = _MARKS[database]
    compared.judge("p50 against the no-op route", "decision", "no-op", load.p50, to_no_op)
    if to_driver:
        compared.judge("p50 against the driver-only route", "decision", "driver-only", load.p50, to_driver)
    compared.judge("server CPU against the no-op route", "decision", "no-op", load.cpu, "<= 2.2")


if __name__ == "__main__":
    main()

"""Opt-outs through every door beside their floors, in one server process, on both databases.

    python -m bench.optouts --rows 1000000

One-click posts against a route that does nothing, one that inserts a row and commits, and one that
writes the rows of an opt-out by the driver alone, from 1 and from 32 clients; STOP texts and a
thousand SendGrid events against routes that check the signature and read them, and write nothing
or just the rows. Every opt-out is somebody's first, and durable before its answer. About five minutes.
"""

import argparse
import itertools
import statistics
import time
from collections.abc import Iterator
from urllib.parse import urlencode

from bench import load
from bench.load import Comparison, Request
from bench.service import KEYS, Measured, measured
from prefs import simulate
from prefs.domain.address import parse_address
from prefs.domain.terms import Channel
from prefs.links import LinkTarget, Purpose

MANY = 32
EVENTS = 1_000


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
            for measure in (_clicks, _texts, _events):
                measure(found, database, wanted)


def _clicks(found: Measured, database: str, wanted: argparse.Namespace) -> None:
    quiet, click = load.request("GET", "/bench/noop"), one_click(found)
    bare, rows = load.request("POST", "/bench/insert"), load.request("POST", "/bench/rows")
    routes: dict[str, Request] = {
        "no-op": lambda: quiet,
        "insert": lambda: bare,
        "rows": lambda: rows,
        "one-click": click,
        "rows x32": lambda: rows,
        "one-click x32": click,
    }
    clients = {name: MANY if name.endswith("x32") else 1 for name in routes}
    compared = _compare(found, routes, wanted, clients)
    compared.show(f"{database} {wanted.rows:,} rows")
    compared.judge("opt-out p50 against the no-op route", "one-click", "no-op", load.p50, "<= 3.2")
    compared.floor("a bare insert and commit against the no-op route", "insert", "no-op", load.p50)
    compared.floor("its rows by the driver alone against the no-op route", "rows", "no-op", load.p50)
    compared.floor("opt-out against its rows by the driver alone", "one-click", "rows", load.p50)
    compared.judge("rate of 32 clients against 1", "one-click x32", "one-click", load.rate, ">= 2.0")
    compared.floor("the same of its rows by the driver alone", "rows x32", "rows", load.rate)


def _texts(found: Measured, database: str, wanted: argparse.Namespace) -> None:
    compared = _compare(
        found,
        {
            "verify-only": stop_text(found, "/bench/text"),
            "and rows": stop_text(found, "/bench/text-rows"),
            "STOP": stop_text(found, simulate.TEXTS_PATH),
        },
        wanted,
    )
    compared.show(f"{database} {wanted.rows:,} rows")
    compared.judge("STOP p50 against verify-only", "STOP", "verify-only", load.p50, "<= 2.4")
    compared.floor("verify-only and its rows by the driver alone", "and rows", "verify-only", load.p50)


def _events(found: Measured, database: str, wanted: argparse.Namespace) -> None:
    compared = _compare(
        found,
        {
            "verify-only": events(found, "/bench/events"),
            "and rows": events(found, "/bench/events-rows"),
            "events": events(found, simulate.EVENTS_PATH),
        },
        wanted,
    )
    compared.show(f"{database} {wanted.rows:,} rows")
    compared.judge("1,000 events p50 against verify-only", "events", "verify-only", load.p50, "<= 3.2")
    compared.floor("verify-only and their rows by the driver alone", "and rows", "verify-only", load.p50)
    rate = statistics.median(one["events"].rate for one in compared.rounds)
    print(f"         {EVENTS * rate:,.0f} events/s", flush=True)


def _compare(
    found: Measured, routes: dict[str, Request], wanted: argparse.Namespace, clients: dict[str, int] | int = 1
) -> Comparison:
    return load.compare(found.port, found.pid, routes, clients=clients, rounds=wanted.rounds, seconds=wanted.seconds)


def one_click(found: Measured) -> Request:
    """Return presses of links, each of a person nobody heard of before."""
    links = found.service.services().kit.links
    topic = found.service.services().kit.catalogue.topic("product-offers").number
    people = _people("c")

    def press() -> bytes:
        key = KEYS.key(parse_address(Channel.EMAIL, next(people)))
        token = links.make(LinkTarget(Purpose.UNSUBSCRIBE, Channel.EMAIL, topic, key))
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return load.request("POST", f"/u/{token}", b"List-Unsubscribe=One-Click", kind)

    return press


def stop_text(found: Measured, path: str) -> Request:
    """Return correctly signed STOP texts, each from another number."""
    numbers = itertools.count(2_000_000 if path == simulate.TEXTS_PATH else 5_000_000)

    def text() -> bytes:
        sender = f"+1415{next(numbers):07}"
        form = simulate.text_form(found.secrets["TWILIO_ACCOUNT_SID"], sender, "+15550100001", "STOP")
        signed = simulate.sign_text(found.secrets["TWILIO_AUTH_TOKEN"], found.service.url + path, form)
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return load.request("POST", path, urlencode(form).encode(), {**signed, **kind})

    return text


def events(found: Measured, path: str) -> Request:
    """Return correctly signed batches of a thousand events, each about another address."""
    people = _people(path[-6:])
    kinds = itertools.cycle(["unsubscribe", "spamreport"])

    def batch() -> bytes:
        told = [simulate.event(next(kinds), next(people)) for _ in range(EVENTS)]
        body, headers = simulate.sign_events(found.secrets["SENDGRID_WEBHOOK_PRIVATE_KEY"], told)
        return load.request("POST", path, body, headers)

    return batch


def _people(letter: str) -> Iterator[str]:
    start = time.time_ns() // 1000
    return (f"{letter}{start + number}@example.org" for number in itertools.count())


if __name__ == "__main__":
    main()

"""``/stop`` takes as long for an address we know as for one we do not (reliability.md V13).

Interleaved pairs on a real server: known against unknown must differ no more than known
against known, give or take what a busy machine adds.
"""

import itertools
import statistics
import time
from pathlib import Path

import pytest
import requests

from prefs.domain.terms import Channel
from tests.faults.service import Running, running

PAIRS = 40
_clients = itertools.count(1)
_BUSY_MACHINE_SECONDS = 0.004


def seconds(session: requests.Session, service: Running, address: str, want: str) -> float:
    """Return how long the answer took."""
    started = time.perf_counter()
    form, client = {"address": address, "want": want}, {"X-Forwarded-For": f"192.0.2.{next(_clients) % 250}"}
    answer = session.post(f"{service.url}/stop", data=form, headers=client, allow_redirects=False, timeout=20)
    assert answer.status_code == 303
    return time.perf_counter() - started


def difference(first: list[float], second: list[float]) -> float:
    """Return by how much the medians of interleaved measurements differ, in seconds."""
    return abs(statistics.median(a - b for a, b in zip(first, second, strict=True)))


@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgres", marks=pytest.mark.pg)])
@pytest.mark.parametrize("want", ["stop", "link"])
def test_v13_known_and_unknown_addresses_take_the_same_time(
    tmp_path: Path, database: str, want: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFS_TRUSTED_PROXY_HOPS", "1")  # so that each request comes from a client of its own
    with running(database, tmp_path) as service, requests.Session() as session:
        contacts = service.services().contacts
        for number in range(2 * PAIRS + 2):
            contacts.save(f"c{number}", [(Channel.EMAIL, f"known{number}@example.com")])
        known: list[float] = []
        again: list[float] = []
        unknown: list[float] = []
        seconds(session, service, "known0@example.com", "stop")
        for number in range(PAIRS):
            known.append(seconds(session, service, f"known{2 * number + 1}@example.com", want))
            unknown.append(seconds(session, service, f"nobody{number}@example.com", want))
            again.append(seconds(session, service, f"known{2 * number + 2}@example.com", want))

    told, chance = difference(known, unknown), difference(known, again)
    print(f"known/unknown {told * 1000:.2f} ms, known/known {chance * 1000:.2f} ms")
    assert told <= chance + _BUSY_MACHINE_SECONDS

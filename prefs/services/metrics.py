"""Counts and durations for Prometheus: a dict entry on the hot path, all the rest when somebody asks.

Every process writes its numbers into ``<data dir>/metrics/PID.json`` once a second; whoever is
asked adds them up, so that ``/metrics`` of any process tells of all of this host. Labels are
few and known: routes are patterns, sources that are not ours count as ``other``.
"""

import json
import os
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from sqlalchemy import Row

from prefs.domain.terms import Source

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper ends of the buckets of durations, in seconds."""

_COUNTERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "prefs_decisions": ("Decisions given.", ("channel", "topic", "outcome", "reason")),
    "prefs_ledger_entries": ("Facts put on record and sealed.", ("act", "channel", "reason", "source")),
}
_WEBHOOKS = "/webhooks/"

Slot = tuple[str, ...]


@dataclass
class Metrics:
    """The numbers of one process, and the way to everybody's."""

    folder: Path
    _durations: dict[Slot, list[float]] = field(default_factory=dict)
    _counted: Counter[Slot] = field(default_factory=Counter)
    _lock: Lock = field(default_factory=Lock)

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Note one request that was answered."""
        slot = (method, route, str(status))
        with self._lock:
            held = self._durations.get(slot)
            if held is None:
                held = self._durations[slot] = [0.0] * (len(BOUNDS) + 2)
            held[bisect_left(BOUNDS, seconds)] += 1
            held[-1] += seconds

    def count(self, name: str, counted: Mapping[tuple[str, ...], int]) -> None:
        """Add to a counter; ``name`` is one of those listed above, the keys are its labels."""
        with self._lock:
            for labels, number in counted.items():
                self._counted[(name, *labels)] += number

    def count_entries(self, rows: Iterable[Row[Any]]) -> None:
        """Count facts that were sealed, given as they are stored.

        A caller's own source is ``other``, so that labels stay few.
        """
        sources = frozenset(Source)
        counted: Counter[tuple[str, ...]] = Counter(
            (
                row.act,
                row.channel or "any",
                row.reason or row.consent or "",
                row.source if row.source in sources else "other",
            )
            for row in rows
        )
        self.count("prefs_ledger_entries", counted)

    def save(self) -> None:
        """Write this process's numbers down, whole or not at all."""
        with self._lock:
            durations = [[list(slot), list(held)] for slot, held in self._durations.items()]
            counted = [[list(slot), number] for slot, number in self._counted.items()]
        if not durations and not counted:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{os.getpid()}.json"
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps({"durations": durations, "counted": counted}))
        fresh.replace(path)

    def forget_the_dead(self) -> None:
        """Remove what processes that are no more left behind; only before a service starts anew.

        While it runs their numbers stay, or a counter would go down when a process is replaced.
        """
        for path in self.folder.glob("*.json"):
            if not Path(f"/proc/{path.stem}").exists():
                path.unlink(missing_ok=True)

    def exposition(self, gauges: Mapping[str, tuple[str, float]]) -> bytes:
        """Return the numbers of all processes of this host in Prometheus's text format."""
        from prometheus_client import CollectorRegistry, generate_latest  # noqa: PLC0415  loads only where it is used

        self.save()
        registry = CollectorRegistry()
        registry.register(_Found(self._all(), gauges))
        found: bytes = generate_latest(registry)
        return found

    def _all(self) -> "_Sums":
        sums = _Sums()
        for path in sorted(self.folder.glob("*.json")):
            try:
                sums.add(json.loads(path.read_text()))
            except (FileNotFoundError, ValueError):
                continue  # gone meanwhile
        return sums


class _Sums:
    def __init__(self) -> None:
        self.durations: dict[Slot, list[float]] = {}
        self.counted: Counter[Slot] = Counter()

    def add(self, saved: Mapping[str, Any]) -> None:
        for slot, held in saved["durations"]:
            before = self.durations.get(tuple(slot), [0.0] * len(held))
            self.durations[tuple(slot)] = [one + more for one, more in zip(before, held, strict=True)]
        for slot, number in saved["counted"]:
            self.counted[tuple(slot)] += number


@dataclass(eq=False, slots=True)
class _Found:
    """What Prometheus's client asks for the numbers."""

    sums: _Sums
    gauges: Mapping[str, tuple[str, float]]

    def collect(self) -> Iterable["Metric"]:
        from prometheus_client.metrics_core import (  # noqa: PLC0415  loads only where it is used
            CounterMetricFamily,
            GaugeMetricFamily,
            HistogramMetricFamily,
        )

        for name, (text, labels) in _COUNTERS.items():
            family = CounterMetricFamily(name, text, labels=labels)
            for slot, number in sorted(self.sums.counted.items()):
                if slot[0] == name:
                    family.add_metric(slot[1:], number)
            yield family
        webhooks = CounterMetricFamily("prefs_webhooks", "Provider webhooks answered.", labels=("webhook", "status"))
        seconds = HistogramMetricFamily(
            "prefs_request_seconds", "Seconds from request to answer.", labels=("method", "route", "status")
        )
        for slot, held in sorted(self.sums.durations.items()):
            seconds.add_metric(slot, buckets=_buckets(held), sum_value=held[-1])
            if slot[1].startswith(_WEBHOOKS):
                webhooks.add_metric((slot[1].removeprefix(_WEBHOOKS), slot[2]), sum(held[:-1]))
        yield webhooks
        yield seconds
        for name, (text, value) in self.gauges.items():
            yield GaugeMetricFamily(name, text, value=value)


def _buckets(held: list[float]) -> list[tuple[str, float]]:
    total, found = 0.0, []
    for bound, number in zip((*map(str, BOUNDS), "+Inf"), held[:-1], strict=True):
        total += number
        found.append((bound, total))
    return found

"""What the overview shows: counts by day, rates with their uncertainty, what waits for a person."""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from prefs.domain.terms import Outcome
from prefs.services.kit import Kit
from prefs.storage import figures as storage
from prefs.storage.figures import Campaign, Waiting

_Z95 = 1.959964
"""Two-sided 95 % of the normal distribution."""

FEWEST_SENDS = 30
"""Below this a rate says nothing; the interval would span the whole scale."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Stops per 1,000 sends, with the Wilson 95 % interval."""

    name: str
    sends: int
    stops: int
    per_thousand: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything of A1 for the last ``days`` days; ``days_listed`` is oldest first, today last."""

    days_listed: tuple[date, ...]
    stops: dict[str, tuple[int, ...]]
    stops_before: int
    allowed: tuple[int, ...]
    blocked: tuple[int, ...]
    checked_before: int
    reasons: tuple[tuple[str, int], ...]
    sources: tuple[tuple[str, int], ...]
    campaigns: tuple[Rate, ...]
    topics: tuple[Rate, ...]
    waiting: Waiting

    @property
    def stops_total(self) -> int:
        """All opt-outs of these days."""
        return sum(sum(row) for row in self.stops.values())

    @property
    def checked(self) -> int:
        """All decisions of these days."""
        return sum(self.allowed) + sum(self.blocked)


@dataclass(frozen=True, slots=True)
class Figures:
    """Adds up in the worker once a minute, and reads for the page."""

    kit: Kit

    def add_up(self) -> int:
        """Count what is new; returns how many places of ledger and history were passed. Again counts nothing.

        The counting reads; only the sums and the mark are written, together, so that nobody waits.
        """
        return self._add_up_stops() + self._add_up_sends()

    def _add_up_stops(self) -> int:
        passed = 0
        while True:
            with self.kit.store.read() as connection:
                old = storage.mark(connection, "stops")
                counted, new = storage.stops_behind(connection, old)
            if new == old:
                return passed
            with self.kit.store.write() as connection:
                if not storage.move_mark(connection, "stops", old, new):
                    return passed
                storage.add_stops(connection, counted)
            passed += new - old

    def _add_up_sends(self) -> int:
        passed = 0
        while True:
            with self.kit.store.read() as connection:
                old = storage.mark(connection, "sends")
                counted, new = storage.sends_behind(connection, old, self.kit.now())
            if new == old:
                return passed
            with self.kit.store.write() as connection:
                if not storage.move_mark(connection, "sends", old, new):
                    return passed
                storage.add_sends(connection, counted)
            passed += new - old

    def overview(self, days: int) -> Overview:
        """Return the figures of the last days, today included; days are days in UTC."""
        today = self.kit.now().date()
        first = today - timedelta(days=days - 1)
        listed = tuple(first + timedelta(days=number) for number in range(days))
        since, earlier = first.isoformat(), (first - timedelta(days=days)).isoformat()
        with self.kit.store.read() as connection:
            counted = storage.decisions(connection, since)
            return Overview(
                days_listed=listed,
                stops=_by_channel(storage.stops_by_day(connection, since), listed),
                stops_before=storage.stops_between(connection, earlier, since),
                allowed=_each_day(counted, listed, allowed=True),
                blocked=_each_day(counted, listed, allowed=False),
                checked_before=storage.decisions_between(connection, earlier, since),
                reasons=_ranked(counted),
                sources=tuple(storage.stops_by_source(connection, since)),
                campaigns=rated(storage.by_campaign(connection, since)),
                topics=self._named(rated(storage.by_topic(connection, since))),
                waiting=storage.waiting(connection, today.isoformat()),
            )

    def _named(self, rates: Sequence[Rate]) -> tuple[Rate, ...]:
        found = []
        for one in rates:
            topic = self.kit.catalogue.topic_numbered(int(one.name))
            if topic is not None:
                found.append(Rate(topic.name, one.sends, one.stops, one.per_thousand, one.low, one.high))
        return tuple(found)


def rated(counted: Sequence[Campaign]) -> tuple[Rate, ...]:
    """Return rates, the surest trouble first: by the low end of the interval. Few sends are left out."""
    rates = []
    for one in counted:
        if one.sends >= FEWEST_SENDS:
            stops = min(one.stops, one.sends)
            low, high = wilson(stops, one.sends)
            rates.append(Rate(one.name, one.sends, one.stops, 1000 * stops / one.sends, 1000 * low, 1000 * high))
    return tuple(sorted(rates, key=lambda rate: (-rate.low, rate.name)))


def wilson(hits: int, total: int) -> tuple[float, float]:
    """Return the 95 % score interval of a share (Wilson 1927): it stays within 0 and 1 and holds for few hits."""
    if not total:
        return 0.0, 1.0
    share, square = hits / total, _Z95**2
    middle = (share + square / (2 * total)) / (1 + square / total)
    half = _Z95 / (1 + square / total) * math.sqrt(share * (1 - share) / total + square / (4 * total**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def _by_channel(rows: Sequence[tuple[str, str, int]], listed: Sequence[date]) -> dict[str, tuple[int, ...]]:
    counted: dict[str, dict[str, int]] = defaultdict(dict)
    for day, channel, number in rows:
        counted[channel][day] = number
    return {channel: tuple(days.get(day.isoformat(), 0) for day in listed) for channel, days in counted.items()}


def _each_day(
    counted: Sequence[tuple[str, str, str, int]], listed: Sequence[date], *, allowed: bool
) -> tuple[int, ...]:
    days: Counter[str] = Counter()
    for day, outcome, _, number in counted:
        if (outcome == Outcome.ALLOWED) is allowed:
            days[day] += number
    return tuple(days[day.isoformat()] for day in listed)


def _ranked(counted: Sequence[tuple[str, str, str, int]]) -> tuple[tuple[str, int], ...]:
    """Return what kept messages back, most often first."""
    reasons: Counter[str] = Counter()
    for _, outcome, reason, number in counted:
        if outcome != Outcome.ALLOWED:
            reasons[reason] += number
    return tuple(sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0])))

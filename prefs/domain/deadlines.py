"""Dates the law counts: when a request must be answered, and how long an implied consent lasts."""

import calendar
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_DAYS = timedelta(days=30)
REVOCATION_DAYS = 10
"""Business days a revocation that staff received may take (47 CFR 64.1200(a)(10); rules.md T-9)."""

_SOON = 7
_SATURDAY = 5


def answer_by(received: date) -> date:
    """Return the last day to answer a privacy request received on a day (GDPR 12(3) and the notice).

    A month from 31 January ends on the last day of February.
    """
    return min(received + _DAYS, months_after(received, 1))


def extended_until(received: date) -> date:
    """Return the last day to answer once more time was taken: two months more (GDPR 12(3)).

    The earlier of three months after receipt and two months after the first due date.
    """
    return min(months_after(received, 3), months_after(answer_by(received), 2))


def honour_by(received: date) -> date:
    """Return the last day to honour a revocation that reached staff: 10 business days (rules.md T-9).

    Monday to Friday, holidays not skipped, the day of receipt not counted: never later than the law's day.
    """
    return business_days_after(received, REVOCATION_DAYS)


def day_received(moment: datetime, time_zone: str | None) -> date:
    """Return the day something reached us where the person lives, or the day in UTC where that is not known."""
    try:
        return moment.astimezone(ZoneInfo(time_zone) if time_zone else UTC).date()
    except (ZoneInfoNotFoundError, ValueError):
        return moment.astimezone(UTC).date()


@dataclass(frozen=True, slots=True)
class Countdown:
    """How near a due date is: ``days_left`` is negative once it has passed, ``passed`` runs from 0 to 1."""

    days_left: int
    passed: float

    @property
    def tone(self) -> str:
        """``bad`` on the day and after it, ``warn`` within a week of it, else ``calm``."""
        if self.days_left <= 0:
            return "bad"
        return "warn" if self.days_left <= _SOON else "calm"


def countdown(received: date, due: date, today: date) -> Countdown:
    """Return how near a due date is today."""
    whole = max((due - received).days, 1)
    return Countdown((due - today).days, min(max((today - received).days / whole, 0.0), 1.0))


def business_days_after(day: date, number: int) -> date:
    """Return the day some business days later: Monday to Friday count, holidays too (the earliest reading)."""
    while number:
        day += timedelta(days=1)
        number -= day.weekday() < _SATURDAY
    return day


def business_days_between(first: date, last: date) -> int:
    """Return how many business days lie behind ``first`` up to ``last``; 0 where ``last`` is not later."""
    days = (first + timedelta(days=one) for one in range(1, (last - first).days + 1))
    return sum(day.weekday() < _SATURDAY for day in days)


# What an implied consent rests on, and the months it lasts (CASL s.10; rules.md 2.2, K-1).
IMPLIED_MONTHS = {"purchase": 24, "contract": 24, "membership": 24, "inquiry": 6, "application": 6}


def implied_until(basis: str, since: date) -> date:
    """Return the day an implied consent ends, by calendar date. Raises ``KeyError`` for an unknown basis."""
    return months_after(since, IMPLIED_MONTHS[basis])


def months_after(day: date, months: int) -> date:
    """Return the same day some months later, or that month's last day where it has no such day."""
    years, month = divmod(day.month - 1 + months, 12)
    year, month = day.year + years, month + 1
    return date(year, month, min(day.day, calendar.monthrange(year, month)[1]))

"""When a request must be answered: the earlier of 30 days and one calendar month (rules.md G-2)."""

import calendar
from datetime import date, timedelta

_DAYS = timedelta(days=30)


def answer_by(received: date) -> date:
    """Return the last day to answer a privacy request received on a day (GDPR 12(3) and the notice).

    A month from 31 January ends on the last day of February.
    """
    return min(received + _DAYS, one_month_after(received))


def one_month_after(day: date) -> date:
    """Return the same day of the next month, or its last day where it has no such day."""
    year, month = (day.year + 1, 1) if day.month == 12 else (day.year, day.month + 1)
    return date(year, month, min(day.day, calendar.monthrange(year, month)[1]))

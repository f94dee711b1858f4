"""Due dates: the earlier of 30 days and one calendar month from receipt (rules.md G-2)."""

from datetime import date

import pytest

from prefs.domain.deadlines import answer_by


@pytest.mark.parametrize(
    ("received", "due"),
    [
        pytest.param(date(2026, 1, 31), date(2026, 2, 28), id="31 January"),
        pytest.param(date(2028, 1, 31), date(2028, 2, 29), id="31 January of a leap year"),
        pytest.param(date(2026, 2, 15), date(2026, 3, 15), id="15 February"),
        pytest.param(date(2026, 11, 30), date(2026, 12, 30), id="30 November"),
        pytest.param(date(2026, 12, 31), date(2027, 1, 30), id="over the year"),
        pytest.param(date(2026, 4, 12), date(2026, 5, 12), id="a month of 30 days"),
        pytest.param(date(2026, 5, 12), date(2026, 6, 11), id="a month of 31 days"),
    ],
)
def test_a_request_is_due_on_the_earlier_day(received: date, due: date) -> None:
    assert answer_by(received) == due

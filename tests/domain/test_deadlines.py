"""Due dates and the ends of implied consents, by calendar date (rules.md G-2, K-1)."""

from datetime import date

import pytest

from prefs.domain.deadlines import answer_by, implied_until


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


@pytest.mark.parametrize(
    ("basis", "since", "ends"),
    [
        ("purchase", date(2026, 2, 28), date(2028, 2, 28)),
        ("purchase", date(2028, 2, 29), date(2030, 2, 28)),
        ("inquiry", date(2026, 8, 31), date(2027, 2, 28)),
        ("inquiry", date(2026, 1, 15), date(2026, 7, 15)),
    ],
)
def test_k1_an_implied_consent_ends_by_calendar_date(basis: str, since: date, ends: date) -> None:
    assert implied_until(basis, since) == ends

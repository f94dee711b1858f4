"""Due dates and the ends of implied consents, by calendar date (rules.md G-2, T-9, K-1)."""

from datetime import UTC, date, datetime, timedelta

import pytest

from prefs.domain.deadlines import (
    answer_by,
    countdown,
    day_received,
    extended_until,
    honour_by,
    implied_until,
    months_after,
)


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


@pytest.mark.parametrize("received", [date(2027, 1, 1) + timedelta(days=number) for number in range(0, 800, 7)])
def test_a_request_is_never_due_later_than_the_law_or_the_notice_say(received: date) -> None:
    assert answer_by(received) == min(received + timedelta(days=30), months_after(received, 1))
    assert answer_by(received) < extended_until(received) <= months_after(received, 3)


@pytest.mark.parametrize(
    ("received", "due"),
    [
        pytest.param(date(2026, 1, 31), date(2026, 4, 28), id="31 January"),
        pytest.param(date(2028, 1, 31), date(2028, 4, 29), id="31 January of a leap year"),
        pytest.param(date(2026, 2, 15), date(2026, 5, 15), id="15 February"),
        pytest.param(date(2026, 11, 30), date(2027, 2, 28), id="30 November, the shorter month decides"),
        pytest.param(date(2027, 11, 30), date(2028, 2, 29), id="30 November before a leap year"),
    ],
)
def test_more_time_is_two_months_and_never_three_from_receipt(received: date, due: date) -> None:
    assert extended_until(received) == due


@pytest.mark.parametrize(
    ("received", "due"),
    [
        pytest.param(date(2026, 11, 23), date(2026, 12, 7), id="Monday"),
        pytest.param(date(2026, 11, 27), date(2026, 12, 11), id="Friday"),
        pytest.param(date(2026, 11, 28), date(2026, 12, 11), id="Saturday"),
        pytest.param(date(2026, 11, 29), date(2026, 12, 11), id="Sunday"),
        pytest.param(date(2026, 12, 21), date(2027, 1, 4), id="holidays are not skipped"),
        pytest.param(date(2028, 2, 25), date(2028, 3, 10), id="over a leap day"),
    ],
)
def test_t9_a_revocation_is_honoured_within_ten_business_days(received: date, due: date) -> None:
    assert honour_by(received) == due


@pytest.mark.parametrize(
    ("zone", "day"),
    [
        ("America/Los_Angeles", date(2026, 11, 23)),
        ("Asia/Tokyo", date(2026, 11, 24)),
        (None, date(2026, 11, 24)),
        ("Mars/Olympus", date(2026, 11, 24)),
    ],
)
def test_the_day_of_receipt_is_the_persons_own(zone: str | None, day: date) -> None:
    assert day_received(datetime(2026, 11, 24, 3, 0, tzinfo=UTC), zone) == day


@pytest.mark.parametrize(
    ("today", "left", "tone"),
    [
        (date(2026, 11, 24), 30, "calm"),
        (date(2026, 12, 16), 8, "calm"),
        (date(2026, 12, 17), 7, "warn"),
        (date(2026, 12, 23), 1, "warn"),
        (date(2026, 12, 24), 0, "bad"),
        (date(2026, 12, 25), -1, "bad"),
    ],
)
def test_the_deadline_is_amber_for_a_week_and_red_on_the_day(today: date, left: int, tone: str) -> None:
    found = countdown(date(2026, 11, 24), date(2026, 12, 24), today)

    assert (found.days_left, found.tone) == (left, tone)
    assert 0 <= found.passed <= 1

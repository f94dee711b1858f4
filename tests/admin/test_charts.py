"""Charts: one scale, whole lines, words for the same numbers; and rates with their interval."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefs.admin import charts
from prefs.services.figures import rated, wilson
from prefs.storage.figures import Campaign

DAYS = [date(2026, 4, 13) + timedelta(days=number) for number in range(30)]


def test_every_row_is_on_the_scale_of_the_tallest_bar() -> None:
    chart = charts.rows(DAYS, {"Email": [10] * 29 + [100], "Text": [50] * 30}, "opt-outs", "Day")

    assert [row.height for row in chart.rows] == [100, 50]
    assert [bar.height for bar in chart.rows[0].bars[-2:]] == [10, 100]
    assert all(bar.height == 50 for bar in chart.rows[1].bars)
    assert chart.table[-1] == ("12 May 2026", 100, 50)
    assert chart.axis[0] == "13 Apr"
    assert chart.axis[-1] == "12 May"


@pytest.mark.parametrize("series", [{}, {"Email": [0] * 30}])
def test_nothing_draws_nothing(series: dict[str, list[int]]) -> None:
    chart = charts.rows(DAYS, series, "opt-outs", "Day")

    assert all(bar.height == 0 for row in chart.rows for bar in row.bars)


@given(st.integers(min_value=0, max_value=10**12))
def test_the_lines_of_a_scale_are_whole_and_above_the_highest(number: int) -> None:
    chart = charts.columns(DAYS[:1], [number], [0], ("Day", "Blocked", "Allowed"))

    if number:
        top, middle = (_value(label) for label in chart.grid)
        assert top >= number
        assert middle * 2 == top
        assert top < 3 * number + 3
    else:
        assert chart.grid == ()
    assert 0 <= chart.columns[0].high_y <= chart.columns[0].low_y <= 236


def _value(label: str) -> int:
    """Return the number a label of the axis stands for, which has to be exact."""
    for ending, times in ((" M", 1_000_000), ("k", 1_000)):
        if label.endswith(ending):
            return round(float(label.removesuffix(ending)) * times)
    return int(label.replace(",", ""))


def test_ranked_bars_say_their_share() -> None:
    assert charts.ranked([("a", 999), ("b", 1)]) == [("a", 999, 100.0, "100%"), ("b", 1, 0.1, "0.1%")]
    assert charts.ranked([]) == []
    assert charts.percent(1, 100_000) == "under 0.1%"


# Newcombe, "Two-sided confidence intervals for the single proportion" (1998), table I, method 3.
@pytest.mark.parametrize(
    ("hits", "total", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0000, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_the_interval_is_wilsons(hits: int, total: int, low: float, high: float) -> None:
    found = wilson(hits, total)

    assert found == pytest.approx((low, high), abs=0.0001)


def test_a_small_campaign_does_not_lead_by_luck() -> None:
    rates = rated([Campaign("tiny", 30, 2), Campaign("large", 100_000, 3_000), Campaign("few", 29, 29)])

    assert [rate.name for rate in rates] == ["large", "tiny"]
    assert rates[1].per_thousand > rates[0].per_thousand

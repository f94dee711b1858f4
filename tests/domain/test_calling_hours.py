"""When a telephone may be reached: rules.md G-9, section 2.7 and 2.8; contract D15."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefs.domain.calling_hours import DEFAULT, STATES, state_of, wait_for

YEARS = (datetime(2026, 1, 1), datetime(2028, 1, 1))  # noqa: DTZ001  the strategy adds the zone itself
TUESDAY, SUNDAY = "2026-11-24", "2026-11-29"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@pytest.mark.parametrize(
    ("number", "moment", "first"),
    [
        pytest.param(
            "+14155550123", f"{TUESDAY}T07:59-08:00", f"{TUESDAY}T08:00-08:00", id="California, a minute early"
        ),
        pytest.param("+14155550123", f"{TUESDAY}T08:00-08:00", f"{TUESDAY}T08:00-08:00", id="California, eight"),
        pytest.param("+14155550123", f"{TUESDAY}T19:59-08:00", f"{TUESDAY}T19:59-08:00", id="California, last minute"),
        pytest.param("+14155550123", f"{TUESDAY}T20:00-08:00", "2026-11-25T08:00-08:00", id="California, too late"),
        pytest.param("+12125550123", f"{TUESDAY}T08:00-05:00", f"{TUESDAY}T08:00-05:00", id="New York, eight"),
        pytest.param("+12145550123", f"{TUESDAY}T08:30-06:00", f"{TUESDAY}T09:00-06:00", id="Texas begins at nine"),
        pytest.param("+12145550123", f"{TUESDAY}T20:30-06:00", f"{TUESDAY}T20:30-06:00", id="Texas until nine"),
        pytest.param("+12145550123", f"{SUNDAY}T11:59-06:00", f"{SUNDAY}T12:00-06:00", id="Texas, Sunday from noon"),
        pytest.param("+13055550123", f"{TUESDAY}T20:00-05:00", "2026-11-25T08:00-05:00", id="Florida until eight"),
        pytest.param("+14055550123", f"{TUESDAY}T20:00-06:00", "2026-11-25T08:00-06:00", id="Oklahoma until eight"),
        pytest.param("+15035550123", f"{TUESDAY}T20:00-08:00", "2026-11-25T08:00-08:00", id="Oregon until eight"),
        pytest.param("+12085550123", f"{TUESDAY}T08:00-07:00", f"{TUESDAY}T08:00-08:00", id="Idaho has two zones"),
        pytest.param("+12085550123", f"{TUESDAY}T19:30-08:00", "2026-11-25T08:00-08:00", id="Idaho, over in Boise"),
        pytest.param("+442079460000", f"{TUESDAY}T20:00+00:00", "2026-11-25T08:00+00:00", id="London"),
        pytest.param("+4915112345678", f"{TUESDAY}T07:59+01:00", f"{TUESDAY}T08:00+01:00", id="Germany"),
        pytest.param(
            "+12125550123", "2026-03-08T07:59-04:00", "2026-03-08T08:00-04:00", id="the day clocks go forward"
        ),
        pytest.param("+12125550123", "2026-10-31T20:00-04:00", "2026-11-01T08:00-05:00", id="the night clocks go back"),
    ],
)
def test_g9_a_number_waits_for_the_hours_of_every_zone_it_may_be_in(number: str, moment: str, first: str) -> None:
    assert wait_for(number, None, at(moment)) == at(first)


def test_d15_a_known_time_zone_takes_the_place_of_the_numbers() -> None:
    assert wait_for("+12085550123", "Europe/Berlin", at(f"{TUESDAY}T12:00+01:00")) == at(f"{TUESDAY}T12:00+01:00")
    assert wait_for("+12125550123", "Europe/Berlin", at(f"{TUESDAY}T21:00+01:00")) == at("2026-11-25T08:00+01:00")


def test_a_time_zone_that_is_none_is_as_good_as_unknown() -> None:
    assert wait_for("+12125550123", "Mars/Olympus", at(f"{TUESDAY}T12:00-05:00")) == at(f"{TUESDAY}T12:00-05:00")


@pytest.mark.parametrize("number", ["12345", "+99912345678", "+0"])
def test_d15_where_nobody_can_tell_the_zone_there_is_no_hour(number: str) -> None:
    assert wait_for(number, None, at(f"{TUESDAY}T12:00+00:00")) is None


def test_the_area_codes_of_states_agree_with_the_telephone_library() -> None:
    """The library's own table of places is the second source for ours."""
    import phonenumbers
    from phonenumbers import geocoder

    names = {"Texas": "TX", "Florida": "FL", "Oklahoma": "OK", "Oregon": "OR"}
    for area in range(200, 1000):
        place = geocoder.description_for_number(phonenumbers.parse(f"+1{area}5554567", None), "en")
        wanted = names.get(place.split(", ")[-1])
        found = state_of(f"+1{area}5554567")
        if wanted:
            assert (found.code if found else None) == wanted, area


def test_every_state_names_its_source() -> None:
    assert all(state.source and state.hours for state in STATES)


@given(
    number=st.sampled_from(
        ["+14155550123", "+12145550123", "+12085550123", "+18005550100", "+4915112345678", "+525512345678"]
    ),
    moment=st.datetimes(*YEARS, timezones=st.just(UTC)),
)
def test_the_moment_waited_for_is_itself_admitted_and_never_in_the_past(number: str, moment: datetime) -> None:
    first = wait_for(number, None, moment)

    assert first is None or (first >= moment and wait_for(number, None, first) == first)


def test_the_narrowest_evening_of_the_acts_is_the_default() -> None:
    assert DEFAULT.end == min(state.hours.end for state in STATES)

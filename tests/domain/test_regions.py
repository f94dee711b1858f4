"""Where somebody is: a country that nobody knows never passes for one without rules."""

from importlib.resources import files

import pytest

from prefs.domain.regions import COUNTRIES, EEA, parse_country, region_need
from prefs.domain.terms import Channel, Need
from prefs.errors import InvalidInput


def test_the_countries_are_those_of_iso_3166_and_kosovo() -> None:
    lines = files("tzdata").joinpath("zoneinfo/iso3166.tab").read_text().splitlines()

    assert {line[:2] for line in lines if not line.startswith("#")} | {"XK"} == COUNTRIES
    assert EEA < COUNTRIES


@pytest.mark.parametrize(("text", "code"), [("DE", "DE"), ("gb", "GB"), (" us ", "US")])
def test_a_code_is_read_in_any_case(text: str, code: str) -> None:
    assert parse_country(text) == code


@pytest.mark.parametrize(
    ("text", "mend"),
    [("UK", "write GB"), ("el", "write GR"), ("Germany", "like DE"), ("XX", "like DE"), ("", "like DE")],
)
def test_what_is_no_country_is_refused_with_the_mend(text: str, mend: str) -> None:
    with pytest.raises(InvalidInput, match=mend) as refused:
        parse_country(text)

    assert refused.value.field == "country"


def test_a_country_stored_before_codes_were_checked_asks_for_consent() -> None:
    assert region_need("UK", Channel.EMAIL) is Need.CONSENT
    assert region_need("US", Channel.EMAIL) is Need.NO_OBJECTION
    assert region_need(None, Channel.EMAIL) is Need.NO_OBJECTION  # D11: then the topic alone asks


@pytest.mark.parametrize("code", ["GF", "GP", "MF", "MQ", "RE", "YT", "AX"])
def test_union_territory_with_a_code_of_its_own_asks_for_consent_like_the_member_state(code: str) -> None:
    assert region_need(code, Channel.EMAIL) is Need.CONSENT

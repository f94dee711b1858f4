"""Address identity: rules.md A-3, A-5, A-6."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefs.domain.address import calling_code_region_is_eea_or_uk, masked, masked_text, parse_address
from prefs.domain.terms import Channel
from prefs.errors import InvalidAddress


def email(text: str) -> str:
    return parse_address(Channel.EMAIL, text).value


def phone(text: str, region: str = "US") -> str:
    return parse_address(Channel.SMS, text, default_region=region).value


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("User@EXAMPLE.com", "user@example.com", True),
        ("user@münchen.de", "user@xn--mnchen-3ya.de", True),
        ("user@faß.de", "user@fass.de", False),
        ("a.b@gmail.com", "ab@gmail.com", False),
        ("user+tag@x.org", "user@x.org", False),
        (" user@example.com. ", "user@Example.COM", True),
        ("JOSÉ@example.com", "josé@example.com", True),
    ],
)
def test_a5_what_is_one_mailbox_and_what_is_not(one: str, other: str, same: bool) -> None:
    assert (email(one) == email(other)) is same


@pytest.mark.parametrize(
    "text",
    [
        "(415) 867-5310",
        "+1 415 867 5310",
        "tel:+14158675310",
        "whatsapp:+14158675310",
        "rcs:+14158675310",
        "＋１４１５８６７５３１０",
        "415-867-5310 ext. 3",
        "+14158675310",
    ],
)
def test_a6_every_way_to_write_a_number_is_one_key(text: str) -> None:
    assert phone(text) == "+14158675310"


@pytest.mark.parametrize(("number", "also"), [("+525512345678", "+5215512345678"), ("+541112345678", "+5491112345678")])
def test_both_forms_of_a_mexican_or_argentine_mobile_are_looked_up(number: str, also: str) -> None:  # rules.md 7.2
    assert also in parse_address(Channel.SMS, number).lookup_values
    assert number in parse_address(Channel.SMS, also).lookup_values


@pytest.mark.parametrize("number", ["+447700900123", "+15555550100", "+5215512345678", "12345"])
def test_a_number_the_library_calls_invalid_is_kept(number: str) -> None:
    assert phone(number) == number


@pytest.mark.parametrize(
    ("channel", "text", "code"),
    [
        (Channel.EMAIL, "", "empty"),
        (Channel.EMAIL, "nobody", "no_at_sign"),
        (Channel.EMAIL, "a@b@c.org", "two_at_signs"),
        (Channel.EMAIL, "a@nodot", "bad_domain"),
        (Channel.EMAIL, "a@-x-.org", "bad_domain"),
        (Channel.EMAIL, "@x.org", "no_local_part"),
        (Channel.EMAIL, "a b@x.org", "no_local_part"),
        (Channel.EMAIL, "a@x.org\r\nBcc: b@x.org", "control_character"),
        (Channel.EMAIL, "a" * 400, "too_long"),
        (Channel.EMAIL, 7, "wrong_type"),
        (Channel.SMS, "hello", "no_digits"),
        (Channel.PUSH, " ", "empty"),
    ],
)
def test_text_that_is_no_address_is_refused_by_cause_and_never_repeated(
    channel: Channel, text: object, code: str
) -> None:
    with pytest.raises(InvalidAddress) as refusal:
        parse_address(channel, text)

    assert refusal.value.code == code
    assert not str(text).strip() or str(text) not in str(refusal.value)


def test_a_number_without_a_country_needs_one_where_there_is_no_default() -> None:
    with pytest.raises(InvalidAddress) as refusal:
        phone("415 867 5310", region="")

    assert refusal.value.code == "no_country_code"


@given(st.text(max_size=60))
def test_parsing_never_crashes_and_a_canonical_address_stays_as_it_is(text: str) -> None:
    for channel in (Channel.EMAIL, Channel.SMS, Channel.PUSH):
        try:
            found = parse_address(channel, text)
        except InvalidAddress:
            continue
        assert parse_address(channel, found.value).value == found.value


@given(st.emails())
def test_letter_case_never_makes_a_different_mailbox(text: str) -> None:
    try:
        assert email(text) == email(text.upper().replace("ẞ", "ß"))
    except InvalidAddress:
        assert True  # an address both forms refuse


def test_pages_show_an_address_masked() -> None:
    assert masked(parse_address(Channel.EMAIL, "Ada@example.com")) == "a••@example.com"
    assert masked(parse_address(Channel.SMS, "+14155550142")) == "••• ••• 0142"


def test_a3_the_exported_hash_is_of_the_normalised_address() -> None:
    plain = email(" User@Example.COM ").encode()

    assert hashlib.sha256(plain).hexdigest().startswith("b4c9a289323b21a0")
    assert hashlib.md5(plain).hexdigest() == "b58996c504c5638798eb6b511e6f49af"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("ada@example.com", "a••@example.com", id="email"),
        pytest.param("Ada <ada@example.com>, bo@x.org", "Ada <a••@example.com>, b••@x.org", id="among words"),
        pytest.param("jo@@example.com", "j••@@example.com", id="broken"),
        pytest.param("'+1 (415) 555-0123", "'••• ••• 0123", id="number"),
        pytest.param("4.15556E+11", "4.15556E+11", id="spoilt number"),
        pytest.param("0123456789abcdef" * 4, "012345…", id="hash"),
        pytest.param("2026-04", "2026-04", id="month"),
        pytest.param("called the desk", "called the desk", id="no address"),
        pytest.param("", "", id="empty"),
    ],
)
def test_what_looks_like_an_address_in_a_text_is_masked(text: str, shown: str) -> None:
    assert masked_text(text) == shown


def test_calling_codes_of_the_eea_and_the_uk_are_known() -> None:
    assert all(
        calling_code_region_is_eea_or_uk(number)
        for number in ("+4915112345678", "+447700900123", "+35699123456", "+262692123456")
    )
    assert not any(
        calling_code_region_is_eea_or_uk(number) for number in ("+14155550123", "+41791234567", "+81312345678")
    )

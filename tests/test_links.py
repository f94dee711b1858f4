"""Tokens: contract D17, rules.md E-7, E-8, reliability.md items 1 and 2."""

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefs.crypto import Keyring, SecretKey, parse_secret_keys
from prefs.domain.terms import Channel
from prefs.errors import InvalidLink, SettingsError
from prefs.links import Links, LinkTarget, Purpose

OLD, NEW = SecretKey("old", b"o" * 32), SecretKey("new", b"n" * 32)
KEY = bytes(range(16))
TARGET = LinkTarget(Purpose.UNSUBSCRIBE, Channel.EMAIL, 5, KEY)
LINKS = Links(Keyring([NEW]))

targets = st.builds(
    LinkTarget,
    st.just(Purpose.UNSUBSCRIBE),
    st.sampled_from(list(Channel)),
    st.integers(0, 8191),
    st.binary(min_size=16, max_size=16),
)


@given(targets)
def test_a_token_says_what_was_put_in_and_is_48_characters_long(target: LinkTarget) -> None:
    token = LINKS.make(target)

    assert len(token) == 48
    assert LINKS.read(token, Purpose.UNSUBSCRIBE) == target


@given(targets, st.sampled_from([str.upper, str.lower, str.title, str]))
def test_a_mail_local_part_is_64_octets_and_survives_any_letter_case(target: LinkTarget, change: type) -> None:
    local_part = LINKS.make_local_part(target)

    assert len(local_part) == 64
    assert LINKS.read_local_part(change(local_part)) == target


@given(targets, st.integers(0, 36 * 8 - 1))
def test_e7_one_changed_bit_is_refused(target: LinkTarget, bit: int) -> None:
    raw = bytearray(base64.urlsafe_b64decode(LINKS.make(target)))
    raw[bit // 8] ^= 1 << bit % 8

    with pytest.raises(InvalidLink):
        LINKS.read(base64.urlsafe_b64encode(bytes(raw)).decode(), Purpose.UNSUBSCRIBE)


@given(st.text(max_size=80))
def test_e7_anything_else_is_refused_with_the_same_words(text: str) -> None:
    with pytest.raises(InvalidLink, match="This link does not work"):
        LINKS.read(text, Purpose.UNSUBSCRIBE)


def test_a_token_of_one_purpose_opens_nothing_else() -> None:
    manage = LINKS.make(LinkTarget(Purpose.MANAGE, Channel.EMAIL, 0, KEY, datetime(2026, 1, 1, tzinfo=UTC), 7))

    assert LINKS.read(manage, Purpose.MANAGE).number == 7
    with pytest.raises(InvalidLink):
        LINKS.read(manage, Purpose.UNSUBSCRIBE)
    with pytest.raises(InvalidLink):
        LINKS.read(LINKS.make(TARGET), Purpose.MANAGE, Purpose.CONFIRM, Purpose.RIGHTS)


def test_e8_old_links_work_after_rotation_and_new_ones_name_the_new_key() -> None:
    old_link = Links(Keyring([OLD])).make(TARGET)
    rotated = Links(Keyring([NEW, OLD]))

    assert rotated.read(old_link, Purpose.UNSUBSCRIBE) == TARGET
    with pytest.raises(InvalidLink):
        Links(Keyring([OLD])).read(rotated.make(TARGET), Purpose.UNSUBSCRIBE)


def test_a_retired_key_verifies_unsubscribing_and_nothing_more() -> None:  # contract D29
    before = Links(Keyring([OLD]))
    after = Links(Keyring([NEW, SecretKey("old", OLD.secret, retired=True)]))

    assert after.read(before.make(TARGET), Purpose.UNSUBSCRIBE) == TARGET
    with pytest.raises(InvalidLink):
        after.read(before.make(LinkTarget(Purpose.CONFIRM, Channel.EMAIL, 0, KEY)), Purpose.CONFIRM)


def test_a_token_for_another_environment_is_refused() -> None:
    with pytest.raises(InvalidLink):
        Links(Keyring([SecretKey("new", b"x" * 32)])).read(LINKS.make(TARGET), Purpose.UNSUBSCRIBE)


@pytest.mark.parametrize(
    "text", ["", "abc", "k1:notbase64!", f"k1:{base64.b64encode(b'short').decode()}", "-k1:" + "A" * 44]
)
def test_keys_that_cannot_work_are_named(text: str) -> None:
    with pytest.raises(SettingsError, match="PREFS_SECRET_KEYS"):
        parse_secret_keys(text)

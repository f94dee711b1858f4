"""Keyed hashes and sealing: contract D2, reliability.md items 38 to 41."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefs.crypto import AddressKeys, Keyring, SecretKey, Vault
from prefs.domain.address import parse_address
from prefs.domain.terms import Channel
from prefs.errors import InvalidAddress

RING = Keyring([SecretKey("a", b"a" * 32)])


@given(st.binary(min_size=1, max_size=100), st.emails())
def test_an_address_key_is_the_first_16_bytes_of_hmac_sha_256(key: bytes, text: str) -> None:
    try:
        address = parse_address(Channel.EMAIL, text)
    except InvalidAddress:
        return

    assert AddressKeys([key]).key(address) == hmac.digest(key, address.value.encode(), hashlib.sha256)[:16]


def test_the_first_key_writes_and_all_are_tried() -> None:
    address = parse_address(Channel.EMAIL, "ada@example.com")
    old, new = AddressKeys([b"o" * 32]), AddressKeys([b"n" * 32, b"o" * 32])

    assert new.candidates(address) == (AddressKeys([b"n" * 32]).key(address), old.key(address))


def test_push_tokens_and_postal_references_never_meet_each_other() -> None:
    keys = AddressKeys([b"k" * 32])

    assert keys.key(parse_address(Channel.PUSH, "17")) != keys.key(parse_address(Channel.POSTAL, "17"))


@given(st.binary(max_size=200))
def test_what_is_sealed_opens_only_in_its_place(plain: bytes) -> None:
    vault = Vault(RING)
    sealed = vault.seal(plain, context=b"row 1")

    assert vault.open(sealed, context=b"row 1") == plain
    with pytest.raises(ValueError, match="out of place"):
        vault.open(sealed, context=b"row 2")


def test_sealed_values_open_after_rotation_and_not_without_their_key() -> None:
    sealed = Vault(RING).seal(b"x", context=b"")
    newer = SecretKey("b", b"b" * 32)

    assert Vault(Keyring([newer, SecretKey("a", b"a" * 32)])).open(sealed, context=b"") == b"x"
    with pytest.raises(ValueError, match="no longer"):
        Vault(Keyring([newer])).open(sealed, context=b"")

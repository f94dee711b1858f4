"""Keys and what they do: derive one per purpose, hash addresses, seal what lies at rest.

Every key is named; the first signs and encrypts, all verify and open (contract D29,
reliability.md items 38-41).
"""

import base64
import binascii
import hashlib
import hmac
import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from prefs.domain.address import Address
from prefs.errors import SettingsError

KEY_BYTES = 32
ADDRESS_KEY_BYTES = 16


@dataclass(frozen=True, slots=True)
class SecretKey:
    """One named secret; a ``retired`` one only verifies unsubscribe tokens (contract D29)."""

    kid: str
    secret: bytes
    retired: bool = False


def parse_secret_keys(text: str) -> tuple[SecretKey, ...]:
    """Return the keys of ``kid:base64,kid:base64,-kid:base64``, newest first.

    Raises:
        SettingsError: A key that is malformed, too short, or named twice; the message says which.
    """
    keys = tuple(_parse_secret_key(part.strip()) for part in text.split(",") if part.strip())
    if not any(not key.retired for key in keys):
        raise SettingsError("PREFS_SECRET_KEYS needs at least one key: kid:base64 of 32 random bytes.")
    if len({_kid_byte(key.kid) for key in keys}) != len(keys):
        raise SettingsError("PREFS_SECRET_KEYS: two key ids cannot be told apart in links. Rename one.")
    return keys


def _parse_secret_key(part: str) -> SecretKey:
    kid, colon, encoded = part.removeprefix("-").partition(":")
    if not kid or not colon:
        raise SettingsError("PREFS_SECRET_KEYS: each key is written kid:base64, with commas between.")
    try:
        secret = base64.b64decode(encoded, validate=True)
    except binascii.Error as error:
        raise SettingsError(f"PREFS_SECRET_KEYS: key {kid} is not base64.") from error
    if len(secret) < KEY_BYTES:
        raise SettingsError(f"PREFS_SECRET_KEYS: key {kid} is shorter than 32 bytes.")
    return SecretKey(kid, secret, part.startswith("-"))


def _kid_byte(kid: str) -> int:
    return hashlib.sha256(kid.encode()).digest()[0]


class Keyring:
    """The secret keys, and the keys derived from them, one per purpose."""

    def __init__(self, keys: Sequence[SecretKey]) -> None:
        self.keys = tuple(keys)
        self.first = next(key for key in self.keys if not key.retired)
        self._by_byte = {_kid_byte(key.kid): key for key in self.keys}
        self._derived: dict[tuple[str, str], bytes] = {}

    def derive(self, purpose: str, kid: str | None = None) -> bytes:
        """Return the 32-byte key for a purpose, from the signing key or the named one."""
        name = kid or self.first.kid
        if (purpose, name) not in self._derived:
            secret = next(key.secret for key in self.keys if key.kid == name)
            derivation = HKDF(SHA256(), KEY_BYTES, salt=None, info=f"prefs:{purpose}".encode())
            self._derived[purpose, name] = derivation.derive(secret)
        return self._derived[purpose, name]

    def kid_byte(self, kid: str | None = None) -> int:
        """Return the byte that names a key in tokens and sealed values."""
        return _kid_byte(kid or self.first.kid)

    def key_of_byte(self, byte: int) -> SecretKey | None:
        """Return the key a token or sealed value names, or None."""
        return self._by_byte.get(byte)


class AddressKeys:
    """Keyed hashes of addresses: the only form an address is looked up by (contract D2).

    The first key writes; all are tried. HMAC-SHA-256 as two pre-keyed hash objects, half the
    cost of ``hmac.digest``.
    """

    def __init__(self, keys: Iterable[bytes], hashes_listed: Callable[[], bool] = lambda: False) -> None:
        self._keys = tuple(keys)
        self._macs = [mac_of(key) for key in self._keys]
        self.hashes_listed = hashes_listed

    def key(self, address: Address) -> bytes:
        """Return the 16-byte key an address is stored under."""
        return self._macs[0](address.keyed_values[0].encode())

    def candidates(self, address: Address) -> tuple[bytes, ...]:
        """Return every key the address may be stored under, its own first.

        The keys of its hashes come last, and only while lists of hashes are on record (contract D34).
        """
        keys = tuple(mac(value.encode()) for value in address.keyed_values for mac in self._macs)
        return keys + self.hash_list_keys(address) if self.hashes_listed() else keys

    @property
    def is_single(self) -> bool:
        """True where a plain address has one candidate: no older keys, no lists of hashes."""
        return len(self._macs) == 1 and not self.hashes_listed()

    @property
    def may_have_several(self) -> bool:
        """True where any address may be under further keys: older keys, lists of hashes."""
        return not self.is_single

    def of_plain(self, values: Iterable[str | None]) -> list[bytes | None]:
        """Return the first key's hash of values that need no prefix, None for None."""
        return self._macs[0].many(values)

    def keys_of_name(self, name: str) -> tuple[bytes, ...]:
        """Return every key a hash of a list may be stored under; ``name`` is ``sha256:HEX`` or ``md5:HEX``."""
        return tuple(mac(name.encode()) for mac in self._macs)

    def fingerprints(self) -> tuple[str, ...]:
        """Return what tells each key from all others without showing it, the first key's first: 16 digits each."""
        return tuple(hmac.digest(key, b"fingerprint", "sha256").hex()[:16] for key in self._keys)

    def pads(self) -> list[tuple[bytes, bytes]]:
        """Return inner and outer pad of HMAC (RFC 2104) of every key, for engines that hash in bulk.

        As secret as the keys themselves.
        """
        return [_pads(key) for key in self._keys]

    def digest_key(self, name: str) -> bytes:
        """Return the key a hash of a list is stored under; ``name`` is ``sha256:HEX`` or ``md5:HEX``."""
        return self._macs[0](name.encode())

    def hash_list_keys(self, address: Address) -> tuple[bytes, ...]:
        """Return the keys of the address in lists that hold only hashes (contract D34)."""
        plain = address.value.encode()
        names = (
            f"sha256:{hashlib.sha256(plain).hexdigest()}",
            f"md5:{hashlib.md5(plain, usedforsecurity=False).hexdigest()}",
        )
        return tuple(mac(name.encode()) for name in names for mac in self._macs)


def _pads(key: bytes) -> tuple[bytes, bytes]:
    block = (key if len(key) <= 64 else hashlib.sha256(key).digest()).ljust(64, b"\0")
    return bytes(byte ^ 0x36 for byte in block), bytes(byte ^ 0x5C for byte in block)


class Mac:
    """The first 16 bytes of HMAC-SHA-256, as two hash objects that hold the key already.

    Copying them costs half of what ``hmac.digest`` does; the bytes are the same.
    """

    def __init__(self, key: bytes) -> None:
        inner, outer = _pads(key)
        self._inner, self._outer = hashlib.sha256(inner), hashlib.sha256(outer)

    def __call__(self, body: bytes) -> bytes:
        """Return the 16 bytes for a body."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(body)
        outer.update(inner.digest())
        return outer.digest()[:ADDRESS_KEY_BYTES]

    def many(self, texts: Iterable[str | None]) -> list[bytes | None]:
        """Return the 16 bytes for each text, None for None: the same bytes, without a call for each."""
        start_inner, start_outer = self._inner.copy, self._outer.copy
        found: list[bytes | None] = []
        for text in texts:
            if text is None:
                found.append(None)
                continue
            inner, outer = start_inner(), start_outer()
            inner.update(text.encode())
            outer.update(inner.digest())
            found.append(outer.digest()[:ADDRESS_KEY_BYTES])
        return found


@lru_cache(maxsize=64)
def mac_of(key: bytes) -> Mac:
    """Return the maker of MACs under a key; made once."""
    return Mac(key)


class Vault:
    """AES-256-GCM for what lies at rest; ``context`` ties a sealed value to its row (item 40)."""

    def __init__(self, ring: Keyring) -> None:
        self._ring = ring

    def seal(self, plain: bytes, *, context: bytes) -> bytes:
        """Return key byte, nonce and ciphertext."""
        nonce = os.urandom(12)
        return bytes([self._ring.kid_byte()]) + nonce + self._cipher(None).encrypt(nonce, plain, context)

    def seal_many(self, items: Iterable[tuple[bytes, bytes]]) -> list[bytes]:
        """Return many (plain, context) sealed, in a third of the time ``seal`` takes for each."""
        pairs = list(items)
        cipher, mark = self._cipher(None), bytes([self._ring.kid_byte()])
        noise = os.urandom(12 * len(pairs))
        nonces = (noise[at : at + 12] for at in range(0, len(noise), 12))
        return [
            mark + nonce + cipher.encrypt(nonce, plain, context)
            for nonce, (plain, context) in zip(nonces, pairs, strict=True)
        ]

    def open(self, sealed: bytes, *, context: bytes) -> bytes:
        """Return what was sealed. Raises ``ValueError`` when the key is gone or anything was changed."""
        key = self._ring.key_of_byte(sealed[0]) if sealed else None
        if key is None:
            raise ValueError("sealed under a key that is no longer in PREFS_SECRET_KEYS")
        try:
            return self._cipher(key.kid).decrypt(sealed[1:13], sealed[13:], context)
        except InvalidTag as error:
            raise ValueError("a sealed value does not open: changed, or out of place") from error

    def seal_text(self, plain: str, *, context: bytes) -> bytes:
        """Return a text sealed."""
        return self.seal(plain.encode(), context=context)

    def open_text(self, sealed: bytes, *, context: bytes) -> str:
        """Return a sealed text."""
        return self.open(sealed, context=context).decode()

    def seal_json(self, plain: Any, *, context: bytes) -> bytes:
        """Return a JSON value sealed; times and the like become text."""
        return self.seal(json.dumps(plain, default=str).encode(), context=context)

    def open_json(self, sealed: bytes, *, context: bytes) -> Any:
        """Return a sealed JSON value."""
        return json.loads(self.open(sealed, context=context))

    def _cipher(self, kid: str | None) -> AESGCM:
        return AESGCM(self._ring.derive("vault", kid))

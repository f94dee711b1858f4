"""Signed links: who and what, for one purpose, in a token that reveals no address (contract D17).

::

    version and purpose 1 | key id 1 | channel 3 bits, scope 13 bits | address key 16 | MAC 16
    = 36 bytes = 48 characters of base64url, or 58 of base32 in a mail's local part

Other purposes than ``unsubscribe`` put an issue time (4) and a number (8) before the MAC.
"""

import base64
import binascii
import hmac
import struct
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum

from prefs.crypto import Keyring, SecretKey
from prefs.domain.terms import Channel
from prefs.errors import InvalidLink

LOCAL_PART_PREFIX = "unsub+"
IN_A_MESSAGE, ASKED_FOR = 0, 1
"""The number of a ``manage`` token: sent along with a message, or asked for by the person."""

_VERSION = 1
_MAC_BYTES = 16
_CORE = struct.Struct(">BBH16s")
_EXTRA = struct.Struct(">IQ")
_SCOPE_BITS = 13

# Never renumber: links live for ever.
_CHANNEL_NUMBERS = {
    Channel.EMAIL: 0,
    Channel.SMS: 1,
    Channel.VOICE: 2,
    Channel.WHATSAPP: 3,
    Channel.PUSH: 4,
    Channel.POSTAL: 5,
}
_CHANNELS = {number: channel for channel, number in _CHANNEL_NUMBERS.items()}


class Purpose(Enum):
    """What a link may do; a token of one purpose opens nothing else (reliability.md item 2)."""

    UNSUBSCRIBE = 0
    MANAGE = 1
    CONFIRM = 2
    RIGHTS = 3


@dataclass(frozen=True, slots=True)
class LinkTarget:
    """What a token says. ``scope`` 0 is all marketing; ``number`` is a pending choice or a kind of link."""

    purpose: Purpose
    channel: Channel
    scope: int
    address_key: bytes
    issued_at: datetime | None = None
    number: int = 0


class Links:
    """Makes and reads tokens. Retired keys still verify unsubscribe tokens, and those only (item 41)."""

    def __init__(self, ring: Keyring) -> None:
        self._ring = ring

    def make(self, target: LinkTarget) -> str:
        """Return the token for a URL."""
        return base64.urlsafe_b64encode(self._signed(target)).decode().rstrip("=")

    def read(self, token: str, *purposes: Purpose) -> LinkTarget:
        """Return what the token says, if it is ours and for one of these purposes.

        Raises:
            InvalidLink: Anything else, always with the same words (rules.md E-7).
        """
        try:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError) as error:
            raise _invalid() from error
        if base64.urlsafe_b64encode(raw).decode().rstrip("=") != token:
            raise _invalid()
        return self._checked(raw, purposes)

    def make_local_part(self, target: LinkTarget) -> str:
        """Return ``unsub+TOKEN``: 64 octets exactly, and the same in any letter case."""
        return LOCAL_PART_PREFIX + base64.b32encode(self._signed(target)).decode().rstrip("=").lower()

    def read_local_part(self, local_part: str) -> LinkTarget:
        """Return what a mail's local part says. Raises ``InvalidLink``."""
        prefix, text = local_part[: len(LOCAL_PART_PREFIX)], local_part[len(LOCAL_PART_PREFIX) :].upper()
        if prefix.lower() != LOCAL_PART_PREFIX:
            raise _invalid()
        try:
            raw = base64.b32decode(text + "=" * (-len(text) % 8))
        except (binascii.Error, ValueError) as error:
            raise _invalid() from error
        return self._checked(raw, (Purpose.UNSUBSCRIBE,))

    def _signed(self, target: LinkTarget) -> bytes:
        place = _CHANNEL_NUMBERS[target.channel] << _SCOPE_BITS | target.scope
        head = _VERSION << 4 | target.purpose.value
        body = _CORE.pack(head, self._ring.kid_byte(), place, target.address_key)
        if target.purpose is not Purpose.UNSUBSCRIBE:
            issued = int(target.issued_at.timestamp()) if target.issued_at else 0
            body += _EXTRA.pack(issued, target.number)
        return body + self._mac(target.purpose, self._ring.first, body)

    def _checked(self, raw: bytes, purposes: tuple[Purpose, ...]) -> LinkTarget:
        body, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
        if len(body) not in (_CORE.size, _CORE.size + _EXTRA.size):
            raise _invalid()
        head, kid_byte, place, address_key = _CORE.unpack(body[: _CORE.size])
        purpose = next((one for one in purposes if head == _VERSION << 4 | one.value), None)
        key = self._ring.key_of_byte(kid_byte)
        if purpose is None or key is None or (key.retired and purpose is not Purpose.UNSUBSCRIBE):
            raise _invalid()
        if (len(body) == _CORE.size) is not (purpose is Purpose.UNSUBSCRIBE):
            raise _invalid()
        if not hmac.compare_digest(self._mac(purpose, key, body), mac):
            raise _invalid()
        channel = _CHANNELS.get(place >> _SCOPE_BITS)
        if channel is None:
            raise _invalid()
        issued, number = _EXTRA.unpack(body[_CORE.size :]) if purpose is not Purpose.UNSUBSCRIBE else (0, 0)
        issued_at = datetime.fromtimestamp(issued, UTC) if issued else None
        return LinkTarget(purpose, channel, place & (2**_SCOPE_BITS - 1), address_key, issued_at, number)

    def _mac(self, purpose: Purpose, key: SecretKey, body: bytes) -> bytes:
        return hmac.digest(self._ring.derive(f"link:{purpose.name.lower()}", key.kid), body, "sha256")[:_MAC_BYTES]


def _invalid() -> InvalidLink:
    return InvalidLink("This link does not work. Part of it may be missing.")

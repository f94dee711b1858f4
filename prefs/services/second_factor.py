"""The second factor: one-time codes of an app (TOTP, RFC 6238) and recovery codes for a lost phone."""

import hashlib
import hmac
import secrets
from datetime import datetime

STEP_SECONDS = 30
_DRIFT = 1
_ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
RECOVERY_CODES = 10


def new_secret() -> str:
    """Return a fresh secret, base32, 160 bits."""
    import pyotp  # noqa: PLC0415  only sign-in needs it

    return str(pyotp.random_base32())


def address(secret: str, email: str, issuer: str) -> str:
    """Return the ``otpauth:`` address an app reads from the QR code."""
    import pyotp  # noqa: PLC0415  only sign-in needs it

    return str(pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name=issuer))


def step_of(secret: str, code: str, now: datetime, *, after: int | None) -> int | None:
    """Return the time step a code belongs to, or None where it fits none.

    One step early or late is taken for a clock that is off. A step at or before ``after`` was
    used already: a code that somebody looked over a shoulder for opens nothing.
    """
    import pyotp  # noqa: PLC0415  only sign-in needs it

    given = "".join(code.split())
    if not (given.isascii() and given.isdigit() and len(given) == 6):
        return None
    totp, present = pyotp.TOTP(secret), int(now.timestamp()) // STEP_SECONDS
    found = None
    for step in range(present - _DRIFT, present + _DRIFT + 1):
        if hmac.compare_digest(totp.generate_otp(step), given):
            found = step
    return found if found is not None and (after is None or found > after) else None


def new_recovery_codes() -> list[str]:
    """Return codes like ``7K3M-92QD-X4PT``, 58 bits each, shown once."""
    return ["-".join("".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(3)) for _ in range(10)]


def digest(code: str) -> bytes:
    """Return what is kept of a recovery code; case, spaces and dashes do not matter."""
    return hashlib.sha256("".join(letter for letter in code.upper() if letter.isalnum()).encode()).digest()

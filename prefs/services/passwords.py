"""Passwords of the staff: what is accepted, how they are kept (reliability.md items 19, 46).

No composition rules; length counts, and lists of what was seen in breaches. Hashing takes a
tenth of a second and 64 MiB on purpose: never inside a transaction, and two at a time.
"""

import gzip
import threading
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING

from prefs.errors import InvalidInput

if TYPE_CHECKING:
    from argon2 import PasswordHasher

SHORTEST, ADVISED, LONGEST = 12, 15, 256
_SHORTEST_WORD = 5
_AT_ONCE = threading.BoundedSemaphore(2)


@dataclass(frozen=True, slots=True)
class Passwords:
    """Argon2id with the lower-memory parameters of RFC 9106 section 4; tests use less."""

    memory_kib: int = 65_536
    passes: int = 3
    lanes: int = 4
    _held: dict[str, str] = field(default_factory=dict)

    def check(self, password: str, about: Iterable[str] = ()) -> str:
        """Return a password in the form that is hashed.

        ``about`` are words an attacker would try first: the person's own name, the organisation.

        Raises:
            InvalidInput: Too short, too long, seen in a breach, or made of ``about``; the message says the mend.
        """
        shown = _normal(password)
        if len(shown) < SHORTEST:
            raise _refused(f"Use {SHORTEST} characters or more; {ADVISED} is better. A few words do well.", "too_short")
        if len(shown) > LONGEST:
            raise _refused(f"Use {LONGEST} characters at most.", "too_long")
        plain = shown.casefold()
        if _is_known(plain):
            raise _refused("This password, or its heart, was seen in a breach. Use another.", "breached")
        if len(set(plain)) < 5:
            raise _refused("This repeats a few characters only. Use a few words instead.", "repetitive")
        if any(len(word) >= 4 and plain.replace(word.casefold(), "").strip("0123456789!?.-_ ") == "" for word in about):
            raise _refused("This is little more than your name or ours. Use another.", "about_you")
        return shown

    def hash(self, password: str) -> str:
        """Return what is stored of a password that was checked."""
        with _AT_ONCE:
            return self._hasher().hash(_normal(password))

    def matches(self, stored: str | None, password: str) -> bool:
        """True where the password is the stored one; without a stored one it takes as long to say no."""
        from argon2.exceptions import InvalidHashError, VerificationError  # noqa: PLC0415  only sign-in needs it

        given = _normal(password)[: LONGEST + 1]
        with _AT_ONCE:
            try:
                return self._hasher().verify(stored or self._nobody(), given) and bool(stored)
            except (VerificationError, InvalidHashError):
                return False

    def _nobody(self) -> str:
        """Return a hash that no password fits, to compare with where there is no account."""
        if "nobody" not in self._held:
            self._held["nobody"] = self._hasher().hash("\0nobody")
        return self._held["nobody"]

    def _hasher(self) -> "PasswordHasher":
        from argon2 import PasswordHasher  # noqa: PLC0415  only sign-in needs it

        return PasswordHasher(time_cost=self.passes, memory_cost=self.memory_kib, parallelism=self.lanes)


def _refused(text: str, code: str) -> InvalidInput:
    return InvalidInput(text, field="password", code=code)


def _normal(password: str) -> str:
    """One form for letters that keyboards write in two ways (NIST SP 800-63B 3.1.1.2)."""
    return unicodedata.normalize("NFKC", password)


def _is_known(plain: str) -> bool:
    known = _known()
    heart = plain.strip("0123456789!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ ")
    half = plain[: len(plain) // 2]
    doubled = half * 2 == plain and half in known
    return plain in known or doubled or (len(heart) >= _SHORTEST_WORD and heart in known)


@lru_cache(maxsize=1)
def _known() -> frozenset[str]:
    """Return passwords seen in breaches; ``prefs/data/README.md`` says where the list is from."""
    packed = resources.files("prefs").joinpath("data/known-passwords.txt.gz").read_bytes()
    return frozenset(gzip.decompress(packed).decode().split("\n")) - {""}

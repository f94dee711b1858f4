"""API keys: made, shown once, checked without a query per call."""

import hashlib
import secrets
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from prefs.errors import InvalidInput, NotFound, StoreUnavailable
from prefs.services import audit
from prefs.storage import keys as storage
from prefs.storage.base import Store
from prefs.storage.keys import KeyRow

SCOPES = ("decide", "suppress", "consent", "send", "contacts", "read", "admin")
FRESH_SECONDS = 5
OUTAGE_SECONDS = 3600
_MOST_HELD = 10_000


@dataclass
class ApiKeys:
    """Answers "whose key is this?" from memory for five seconds; for an hour while the store is down (D25)."""

    store: Store
    live: bool
    clock: Callable[[], float] = time.monotonic
    _held: dict[bytes, tuple[KeyRow | None, float]] = field(default_factory=dict)

    def create(self, name: str, scopes: Sequence[str], *, by: str = "cli") -> str:
        """Make a key and return it; it cannot be shown again. ``by`` goes into the audit log.

        Raises:
            InvalidInput: An unknown scope, or none.
        """
        unknown = set(scopes) - set(SCOPES)
        if unknown or not scopes:
            raise InvalidInput(f"Scopes are: {', '.join(SCOPES)}.", field="scope")
        key_id = secrets.token_hex(6)
        secret = f"prf_{'live' if self.live else 'test'}_{key_id}_{secrets.token_hex(32)}"
        text = f"{secret}{zlib.crc32(secret.encode()):08x}"
        with self.store.write() as connection:
            storage.add(connection, key_id, name, _digest(text), scopes, self.store.now())
            audit.note(connection, self.store.now(), by, "key_created", f"key:{key_id}", name=name, scopes=scopes)
        return text

    def check(self, text: str) -> KeyRow | None:
        """Return the live key behind this text, or None.

        Raises:
            StoreUnavailable: The key was not seen lately and the store cannot be asked.
        """
        if not _looks_right(text):
            return None
        digest = _digest(text)
        held = self._held.get(digest)
        if held is None or self.clock() - held[1] >= FRESH_SECONDS:
            held = self._ask(digest, held)
        row = held[0]
        ended = row is None or row.revoked_at or (row.expires_at and row.expires_at <= self.store.now())
        return None if ended else row

    def every(self) -> list[KeyRow]:
        """Return all keys, newest first."""
        with self.store.read() as connection:
            return storage.every(connection)

    def revoke(self, key_id: str, *, by: str = "cli") -> None:
        """End a key; every process knows within five seconds. Raises ``NotFound``."""
        with self.store.write() as connection:
            if not storage.revoke(connection, key_id, self.store.now()):
                raise NotFound("There is no live key with this id. `prefs keys list` shows them.")
            audit.note(connection, self.store.now(), by, "key_revoked", f"key:{key_id}")
        self._held.clear()

    def _ask(self, digest: bytes, held: tuple[KeyRow | None, float] | None) -> tuple[KeyRow | None, float]:
        try:
            with self.store.read() as connection:
                found = storage.by_digest(connection, digest)
        except StoreUnavailable:
            if held is not None and self.clock() - held[1] < OUTAGE_SECONDS:
                return held
            raise
        if found is None:
            return None, 0.0
        if len(self._held) >= _MOST_HELD:
            self._held.clear()
        self._held[digest] = (found, self.clock())
        self._note_use(found)
        return self._held[digest]

    def _note_use(self, row: KeyRow) -> None:
        """Note the day a key was last used: one write a day, and none while the store takes no changes."""
        today = self.store.now().date().isoformat()
        if row.last_used_on == today or self.store.failing:
            return
        try:
            with self.store.write() as connection:
                storage.note_use(connection, row.id, today)
        except StoreUnavailable:
            return


def _looks_right(text: str) -> bool:
    """True where the checksum fits: a mistyped key costs no query."""
    body, checksum = text[:-8], text[-8:]
    return body.startswith("prf_") and text.isascii() and f"{zlib.crc32(body.encode()):08x}" == checksum


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()

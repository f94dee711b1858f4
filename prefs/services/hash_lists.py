"""Whether any list of hashes is on record: only then does a question also ask for hashes (contract D34).

Each process looks every two seconds at most. The first import of hashes waits longer than that
between saying so and writing the first row, so no decision that starts after it was answered
misses one.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from prefs.errors import StoreUnavailable
from prefs.storage import marks
from prefs.storage.base import Store

FRESH_SECONDS = 2.0
SETTLED_SECONDS = 5.0
_NAME = "hash_lists"


@dataclass
class HashLists:
    """Knows, a moment late, whether hashes are listed; once they are it never asks again."""

    store: Store
    sleep: Callable[[float], None] = time.sleep
    _present: bool | None = None
    _looked: float = field(default=float("-inf"))

    def present(self) -> bool:
        """True while lists of hashes may be on record: also where that could not be found out just now."""
        if not self._present and time.monotonic() - self._looked > FRESH_SECONDS:
            self._look()
        return self._present is not False

    def announce(self) -> None:
        """Say that hashes are about to be written, and return once every process has heard it.

        Raises:
            StoreUnavailable: It could not be said; write none.
        """
        with self.store.write() as connection:
            said = marks.read(connection, _NAME)
            if said is None:
                said = self.store.now()
                marks.write(connection, _NAME, said)
        self.sleep(max(0.0, SETTLED_SECONDS - (self.store.now() - said).total_seconds()))
        self._look()

    def _look(self) -> None:
        # An outage is looked at once in a while like anything else, and never slows an answer twice.
        self._looked = time.monotonic()
        try:
            with self.store.read() as connection:
                self._present = marks.read(connection, _NAME) is not None
        except StoreUnavailable:
            self._present = None

"""Seal the ledger once a second, check it at any time, and serve it as a feed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row

from prefs.domain.ledger import Entry
from prefs.storage import facts, ledger, seals
from prefs.storage.base import Store, alone
from prefs.storage.seals import GENESIS, Seal

AT_ONCE = 5_000


def _to_nobody(_rows: Sequence[Row[Any]]) -> None:
    """Tell nobody."""


@dataclass(slots=True)
class Verified:
    """What a check found. ``unsealed`` entries are younger than the newest seal, which is no fault."""

    entries: int = 0
    unsealed: int = 0
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Sealing:
    """The use cases of the chain. ``heard`` is told of entries once they are sealed: of each once, on one host.

    It gets them as they are stored (``ledger.stored_after``).
    """

    store: Store
    heard: Callable[[Sequence[Row[Any]]], None] = _to_nobody

    def seal(self) -> Seal:
        """Seal what was committed since the last time, and return the newest seal.

        Everything up to a position is settled once no writer is under way, and nothing is skipped
        (invariant I18). The lock is held alone only to see that and to store the seal, not while
        entries are read and hashed. Of two that seal at once, one stores nothing.

        Raises:
            StoreUnavailable: The database is away.
        """
        with self.store.read() as connection:
            last = seals.newest(connection)
            if ledger.position(connection) <= last.last_entry:
                return last
        settled = facts.settled_position(self.store)
        with self.store.read() as connection:
            rows = ledger.stored_after(connection, last.last_entry, AT_ONCE, up_to=settled)
        made = seals.chained(last, rows)
        with alone(self.store) as connection:
            found = seals.newest(connection)
            if found != last or made == last:
                return found
            seals.add(connection, made, self.store.now())
        self.heard(rows)
        return made

    def verify(self) -> Verified:
        """Lay the chain again from the first entry and compare it with every seal."""
        found = Verified()
        with self.store.read() as connection:
            expected = {one.last_entry: one for one in seals.every(connection)}
            last_sealed = max(expected, default=0)
            state = Seal(0, 0, GENESIS)
            end = ledger.position(connection)
            while rows := ledger.stored_after(connection, state.last_entry, AT_ONCE, up_to=end):
                for row in rows:
                    state = seals.chained(state, [row])
                    sealed = expected.pop(row.id, None)
                    if sealed is not None and sealed != state:
                        found.problems.append(f"the ledger was changed at or before entry {row.id}")
                        return found
                    found.unsealed += row.id > last_sealed
            found.entries = state.entries
        if expected:
            found.problems.append(f"entries up to {max(expected)} were sealed and are gone")
        return found

    def changes(self, after: int, limit: int) -> tuple[list[Entry], int | None]:
        """Return up to ``limit`` sealed entries behind a position, and where to go on, or None at the end."""
        with self.store.read() as connection:
            end = seals.newest(connection).last_entry
            entries = [entry for entry in ledger.after(connection, after, limit) if entry.id <= end]
        more = bool(entries) and entries[-1].id < end
        return entries, entries[-1].id if more else None

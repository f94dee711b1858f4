"""What was given up or could not be read, for engineers to look at."""

from dataclasses import dataclass
from datetime import datetime

from prefs.services.kit import Kit
from prefs.storage import backlog as storage

_MOST = 50


@dataclass(frozen=True, slots=True)
class GivenUp:
    """A job that failed eight times."""

    id: int
    kind: str
    error: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An authentic webhook item that made no sense to us; its words stay sealed."""

    id: int
    provider: str
    problem: str
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Backlog:
    """Reads both lists, newest first, fifty at most."""

    kit: Kit

    def given_up(self) -> list[GivenUp]:
        """Return the jobs that were given up."""
        with self.kit.store.read() as connection:
            return [GivenUp(*row) for row in storage.dead_jobs(connection, _MOST)]

    def unreadable(self) -> list[Unreadable]:
        """Return the webhook items that could not be read."""
        with self.kit.store.read() as connection:
            return [Unreadable(*row) for row in storage.quarantined(connection, _MOST)]

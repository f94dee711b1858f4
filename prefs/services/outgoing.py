"""The messages of our gateway as the console lists them, each with its last decision (ux.md A6)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from prefs.errors import NotFound
from prefs.services.decisions import Answer, Decisions
from prefs.services.kit import Kit
from prefs.storage import counts, messages
from prefs.storage.messages import MessageFilter, Place, Queued


@dataclass(frozen=True, slots=True)
class Explained:
    """A message, what happened to it, and its last decision worked out again; None where none was kept."""

    queued: Queued
    history: list[dict[str, Any]]
    answer: Answer | None


@dataclass(frozen=True, slots=True)
class Outgoing:
    """The use cases of "Decisions"."""

    kit: Kit
    decisions: Decisions

    def page(
        self, wanted: MessageFilter, limit: int, *, before: Place | None = None, after: Place | None = None
    ) -> list[Queued]:
        """Return messages, newest first."""
        with self.kit.store.read() as connection:
            return messages.page(connection, wanted, limit, before=before, after=after)

    def explain(self, message_id: str) -> Explained:
        """Return one message with its last decision. Raises ``NotFound``."""
        with self.kit.store.read() as connection:
            queued = messages.read(connection, message_id)
            history = messages.history(connection, message_id) if queued else []
        if queued is None:
            raise NotFound("There is no message with this reference.")
        return Explained(queued, history, self._last(history))

    def today(self) -> dict[str, int]:
        """Return how many questions had each outcome today, whoever asked."""
        with self.kit.store.read() as connection:
            return counts.of_day(connection, self.kit.now().date().isoformat())

    def _last(self, history: Sequence[dict[str, Any]]) -> Answer | None:
        receipts = [line["decision"] for line in history if line.get("decision")]
        try:
            return self.decisions.again(receipts[-1]) if receipts else None
        except NotFound:  # its key is no longer among the secret keys
            return None

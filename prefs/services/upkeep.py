"""What every web process does on the side, once a second: the journal, the counts, the seal, the numbers."""

import logging
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from prefs.errors import StoreUnavailable
from prefs.services.decisions import Decisions
from prefs.services.journal import Handler, Journal
from prefs.services.metrics import Metrics
from prefs.services.sealing import Sealing
from prefs.storage import counts
from prefs.storage.base import Store

log = logging.getLogger(__name__)

EVERY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Upkeep:
    """Applies what the journal holds before anything else, as soon as the database is back (contract 5)."""

    store: Store
    journal: Journal
    handlers: Mapping[str, Handler]
    decisions: Decisions
    sealing: Sealing
    metrics: Metrics

    def run_once(self) -> None:
        """Do it all once. Raises ``StoreUnavailable`` while the database is away."""
        if self.store.failing:
            self.store.probe()
        applied = self.journal.apply(self.handlers)
        if applied:
            log.warning("journal_applied", extra={"lines": applied})
        try:
            self._flush_counts()
            self.sealing.seal()
        finally:
            self.metrics.save()

    def run_forever(self, stop: threading.Event) -> None:
        """Go on until told to stop; nothing that fails once ends it."""
        while not stop.wait(EVERY_SECONDS):
            try:
                self.run_once()
            except StoreUnavailable:
                continue
            except Exception:
                # The loop must outlive whatever one round does.
                log.exception("upkeep_failed")

    def _flush_counts(self) -> None:
        taken = self.decisions.take_counts()
        if not taken:
            return
        try:
            with self.store.write() as connection:
                counts.add(connection, taken)
        except StoreUnavailable:
            self.decisions.give_back(taken)
            raise
        counted: Counter[tuple[str, ...]] = Counter()
        for (_day, *labels), number in taken.items():
            counted[tuple(labels)] += number
        self.metrics.count("prefs_decisions", counted)

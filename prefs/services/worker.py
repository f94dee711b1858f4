"""The worker: hands over messages, runs jobs, applies the journal, keeps house. Survives any one item."""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from prefs.errors import StoreUnavailable
from prefs.services.kit import Kit
from prefs.services.sending import Sending
from prefs.storage import idempotency, jobs

log = logging.getLogger(__name__)

IDLE_SECONDS = 0.5
JobHandler = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Worker:
    """Everything that happens after the answer was given."""

    kit: Kit
    sending: Sending
    handlers: Mapping[str, JobHandler]

    def run_once(self) -> int:
        """Do what is due and return how many things that were.

        Raises:
            StoreUnavailable: The database is away; everything waits.
        """
        handed_over = self.sending.hand_over_due()
        return handed_over + self._run_jobs()

    def run_forever(self, stop: threading.Event) -> None:
        """Work until told to stop; an outage is waited out."""
        while not stop.is_set():
            try:
                busy = self.run_once() > 0
            except StoreUnavailable:
                busy = False
            except Exception:
                # The loop must outlive whatever one item does.
                log.exception("worker_item_failed")
                busy = False
            if not busy:
                stop.wait(IDLE_SECONDS)

    def forget_old_answers(self) -> None:
        """Delete idempotency answers past their seven days (contract D26)."""
        with self.kit.store.write() as connection:
            idempotency.forget(connection, self.kit.now() - idempotency.KEPT_FOR)

    def _run_jobs(self) -> int:
        with self.kit.store.write() as connection:
            claimed = jobs.claim(connection, self.kit.now(), limit=10)
        for one in claimed:
            self._run_job(one)
        return len(claimed)

    def _run_job(self, one: jobs.Job) -> None:
        try:
            self.handlers[one.kind](one.payload)
        except StoreUnavailable:
            raise
        except Exception as error:
            # A job that fails goes back to the queue, later each time.
            log.exception("job_failed", extra={"kind": one.kind, "attempt": one.attempts})
            with self.kit.store.write() as connection:
                jobs.again(connection, one, type(error).__name__, self.kit.now())
            return
        with self.kit.store.write() as connection:
            jobs.done(connection, one.id)

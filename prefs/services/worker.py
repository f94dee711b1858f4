"""The worker: hands over messages, runs jobs, applies the journal, keeps house. Survives any one item."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prefs.errors import StoreUnavailable
from prefs.services.kit import Kit
from prefs.services.sending import Sending
from prefs.storage import jobs

log = logging.getLogger(__name__)

IDLE_SECONDS = 0.5
JobHandler = Callable[[dict[str, Any]], None]


@dataclass(slots=True)
class _Clock:
    """The hour this process has queued the regular work of."""

    hour: str = ""
    minute: str = ""


@dataclass(frozen=True, slots=True)
class Worker:
    """Everything that happens after the answer was given."""

    kit: Kit
    sending: Sending
    handlers: Mapping[str, JobHandler]
    hourly: Sequence[str] = ()
    minutely: Sequence[Callable[[], object]] = ()
    clock: _Clock = field(default_factory=_Clock)

    def run_once(self) -> int:
        """Do what is due and return how many things that were.

        Raises:
            StoreUnavailable: The database is away; everything waits.
        """
        self._queue_regular_work()
        self._do_minutely_work()
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

    def _queue_regular_work(self) -> None:
        """Queue what is due each day and each hour; of several workers' jobs only the first is one."""
        now = self.kit.now()
        hour = now.strftime("%Y-%m-%dT%H")
        if self.clock.hour == hour:
            return
        with self.kit.store.write() as connection:
            jobs.add(connection, "retention", {}, key=f"retention:{hour[:10]}", now=now)
            for kind in self.hourly:
                jobs.add(connection, kind, {}, key=f"{kind}:{hour}", now=now)
        self.clock.hour = hour

    def _do_minutely_work(self) -> None:
        """Do what is short and due each minute; several workers may, each part sees to that itself."""
        minute = self.kit.now().strftime("%Y-%m-%dT%H:%M")
        if self.clock.minute == minute:
            return
        self.clock.minute = minute
        for work in self.minutely:
            work()

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

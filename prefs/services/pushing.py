"""Stops on their way to providers: passed on each minute, tried again, and an alarm when one waits too long (I17).

Sending never depends on it: a stop counts here from the moment it is on record. What waits is
worked out from the ledger and how far it was passed on, so that the alarm rings without a worker too.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from prefs.errors import ProviderError
from prefs.services.kit import Kit
from prefs.services.mail_sync import SENDGRID, MailSync
from prefs.storage import checks, jobs, marks, requests

log = logging.getLogger(__name__)

JOB, PUSH = "push_stops", "push"
ALARM_AFTER = timedelta(minutes=15)
"""So long a stop may wait until a provider knows it (reliability.md item 54)."""

_SHORTEST_PAUSE, _LONGEST_PAUSE = timedelta(minutes=1), timedelta(minutes=10)
_TRIED, _ALARM = f"{SENDGRID}:push_tried", "push_alarm:"


@dataclass(frozen=True, slots=True)
class Untold:
    """What a provider has not been told yet: how many, counted up to a thousand, and since when the oldest waits."""

    provider: str
    number: int
    since: datetime

    def is_late(self, now: datetime) -> bool:
        """True where the alarm rings."""
        return now - self.since > ALARM_AFTER


@dataclass(frozen=True, slots=True)
class Pushes:
    """Passes stops on, and tells who was not told. ``providers`` are those that can be told anything."""

    kit: Kit
    mail_sync: MailSync | None
    providers: Sequence[str]

    def untold(self, connection: Connection, provider: str) -> Untold | None:
        """Return what waits for a provider: stops of the ledger, and what privacy requests want it told."""
        waits = [requests.waiting_notices(connection, provider)]
        if provider == SENDGRID and self.mail_sync is not None:
            waits.append(self.mail_sync.waiting(connection))
        found = [(number, since) for number, since in waits if since is not None]
        if not found:
            return None
        return Untold(provider, sum(number for number, _ in found), min(since for _, since in found))

    def all_untold(self) -> list[Untold]:
        """Return what waits for each provider that anything waits for."""
        with self.kit.store.read() as connection:
            return [one for name in self.providers if (one := self.untold(connection, name))]

    def late(self) -> list[Untold]:
        """Return what has waited so long that somebody should look."""
        now = self.kit.now()
        return [one for one in self.all_untold() if one.is_late(now)]

    def queue(self) -> None:
        """Queue a push where something waits and the last try is long enough ago: the worker's minute.

        After a failure it pauses as long as the oldest has waited, between one and ten minutes.
        """
        if self.mail_sync is None or not self.mail_sync.push:
            return
        now = self.kit.now()
        self.mail_sync.begin_pushing()
        with self.kit.store.read() as connection:
            _, since = self.mail_sync.waiting(connection)
            tried = marks.read(connection, _TRIED)
        if since is None or (tried is not None and tried >= since and now - tried < _pause(tried - since)):
            return
        with self.kit.store.write() as connection:
            jobs.add(connection, JOB, {}, key=f"{JOB}:{SENDGRID}:{now:%Y-%m-%dT%H:%M}", now=now)

    def watch(self) -> None:
        """Say once, loudly, that a provider is late, and once that it has caught up: the worker's minute."""
        late = {one.provider: one for one in self.late()}
        for name in self.providers:
            if name in late:
                self._ring(late[name])
            else:
                self._end(name)

    def handlers(self) -> Mapping[str, Callable[[dict[str, Any]], None]]:
        """Return who runs the job."""
        return {JOB: lambda _payload: self._push()}

    def _push(self) -> None:
        """Pass on what waits; a provider that is away is tried again by ``queue``, not by the job's own tries."""
        if self.mail_sync is None:
            return
        began = self.kit.now()
        try:
            self.mail_sync.push_new()
        except ProviderError as error:
            log.warning("push_failed", extra={"provider": SENDGRID, "why": str(error)})
            line = {"provider": SENDGRID, "kind": PUSH, "began_at": began, "ended_at": self.kit.now()}
            with self.kit.store.write() as connection:
                marks.write(connection, _TRIED, began)
                checks.add(connection, {**line, "error": type(error).__name__, "found": {}})

    def _ring(self, one: Untold) -> None:
        now = self.kit.now()
        with self.kit.store.write() as connection:
            first = marks.begin(connection, _ALARM + one.provider, now)
        if first:
            minutes = int((now - one.since).total_seconds() // 60)
            log.critical("push_late", extra={"provider": one.provider, "waiting": one.number, "minutes": minutes})

    def _end(self, provider: str) -> None:
        with self.kit.store.read() as connection:
            rang = marks.read(connection, _ALARM + provider)
        if rang is None:
            return
        with self.kit.store.write() as connection:
            ended = marks.end(connection, _ALARM + provider)
        if ended:
            minutes = int((self.kit.now() - rang).total_seconds() // 60)
            log.warning("push_caught_up", extra={"provider": provider, "minutes": minutes})


def _pause(waited: timedelta) -> timedelta:
    return min(max(waited, _SHORTEST_PAUSE), _LONGEST_PAUSE)

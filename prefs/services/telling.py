"""Passing a person's wish on to the providers that hold their data (GDPR 19): one durable job each.

The addresses lie sealed in the notice until the provider was told, and no longer.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from prefs.errors import ProviderError
from prefs.providers.ports import HeldByProvider, Recipients
from prefs.services.kit import Kit
from prefs.storage import jobs, requests
from prefs.storage.requests import NoticeRow

log = logging.getLogger(__name__)

ERASE, SUPPRESS = "erase", "suppress"
QUEUED, AGAIN, DONE, FAILED = "queued", "again", "done", "failed"
PUSHED_AGAIN_AFTER = timedelta(days=1)
"""SendGrid answers an erasure at once and carries it out later; whether its own lists go with the
rest is not documented (rules.md 6.3). So the suppression is put there twice: at once, and a day on."""

TRIED_FOR = timedelta(days=30)
_LONGEST_WAIT = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class Telling:
    """Queues what providers are told, and tells them in the worker."""

    kit: Kit
    providers: Mapping[str, Recipients]

    def queue(
        self, connection: Connection, request: int, what: str, *, emails: Sequence[str] = (), messages: Sequence[str]
    ) -> int:
        """Queue what each provider has to be told and return how many that are."""
        number = 0
        for name in self.providers:
            known = tuple(messages) if name == "twilio" else ()
            addresses = tuple(emails) if name == "sendgrid" else ()
            if known or addresses:
                self._add(connection, request, name, what, {"emails": addresses, "messages": known})
                number += 1
        return number

    def handlers(self) -> Mapping[str, Callable[[dict[str, Any]], None]]:
        """Return who runs which job."""
        return {"tell_provider": self._tell}

    def _add(self, connection: Connection, request: int, name: str, what: str, held: dict[str, Any]) -> None:
        now = self.kit.now()
        values = {"request": request, "provider": name, "what": what, "status": QUEUED, "created_at": now}
        notice = requests.add_notice(connection, values)
        sealed = self.kit.vault.seal_json(held, context=_context(notice))
        requests.change_notice(connection, notice, sealed=sealed)
        self._job(connection, notice, 0, now)

    def _job(self, connection: Connection, notice: int, attempt: int, due: datetime) -> None:
        key = f"tell:{notice}:{attempt}"
        jobs.add(connection, "tell_provider", {"notice": notice}, key=key, now=self.kit.now(), due_at=due)

    def _tell(self, payload: dict[str, Any]) -> None:
        with self.kit.store.read() as connection:
            notice = requests.notice(connection, payload["notice"])
        if notice is None or notice.sealed is None:
            return
        provider = self.providers.get(notice.provider)
        if provider is None:
            self._give_up(notice, "This provider is not set up any more.")
            return
        held = self.kit.vault.open_json(notice.sealed, context=_context(notice.id))
        asked = HeldByProvider(tuple(held["emails"]), tuple(held["messages"]))
        reference = notice.provider_ref
        try:
            if notice.what == ERASE and notice.status == QUEUED:
                reference = provider.forget(asked)
            provider.suppress(asked)
        except ProviderError as error:
            self._try_later(notice, error)
            return
        self._told(notice, reference, asked)

    def _told(self, notice: NoticeRow, reference: str | None, asked: HeldByProvider) -> None:
        now = self.kit.now()
        once_more = notice.what == ERASE and notice.status == QUEUED and bool(asked.emails)
        with self.kit.store.write() as connection:
            values: dict[str, Any] = {"provider_ref": reference, "problem": None, "attempts": notice.attempts + 1}
            if once_more:
                requests.change_notice(connection, notice.id, status=AGAIN, **values)
                self._job(connection, notice.id, notice.attempts + 1, now + PUSHED_AGAIN_AFTER)
            else:
                requests.change_notice(connection, notice.id, status=DONE, sealed=None, done_at=now, **values)

    def _try_later(self, notice: NoticeRow, error: ProviderError) -> None:
        """Try again, later each time, for a month: a refusal too, since what it lacks can be set up."""
        now, attempts = self.kit.now(), notice.attempts + 1
        log.warning("provider_not_told", extra={"provider": notice.provider, "attempt": attempts})
        if now - notice.created_at >= TRIED_FOR:
            self._give_up(notice, str(error))
            return
        wait = min(timedelta(minutes=2 ** min(attempts, 12)), _LONGEST_WAIT)
        with self.kit.store.write() as connection:
            requests.change_notice(connection, notice.id, attempts=attempts, problem=str(error)[:200])
            self._job(connection, notice.id, attempts, now + wait)

    def _give_up(self, notice: NoticeRow, problem: str) -> None:
        log.error("provider_never_told", extra={"provider": notice.provider, "notice": notice.id})
        with self.kit.store.write() as connection:
            requests.change_notice(connection, notice.id, status=FAILED, sealed=None, problem=problem[:200])


def _context(notice: int) -> bytes:
    return f"request-notice:{notice}".encode()

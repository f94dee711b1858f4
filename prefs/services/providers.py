"""How the providers keep up: compared, tried again, held (reliability.md items 14, 54).

A provider that keeps a list of its own is compared with ours on a schedule; every comparison
leaves a line, and from those lines come "in step", "late" and "failing".
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from prefs.domain.address import Address, masked
from prefs.domain.provider_codes import Meaning, meaning_of
from prefs.domain.references import entry_reference, person_reference
from prefs.domain.terms import Channel
from prefs.errors import InvalidInput, NotFound
from prefs.services import audit
from prefs.services.kit import Kit
from prefs.services.mail_sync import ENDED_HERE, MISSING_THERE, REMOVED_THERE
from prefs.services.pushing import Pushes, Untold
from prefs.storage import checks, jobs, people, stops
from prefs.storage.checks import Check, Refusal
from prefs.storage.staff import StaffUser

log = logging.getLogger(__name__)

SYNC, COMPARE = "sync", "compare"
LATE_AFTER = timedelta(minutes=90)
_SLOT, _SLOTS = timedelta(minutes=30), 48
_ERRORS_SHOWN = 20
TEXT_CHANNELS = tuple(channel for channel in Channel if channel not in {Channel.EMAIL, Channel.POSTAL})

_LINES_BACK = 50
"""Comparisons to look back for the last whole one: with one an hour, two days."""

_GRAVEST = (REMOVED_THERE, ENDED_HERE, MISSING_THERE)

IN_STEP, LATE, FAILING, NEW, NO_LIST = "in_step", "late", "failing", "new", "no_list"

# What was done about a text provider's code, beside what the code itself says (domain.provider_codes).
MEANS: dict[Meaning, str] = {
    Meaning.OPTED_OUT: "It is on record here now, and no more texts go there from this sender.",
    Meaning.BLOCKED_BY_PERSON: "It is on record here now, and no more marketing goes there.",
    Meaning.BAD_NUMBER: "The number is not texted again.",
    Meaning.GIVEN_UP: "The number is not texted again, and consents given for it have ended.",
    Meaning.OUT_OF_REACH: "Nothing to do; three days of it in a month and the number is not texted again.",
    Meaning.OUR_FAULT: "Look at the words and the sender: nothing was wrong with the number.",
    Meaning.LATER: "It is tried again by itself.",
}

# Other codes and our own reasons, in words with the mend.
ERRORS: dict[str, str] = {
    "30034": "The number is not registered for business texts in the US. Register it with the provider.",
    "20003": "The provider refused our credentials. Check them with `prefs doctor`.",
    "401": "The provider refused our credentials. Check them with `prefs doctor`.",
    "403": "The provider does not let this account do that. Check the key’s permissions there.",
    "413": "The message was too large.",
    "429": "The provider asked us to slow down. We try again by ourselves.",
    "timeout": "The provider did not answer in time. It may have gone out; marketing is never sent twice.",
    "hard_bounce": "The mailbox does not exist. It is not written to again.",
    "invalid_address": "The address cannot exist. It is not written to again.",
    "not_sms_capable": "The number takes no texts. It is not texted again.",
    "ProviderError": "The provider did not answer, or refused. We try again by ourselves.",
    "StoreUnavailable": "Our own database was away. We try again by ourselves.",
}
UNKNOWN_ERROR = "The provider refused it with a code we have no words for. Look it up in the provider’s own list."


@dataclass(frozen=True, slots=True)
class Provider:
    """Somebody who carries messages for us; ``compare`` is given for those that keep a list of their own."""

    slug: str
    name: str
    does: str
    channels: tuple[Channel, ...]
    compare: Callable[[bool], Any] | None = None
    job: str | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """How a provider keeps up: its state, 48 half hours oldest first, what waits, and what it was not told of."""

    provider: Provider
    state: str
    ticks: tuple[str, ...]
    last_success: datetime | None
    last_error: Check | None
    waiting: int
    oldest: datetime | None
    held_by: str | None
    held_since: datetime | None
    untold: Untold | None = None

    def is_untold_for_long(self, now: datetime) -> bool:
        """True where it was not told of a stop for so long that somebody should look (I17)."""
        return self.untold is not None and self.untold.is_late(now)


@dataclass(frozen=True, slots=True)
class Trouble:
    """One error in plain words, with the raw text for whoever needs it."""

    at: datetime
    words: str
    raw: str
    message_id: str | None = None


@dataclass(frozen=True, slots=True)
class Conflict:
    """Somebody about whom a provider's list and ours disagree; ``kind`` is a word of ``mail_sync``.

    ``id`` counts from 1. ``stop`` is the reference of our own entry, or None where the stop is only theirs.
    """

    id: int
    provider: str
    kind: str
    person: str
    masked: str
    stop: str | None
    since: datetime


@dataclass(frozen=True, slots=True)
class Providers:
    """The use cases of the providers pages, and the scheduled comparisons."""

    kit: Kit
    known: Sequence[Provider]
    pushes: Pushes

    def health(self) -> list[Health]:
        """Return how each provider keeps up."""
        return [self.health_of(one.slug) for one in self.known]

    def needing_attention(self) -> int:
        """Return how many providers are late, failing or not told of stops; asks only about those that can be."""
        now, number = self.kit.now(), 0
        with self.kit.store.read() as connection:
            for one in self.known:
                if one.compare is not None:
                    last = checks.latest(connection, one.slug, SYNC, well=False)
                    good = checks.latest(connection, one.slug, SYNC, well=True)
                    untold = self.pushes.untold(connection, one.slug)
                    behind = _state([last] if last else [], good, now) in {LATE, FAILING}
                    number += behind or (untold is not None and untold.is_late(now))
        return number

    def health_of(self, slug: str) -> Health:
        """Return how one provider keeps up. Raises ``NotFound``."""
        one, now = self._provider(slug), self.kit.now()
        with self.kit.store.read() as connection:
            # One slot more, so that the first one knows what came before it.
            lines = checks.since(connection, slug, now - _SLOT * _SLOTS - LATE_AFTER)
            good = checks.latest(connection, slug, SYNC, well=True)
            errors = checks.errors(connection, slug, 1)
            waiting, oldest = checks.waiting(connection, one.channels, now)
            held = checks.held(connection)
            untold = self.pushes.untold(connection, slug)
        hold = next((held[channel] for channel in one.channels if channel in held), None)
        synced = [line for line in lines if line.kind == SYNC]
        state = NO_LIST if one.compare is None else _state(synced, good, now)
        return Health(
            provider=one,
            state=state,
            ticks=_ticks(synced, now),
            last_success=good.ended_at if good else None,
            last_error=errors[0] if errors else None,
            waiting=waiting,
            oldest=oldest,
            held_by=hold["by"] if hold else None,
            held_since=datetime.fromisoformat(hold["at"]) if hold else None,
            untold=untold,
        )

    def troubles(self, slug: str) -> list[Trouble]:
        """Return the last twenty errors of a provider in plain words, newest first. Raises ``NotFound``."""
        one = self._provider(slug)
        with self.kit.store.read() as connection:
            refused = checks.refusals(connection, one.channels, _ERRORS_SHOWN)
            failed = checks.errors(connection, slug, _ERRORS_SHOWN)
        found = [_refusal(item) for item in refused]
        found += [Trouble(line.ended_at, _words(line.error), f"{line.kind}: {line.error}") for line in failed]
        return sorted(found, key=lambda trouble: trouble.at, reverse=True)[:_ERRORS_SHOWN]

    def comparison(self, slug: str) -> Check | None:
        """Return the last comparison that changed nothing, or None. Raises ``NotFound``."""
        self._provider(slug)
        with self.kit.store.read() as connection:
            return checks.latest(connection, slug, COMPARE, well=False)

    def conflicts(self, *, after: int = 0, limit: int = 50) -> list[Conflict]:
        """Return what the last comparison of whole lists left to people and still is so, gravest first."""
        with self.kit.store.read() as connection:
            found = [item for one in self.known for item in self._conflicts(connection, one)]
            known = people.by_subject(connection, {item["subject"] for _, item in found})
        items = []
        for provider, item in found:
            row = known.get(item["subject"])
            clear = self.kit.clear(row) if row else None
            if row is not None and clear is not None:
                items.append((provider, item, masked(Address(row.kind, clear, clear))))
        listed = [_conflict(number, *item) for number, item in enumerate(items, start=1)]
        return listed[after : after + limit]

    def count_conflicts(self) -> int:
        """Return how many of them a person has to do something about."""
        with self.kit.store.read() as connection:
            found = [item for one in self.known for _, item in self._conflicts(connection, one)]
        return sum(item["kind"] != MISSING_THERE for item in found)

    def _conflicts(self, connection: Connection, one: Provider) -> list[tuple[str, dict[str, Any]]]:
        """Return a provider's conflicts, less those whose stop does not stand any more."""
        if one.compare is None:
            return []
        lines = checks.newest(connection, one.slug, _LINES_BACK)
        whole = next((line.found for line in lines if line.found.get("conflicts") is not None), None)
        items = whole["conflicts"] if whole else []
        stand = stops.standing_numbers(connection, [_entry(item) for item in items if item["suppression"]])
        left = [item for item in items if not item["suppression"] or _entry(item) in stand]
        return [(one.name, item) for item in sorted(left, key=lambda item: _GRAVEST.index(item["kind"]))]

    def run(self, slug: str, kind: str = SYNC) -> None:
        """Compare with a provider now and leave a line about it; ``compare`` puts nothing right.

        Raises:
            ProviderError, StoreUnavailable: As the comparison did; the line says it failed.
        """
        one, began = self._provider(slug), self.kit.now()
        if one.compare is None:
            return
        try:
            found = asdict(one.compare(kind == COMPARE))
        except Exception as error:
            self._leave_line(slug, kind, began, type(error).__name__, {})
            raise
        self._leave_line(slug, kind, began, None, found)

    def try_now(self, slug: str, by: StaffUser) -> int:
        """Queue a comparison, and make what waits for another try due at once; returns how many that were."""
        one, now = self._provider(slug), self.kit.now()
        with self.kit.store.write() as connection:
            if one.job:
                jobs.add(connection, one.job, {}, key=f"{one.job}:now:{now.isoformat()}", now=now)
            retried = checks.retry_now(connection, one.channels, now)
            audit.note(connection, now, by.actor, "provider_tried", f"provider:{slug}", retried=retried)
        return retried

    def compare_lists(self, slug: str, by: StaffUser) -> None:
        """Queue a comparison that puts nothing right. Raises ``NotFound`` or ``InvalidInput``."""
        one, now = self._provider(slug), self.kit.now()
        if one.compare is None:
            raise InvalidInput(f"{one.name} keeps no list to compare with.", code="no_list")
        with self.kit.store.write() as connection:
            jobs.add(connection, "compare_lists", {"provider": slug}, key=f"compare:{slug}:{now.isoformat()}", now=now)
            audit.note(connection, now, by.actor, "provider_compared", f"provider:{slug}")

    def hold(self, slug: str, by: StaffUser) -> None:
        """Hand nothing over to a provider until ``release``; what is due waits, and is decided again then."""
        one, now = self._provider(slug), self.kit.now()
        with self.kit.store.write() as connection:
            for channel in one.channels:
                checks.hold(connection, channel, by.actor, now)
            audit.note(connection, now, by.actor, "sends_held", f"provider:{slug}")
        log.warning("sends_held", extra={"provider": slug})

    def release(self, slug: str, by: StaffUser) -> None:
        """Hand over again. Raises ``NotFound``."""
        one, now = self._provider(slug), self.kit.now()
        with self.kit.store.write() as connection:
            for channel in one.channels:
                checks.release(connection, channel)
            audit.note(connection, now, by.actor, "sends_released", f"provider:{slug}")

    def handlers(self) -> dict[str, Callable[[dict[str, Any]], None]]:
        """Return the worker's jobs: each provider's scheduled comparison, and one asked for."""
        scheduled = {one.job: self._job(one.slug) for one in self.known if one.job}
        return {**scheduled, "compare_lists": lambda payload: self.run(payload["provider"], COMPARE)}

    def provider(self, slug: str) -> Provider:
        """Return a provider. Raises ``NotFound``."""
        return self._provider(slug)

    def _job(self, slug: str) -> Callable[[dict[str, Any]], None]:
        return lambda _payload: self.run(slug)

    def _leave_line(self, slug: str, kind: str, began: datetime, error: str | None, found: dict[str, Any]) -> None:
        values = {"provider": slug, "kind": kind, "began_at": began, "ended_at": self.kit.now()}
        with self.kit.store.write() as connection:
            checks.add(connection, {**values, "error": error, "found": found})

    def _provider(self, slug: str) -> Provider:
        for one in self.known:
            if one.slug == slug:
                return one
        raise NotFound("There is no such provider in use.")


def _entry(item: dict[str, Any]) -> int:
    return int(item["suppression"].removeprefix("sup_"))


def _conflict(number: int, provider: str, item: dict[str, Any], shown: str) -> Conflict:
    stop = entry_reference(_entry(item)) if item["suppression"] else None
    since = datetime.fromisoformat(item["since"])
    return Conflict(number, provider, item["kind"], person_reference(item["subject"]), shown, stop, since)


def _state(lines: Sequence[Check], good: Check | None, now: datetime) -> str:
    if lines and lines[-1].error:
        return FAILING
    if good is None:
        return NEW
    return IN_STEP if now - good.ended_at < LATE_AFTER else LATE


def _ticks(lines: Sequence[Check], now: datetime) -> tuple[str, ...]:
    """Return what each half hour of the last day was: ``ok``, ``late``, ``fail``, or ``none`` before the first look."""
    found = []
    for number in range(_SLOTS, 0, -1):
        begin, end = now - _SLOT * number, now - _SLOT * (number - 1)
        within = [line for line in lines if begin <= line.ended_at < end]
        good = [line.ended_at for line in lines if not line.error and line.ended_at < end]
        if any(line.error for line in within):
            found.append("fail")
        elif good:
            found.append("ok" if end - max(good) < LATE_AFTER else "late")
        else:
            found.append("late" if any(line.ended_at < end for line in lines) else "none")
    return tuple(found)


def _words(code: str | None) -> str:
    return ERRORS.get(code or "", UNKNOWN_ERROR)


def _refusal(item: Refusal) -> Trouble:
    row = meaning_of(item.provider_code)
    known = next((code for code in (item.provider_code, item.reason) if code in ERRORS), None)
    silent = not (item.provider_code or item.reason)
    said = ERRORS["timeout"] if silent else ERRORS[known] if known else UNKNOWN_ERROR
    if row is not None:
        said = f"{row.says[:1].upper()}{row.says[1:]}. {MEANS[row.meaning]}"
    raw = f"{item.channel}, code {item.provider_code or 'none'}, reason {item.reason or 'none'}"
    return Trouble(item.at, said, raw, item.message_id)

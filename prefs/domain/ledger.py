"""Facts, and what follows from them: ``fold(entries)`` in whatever order they came.

An entry is never changed. State is a pure function of the set of entries of a subject
(reliability.md R1, R2; contract D6): the later effective time wins, and a stop wins a tie.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from prefs.domain.reasons import ENDER_OF_CONSENT, REASONS, Ender, Family, ends
from prefs.domain.terms import Act, Channel, ConsentKind, Reason

ALL = 0
"""The scope number of "all marketing"; other scopes are numbers of the catalogue (contract D16)."""

INFERRED = "inferred"
CONFIRMED = "confirmed"
REVOKE_ALL = "revoke_all"
"""Marks what a STOP to a marketing sender takes from T-6's date on: exempt topics survive it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One fact about one subject.

    ``channel`` is None for a fact about every channel. ``effective_at`` is what the fold orders
    by; ``occurred_at`` is what the source says, and only evidence (contract D7). ``act_id`` is
    shared by the entries of one act. ``lifts`` names what a lift ends: ``entry:KEY``,
    ``act:ID``, or ``sender:NUMBER`` for what STOPs on that sender took. ``until`` ends a snooze
    or a consent. All times are aware UTC.
    """

    entry_key: str
    act_id: str
    act: Act
    subject: int
    channel: Channel | None
    source: str
    effective_at: datetime
    occurred_at: datetime
    recorded_at: datetime
    scope: int = ALL
    reason: Reason | None = None
    consent: ConsentKind | None = None
    sender: int | None = None
    until: datetime | None = None
    lifts: str | None = None
    flag: str | None = None
    actor: str | None = None
    evidence_hash: str | None = None
    id: int = 0

    @property
    def fact(self) -> str:
        """The word this entry stands under in the state: its reason or its kind of consent."""
        return str(self.reason or self.consent or self.act)


@dataclass(frozen=True, slots=True)
class Standing:
    """One thing that is true now about an address on a channel: a stop, a consent, a bad address."""

    channel: Channel | None
    scope: int
    fact: str
    entry_id: int
    effective_at: datetime
    until: datetime | None = None
    sender: int | None = None
    source: str = ""
    flag: str | None = None

    @property
    def reason(self) -> Reason | None:
        """The reason this blocks under, or None for a consent."""
        return Reason(self.fact) if self.fact in _REASON_WORDS else None

    @property
    def consent(self) -> ConsentKind | None:
        """The kind of consent this is, or None for a stop or a bad address."""
        return ConsentKind(self.fact) if self.fact in CONSENT_WORDS else None

    def in_force(self, at: datetime) -> bool:
        """False once ``until`` has come; what has no end is always in force."""
        return self.until is None or at < self.until


_REASON_WORDS = frozenset(str(reason) for reason in Reason)
CONSENT_WORDS = frozenset(str(kind) for kind in ConsentKind)


def fold(entries: Iterable[Entry]) -> frozenset[Standing]:
    """Return what stands, given every entry of one subject; order and duplicates do not matter.

    For each channel, scope and fact the latest live entry stands. A consent after a stop on
    its own topic ends that stop; after a wider stop it stands beside it as an exception, which
    ``decision.decide`` reads (contract D6).
    """
    live = live_entries(entries)
    if len(live) == 1:
        return frozenset({_standing(live[0])})
    kept: dict[tuple[Channel | None, int, str], Entry] = {}
    for entry in live:
        slot = (entry.channel, entry.scope, entry.fact)
        if slot not in kept or _rank(entry) > _rank(kept[slot]):
            kept[slot] = entry
    consents = [entry for entry in live if entry.act is Act.OPT_IN]
    reassigned = [entry for entry in live if entry.reason is Reason.NUMBER_REASSIGNED]
    return frozenset(
        _standing(entry)
        for entry in kept.values()
        if not _is_ended(entry, consents) and not _belongs_to_former_owner(entry, reassigned)
    )


def live_entries(entries: Iterable[Entry]) -> list[Entry]:
    """Return the entries that no live lift ends, without the lifts, each once.

    A lift may itself be lifted: a START that turns out to have been sent before its STOP is
    undone that way (contract D7, invariant I01). A lift only ends what is earlier than itself,
    so the newest lifts are settled first.
    """
    unique = {entry.entry_key: entry for entry in entries}
    lifts = sorted((e for e in unique.values() if e.act is Act.LIFT), key=_lift_order, reverse=True)
    standing_lifts: list[Entry] = []
    for lift in lifts:
        if not any(_lifts(later, lift) for later in standing_lifts):
            standing_lifts.append(lift)
    return [
        entry
        for entry in unique.values()
        if entry.act is not Act.LIFT and not any(_lifts(lift, entry) for lift in standing_lifts)
    ]


def _lift_order(entry: Entry) -> tuple[datetime, str]:
    return (entry.effective_at, entry.entry_key)


def _lifts(lift: Entry, entry: Entry) -> bool:
    kind, _, name = (lift.lifts or "").partition(":")
    if kind == "entry":
        return entry.entry_key == name
    if kind == "act":
        return entry.act_id == name and entry.entry_key != lift.entry_key
    if kind == "sender":
        # What the person stopped by text on that sender, and only if it was earlier (rules.md S-3).
        return entry.sender is not None and str(entry.sender) == name and _may_start_end(entry, lift)
    return False


def _may_start_end(entry: Entry, lift: Entry) -> bool:
    return (
        entry.reason is not None
        and Ender.START in REASONS[entry.reason].ended_by
        and entry.effective_at < lift.effective_at
    )


def _rank(entry: Entry) -> tuple[datetime, datetime, str]:
    # Of two soft or implied consents the one that lasts longer counts (rules.md K-1); of all
    # else the latest. The key makes equal facts comparable, so that order never matters.
    forever = entry.effective_at.replace(year=9999, month=1, day=1)
    if entry.consent in {ConsentKind.IMPLIED, ConsentKind.SOFT_OPT_IN}:
        return (entry.until or forever, entry.effective_at, entry.entry_key)
    return (entry.effective_at, entry.until or forever, entry.entry_key)


def _is_ended(entry: Entry, consents: Sequence[Entry]) -> bool:
    """True where a later consent ends this fact altogether rather than making an exception."""
    if entry.reason is None:
        return False
    about_the_address = REASONS[entry.reason].family is Family.CONTACTABILITY
    return any(
        consent.consent is not None
        and ends(consent.consent, entry.reason)
        and consent.effective_at > entry.effective_at
        and _same_channel(consent, entry)
        and (about_the_address or (entry.scope != ALL and consent.scope == entry.scope))
        for consent in consents
    )


def _same_channel(consent: Entry, entry: Entry) -> bool:
    return entry.channel is None or consent.channel is None or consent.channel is entry.channel


def _belongs_to_former_owner(entry: Entry, reassigned: Sequence[Entry]) -> bool:
    """True for a consent given before its number was handed to somebody else (rules.md A-1)."""
    return entry.act is Act.OPT_IN and any(
        _same_channel(entry, loss) and entry.effective_at <= loss.effective_at for loss in reassigned
    )


def _standing(entry: Entry) -> Standing:
    return Standing(
        channel=entry.channel,
        scope=entry.scope,
        fact=entry.fact,
        entry_id=entry.id,
        effective_at=entry.effective_at,
        until=entry.until,
        sender=entry.sender,
        source=entry.source,
        flag=entry.flag,
    )


def reopened(stop: Standing, topic: int, facts: Iterable[Standing]) -> bool:
    """True where the person, or a recorded consent, let this topic in again after the stop."""
    reason = stop.reason
    return reason is not None and any(
        fact.consent in ENDER_OF_CONSENT
        and fact.scope == topic
        and ends(fact.consent, reason)
        and fact.effective_at > stop.effective_at
        for fact in facts
    )


def still_in_force(facts: Iterable[Standing], wanted: Entry) -> Standing | None:
    """Return the standing stop that makes ``wanted`` superfluous, or None.

    A repeated press appends nothing (rules.md E-4), unless something was let in again since:
    then the repeat is a new wish. The same wish through another door is a fact of its own: a
    START or an undo ends what came through its own door, and must not take a letter with it.
    """
    known = list(facts)
    for fact in known:
        same = (fact.channel, fact.scope, fact.fact) == (wanted.channel, wanted.scope, wanted.fact)
        same_door = (fact.source, fact.sender) == (wanted.source, wanted.sender)
        if not same or not same_door or fact.flag != wanted.flag or fact.until != wanted.until:
            continue
        if any(other.consent in ENDER_OF_CONSENT and other.effective_at > fact.effective_at for other in known):
            continue
        return fact
    return None


def with_id(entry: Entry, entry_id: int) -> Entry:
    """Return the entry as stored, under the number the ledger gave it."""
    return replace(entry, id=entry_id)

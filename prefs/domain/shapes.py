"""The shape of a state: all that ``decide`` can see of it, as a text that many people share.

Fifty million addresses stand in a few hundred ways. What sets one address apart from another of
the same shape (entry numbers, exact times, sources) never changes an answer: of the times only
their order counts, and whether ``until`` has come. So a scrub decides once per shape.

One fact is ``everywhere|scope|fact|in_force|sender|flag~step``; facts are joined by ``;`` in the
order of their times, and facts of the same time share a step. The country is kept beside it.
``prefs.services.standing_index`` writes the same text in SQL; tests hold the two equal.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from prefs.domain.decision import RecipientState
from prefs.domain.ledger import Standing
from prefs.domain.terms import Channel

NOTHING = ""
"""The shape of an address about which nothing stands."""

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


def shape_of(facts: Iterable[Standing], at: datetime) -> str:
    """Return the shape these facts make at a moment."""
    ordered = sorted(facts, key=lambda fact: (fact.effective_at, fact.entry_id))
    times = sorted({fact.effective_at for fact in ordered})
    return ";".join(f"{_described(fact, at)}~{times.index(fact.effective_at) + 1}" for fact in ordered)


def next_change(facts: Iterable[Standing], at: datetime) -> datetime | None:
    """Return when the shape will change by itself, because something ends; None for never."""
    return min((fact.until for fact in facts if fact.until is not None and fact.until > at), default=None)


def state_of(shape: str, country: str | None, channel: Channel, at: datetime) -> RecipientState:
    """Return a state of this shape; ``decide`` answers it as any other of the same shape."""
    facts = (_fact(number, text, channel, at) for number, text in enumerate(shape.split(";")) if text)
    return RecipientState(tuple(facts), country=country)


def _described(fact: Standing, at: datetime) -> str:
    values = (
        int(fact.channel is None),
        fact.scope,
        fact.fact,
        int(fact.in_force(at)),
        "" if fact.sender is None else fact.sender,
        fact.flag or "",
    )
    return "|".join(str(value) for value in values)


def _fact(number: int, text: str, channel: Channel, at: datetime) -> Standing:
    described, _, step = text.rpartition("~")
    everywhere, scope, word, in_force, sender, flag = described.split("|")
    return Standing(
        channel=None if everywhere == "1" else channel,
        scope=int(scope),
        fact=word,
        entry_id=number + 1,
        effective_at=_LONG_AGO + timedelta(seconds=int(step)),
        until=None if in_force == "1" else at,
        sender=int(sender) if sender else None,
        flag=flag or None,
    )

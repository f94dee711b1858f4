"""When a telephone may be reached with marketing: the hours that suit every place it may be in.

A number's area says where it was given out, not where its owner is, so its hours are the
intersection over all time zones it may be in (rules.md G-9). A contact's own time zone, where
known, takes their place (contract D15).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from prefs.domain.terms import Channel

BOUND_CHANNELS = frozenset({Channel.SMS, Channel.VOICE})
SUNDAY = 6


@dataclass(frozen=True, slots=True)
class Hours:
    """Local hours, from the first to before the second; ``other_days`` replace them on single weekdays (Monday 0)."""

    start: time
    end: time
    other_days: Mapping[int, tuple[time, time]] = field(default_factory=dict)

    def on(self, weekday: int) -> tuple[time, time]:
        """Return start and end on a weekday."""
        return self.other_days.get(weekday, (self.start, self.end))

    def admit(self, moment: datetime) -> bool:
        """True where a local time lies within them."""
        start, end = self.on(moment.weekday())
        return start <= moment.time() < end


# 47 CFR 64.1200(c)(1) says 8:00 to 21:00 where the called party is; the narrower evening of the
# state acts is kept everywhere, because a number does not tell who moved to Florida.
DEFAULT = Hours(time(8), time(20))


@dataclass(frozen=True, slots=True)
class State:
    """A state with an act of its own: its area codes (North American Numbering Plan) and its hours."""

    code: str
    area_codes: frozenset[int]
    hours: Hours
    source: str


def _codes(text: str) -> frozenset[int]:
    return frozenset(int(code) for code in text.split())


STATES = (
    State(
        "TX",
        _codes(
            "210 214 254 281 325 346 361 409 430 432 469 512 621 682 713 726 737 806 817 830 832 903 915 936 940 945 "
            "956 972 979"
        ),
        Hours(time(9), time(21), {SUNDAY: (time(12), time(21))}),
        "Texas SB 140 (1 September 2025); Bus. & Com. Code 301.051",
    ),
    State(
        "FL",
        _codes("239 305 321 324 352 386 407 448 561 645 656 689 727 728 754 772 786 813 850 863 904 941 954"),
        Hours(time(8), time(20)),
        "Fla. Stat. 501.059",
    ),
    State("OK", _codes("405 539 572 580 918"), Hours(time(8), time(20)), "Oklahoma Telephone Solicitation Act (2022)"),
    State("OR", _codes("458 503 541 971"), Hours(time(8), time(20)), "Oregon HB 3865 (1 January 2026)"),
)
_STATE_OF = {code: state for state in STATES for code in state.area_codes}
_HOURS = {state.code: state.hours for state in STATES}
_LOOK_AHEAD_DAYS = 4


def state_of(number: str) -> State | None:
    """Return the state with hours of its own that a number was given out in, or None."""
    return _STATE_OF.get(int(number[2:5])) if number.startswith("+1") and number[2:5].isdigit() else None


@lru_cache(maxsize=50_000)
def zones_of_prefix(digits: str) -> tuple[str, ...]:
    """Return every time zone that numbers beginning with these digits may be in; none for unknown ones."""
    from phonenumbers.tzdata import TIMEZONE_DATA  # noqa: PLC0415  3,000 rows, needed for telephones only

    for length in range(len(digits), 0, -1):
        found: tuple[str, ...] | None = TIMEZONE_DATA.get(digits[:length])
        if found is not None:
            return found
    return ()


_LONGEST_PREFIX = 9
"""Digits after which libphonenumber's table of time zones tells no more apart."""


def wait_for(number: str, own_zone: str | None, at: datetime) -> datetime | None:
    """Return the first moment from ``at`` (UTC) at which a telephone may be reached with marketing.

    That is ``at`` itself inside its hours, and None where no moment suits every zone it may be
    in: then it may not be reached at all. Resolution: one minute.
    """
    zones = (own_zone,) if own_zone and _zone(own_zone) else _zones_of(number)
    state = state_of(number)
    return _first_moment(zones, state.code if state else "", at)


def _zones_of(number: str) -> tuple[str, ...]:
    # A short code has no country, so nobody knows where its owner is.
    return zones_of_prefix(number[1 : 1 + _LONGEST_PREFIX]) if number.startswith("+") else ()


@lru_cache(maxsize=4_096)
def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


@lru_cache(maxsize=4_096)
def _first_moment(zones: tuple[str, ...], state: str, at: datetime) -> datetime | None:
    hours = _HOURS.get(state, DEFAULT)
    known = [found for found in map(_zone, zones) if found is not None]
    if not known:
        return None
    return next((moment for moment in _candidates(known, hours, at) if _suits(known, hours, moment)), None)


def _suits(zones: list[ZoneInfo], hours: Hours, moment: datetime) -> bool:
    return all(hours.admit(moment.astimezone(zone)) for zone in zones)


def _candidates(zones: list[ZoneInfo], hours: Hours, at: datetime) -> Iterator[datetime]:
    """Yield ``at`` and then every opening of the days ahead, in order: hours can only begin at one of them."""
    yield at
    openings = set()
    for zone in zones:
        local = at.astimezone(zone)
        for days in range(_LOOK_AHEAD_DAYS):
            day = local.date() + timedelta(days=days)
            start, _ = hours.on(day.weekday())
            openings.add(datetime.combine(day, start, zone).astimezone(UTC))
    yield from sorted(moment for moment in openings if moment > at)

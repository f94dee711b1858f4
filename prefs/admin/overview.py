"""A1, the overview: what needs someone today, and how it goes (ux.md A1)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from flask import current_app, request, url_for
from flask.typing import ResponseReturnValue

from prefs.admin import access, charts
from prefs.admin.access import allowed, me
from prefs.admin.frame import bp, say, say_many, show
from prefs.admin.wordings import CHANNEL_NAMES, REASON_NAMES, SOURCE_NAMES
from prefs.domain.roles import Right
from prefs.edge import services
from prefs.services.figures import Overview
from prefs.services.providers import FAILING, LATE, Health

RANGES = (7, 30, 90)
_MOST_NEEDS, _MOST_RANKED, _MOST_RATES = 5, 8, 5


@dataclass(frozen=True, slots=True)
class Need:
    """One line of what needs someone: a fact, a consequence, and a link to the work."""

    fact: str
    consequence: str
    label: str
    url: str
    bad: bool = True


# Each returns what needs someone of its part; a page adds its own. Cheap questions only.
NEEDS: list[Callable[[], list[Need]]] = []


@bp.get("/")
@allowed(Right.OVERVIEW)
def overview() -> ResponseReturnValue:
    """Show the overview."""
    wanted = request.args.get("days", "")
    days = int(wanted) if wanted in {str(one) for one in RANGES} else 30
    found, health = services().figures.overview(days), services().providers.health()
    needs, heads = _needs(found, health), (say("Day"), say("Blocked"), say("Allowed"))
    return show(
        "overview.html",
        days=days,
        ranges=[(say("%(days)s days", days=one), url_for("admin.overview", days=one), one == days) for one in RANGES],
        first=found.days_listed[0],
        last=found.days_listed[-1],
        needs=needs[:_MOST_NEEDS],
        more=max(0, len(needs) - _MOST_NEEDS),
        empty=not found.checked and not found.stops_total,
        figures=_figures(found, health),
        stops=_stops_chart(found),
        stops_say=_stops_sentence(found),
        sends=charts.columns(found.days_listed, found.blocked, found.allowed, heads),
        sends_say=_sends_sentence(found),
        health=health,
        reasons=charts.ranked(_named(found.reasons, REASON_NAMES)),
        sources=charts.ranked(_named(found.sources, SOURCE_NAMES)),
        campaigns=found.campaigns[:_MOST_RATES],
        topics=found.topics[:_MOST_RATES],
        scale=_scale(found),
        ago=ago,
    )


def ago(moment: datetime | None) -> str:
    """Return how long ago something was, in words like ``2 h 41 min``; ``never`` for None."""
    if moment is None:
        return say("never")
    return lasting(services().kit.now() - moment)


def lasting(span: timedelta) -> str:
    """Return a length of time in its two largest units."""
    seconds = max(0, int(span.total_seconds()))
    days, hours, minutes = seconds // 86400, seconds // 3600 % 24, seconds // 60 % 60
    if days:
        return f"{days} d {hours} h" if hours else f"{days} d"
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{minutes} min" if minutes else f"{seconds} s"


def _needs(found: Overview, health: list[Health]) -> list[Need]:
    needs = [need for part in NEEDS for need in part()]
    needs += [need for one in health for need in _provider_needs(one)]
    waiting = found.waiting
    if access.i_may(Right.REQUESTS) and "admin.requests" in current_app.view_functions:
        url = url_for("admin.requests")
        if waiting.overdue_requests:
            one, many = "%(num)s privacy request is overdue", "%(num)s privacy requests are overdue"
            then = say("The law gives one month.")
            needs.insert(0, Need(say_many(one, many, waiting.overdue_requests), then, say("Open requests"), url))
        if waiting.due_today:
            one, many = "%(num)s privacy request is due today", "%(num)s privacy requests are due today"
            then = say("An answer or more time has to go out today.")
            needs.append(Need(say_many(one, many, waiting.due_today), then, say("Open requests"), url, bad=False))
    if access.i_may(Right.FIND_PEOPLE):
        asked = len([one for one in services().approvals.waiting(me()) if one.asked_by != me().actor])
        if asked:
            one, many = "%(num)s question waits for a second person", "%(num)s questions wait for a second person"
            then, url = say("Nothing is done until somebody else says yes."), url_for("admin.approvals")
            needs.append(Need(say_many(one, many, asked), then, say("Answer"), url, bad=False))
    if access.i_may(Right.KEYS):
        url = url_for("admin.keys")
        if waiting.dead_jobs:
            text = say_many("%(num)s job was given up", "%(num)s jobs were given up", waiting.dead_jobs)
            then = say("Each failed eight times. What it was to do was not done.")
            needs.append(Need(text, then, say("See which"), url))
        if waiting.quarantined:
            one, many = "%(num)s webhook item could not be read", "%(num)s webhook items could not be read"
            then = say("They are kept for 30 days, sealed.")
            needs.append(Need(say_many(one, many, waiting.quarantined), then, say("See which"), url, bad=False))
    return sorted(needs, key=lambda need: not need.bad)


def _provider_needs(one: Health) -> list[Need]:
    return [*_untold(one), *_trouble(one)]


def _untold(one: Health) -> list[Need]:
    """Return the alarm about stops a provider was not told of for a quarter of an hour (I17)."""
    if one.untold is None or not one.is_untold_for_long(services().kit.now()):
        return []
    fact = say("%(name)s has not taken opt-outs for %(time)s", name=one.provider.name, time=ago(one.untold.since))
    waits = say_many("%(num)s is waiting.", "%(num)s are waiting.", one.untold.number)
    then = say("They count here already: nothing goes out through us. We try again by ourselves.")
    return [Need(fact, f"{waits} {then}", say("See the error"), url_for("admin.provider", slug=one.provider.slug))]


def _trouble(one: Health) -> list[Need]:
    url = url_for("admin.provider", slug=one.provider.slug)
    name = one.provider.name
    if one.held_by:
        waits = say_many("%(num)s is due and waits.", "%(num)s are due and wait.", one.waiting)
        fact = say("Sends through %(name)s are held", name=name)
        return [
            Need(fact, waits if one.waiting else say("Nothing is waiting yet."), say("See provider"), url, bad=False)
        ]
    if one.state == FAILING:
        last = say("The last good comparison was %(time)s ago.", time=ago(one.last_success))
        then = last if one.last_success else say("It never worked.")
        fact = say("%(name)s cannot be compared with", name=name)
        return [Need(fact, f"{then} {say('We try again by ourselves.')}", say("See the error"), url)]
    if one.state == LATE:
        fact = say("%(name)s was not compared for %(time)s", name=name, time=ago(one.last_success))
        return [Need(fact, say("A stop that only they know would be missing here."), say("See provider"), url)]
    return []


def _figures(found: Overview, health: list[Health]) -> list[tuple[str, str, str]]:
    blocked = sum(found.blocked)
    compared = [one.last_success for one in health if one.provider.compare]
    oldest = min((moment for moment in compared if moment), default=None)
    known = say("Ago, with a provider’s list. Our own sends know each stop at once.")
    sends = say_many("%(num)s send", "%(num)s sends", blocked)
    share = charts.percent(blocked, found.checked) if found.checked else "–"
    none = say("No provider keeps a list.")
    return [
        (say("Opt-outs"), f"{found.stops_total:,}", _change(found.stops_total, found.stops_before)),
        (say("Sends checked"), charts.short(found.checked), _change(found.checked, found.checked_before)),
        (say("Blocked"), share, sends),
        (say("Oldest comparison"), ago(oldest) if oldest else "–", known if oldest else none),
    ]


def _change(now: int, before: int) -> str:
    if not before:
        return say("Nothing to compare with yet")
    share = round(100 * (now - before) / before)
    if not share:
        return say("As before")
    return say("Up %(share)s%%", share=share) if share > 0 else say("Down %(share)s%%", share=-share)


def _stops_chart(found: Overview) -> charts.Rows:
    names = {channel: say(name) for channel, name in CHANNEL_NAMES.items()}
    ordered = {name: found.stops[channel] for channel, name in names.items() if channel in found.stops}
    if not ordered:
        ordered = {names["email"]: (0,) * len(found.days_listed)}
    return charts.rows(found.days_listed, ordered, say("opt-outs"), say("Day"))


def _stops_sentence(found: Overview) -> str:
    if not found.stops_total:
        return say("Nobody opted out in this time.")
    peaks = [
        (number, day, CHANNEL_NAMES.get(channel, channel))
        for channel, row in found.stops.items()
        for day, number in zip(found.days_listed, row, strict=True)
    ]
    number, day, name = max(peaks, key=lambda peak: (peak[0], peak[1]))
    values = {"number": f"{number:,}", "channel": say(name).lower(), "day": charts.axis([day])[0]}
    return say("Highest: %(number)s by %(channel)s on %(day)s.", **values)


def _sends_sentence(found: Overview) -> str:
    blocked = sum(found.blocked)
    if not found.checked:
        return say("No sends checked in this time.")
    if not blocked:
        return say("No send was blocked.")
    every = found.checked / blocked
    if every < 2:
        return say("%(share)s of the sends were blocked.", share=charts.percent(blocked, found.checked))
    return say("1 send in %(every)s was blocked.", every=round(every))


def _scale(found: Overview) -> float:
    """Return where the scale of the intervals ends: the widest one shown."""
    shown = (*found.campaigns[:_MOST_RATES], *found.topics[:_MOST_RATES])
    return max((rate.high for rate in shown), default=1.0) or 1.0


def _named(items: tuple[tuple[str, int], ...], names: dict[str, str]) -> list[tuple[str, int]]:
    """Return the largest by name, the rest as one line."""
    shown = [
        (say(names.get(name, name.replace("_", " ").capitalize())), number) for name, number in items[:_MOST_RANKED]
    ]
    rest = sum(number for _, number in items[_MOST_RANKED:])
    return [*shown, (say("Other"), rest)] if rest else shown

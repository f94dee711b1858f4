"""A1, the overview: what needs someone today, and how it goes (ux.md A1)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from flask import current_app, request, url_for
from flask.typing import ResponseReturnValue

from prefs.admin import access, charts
from prefs.admin.access import allowed, me
from prefs.admin.frame import bp, show
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
    needs = _needs(found, health)
    return show(
        "overview.html",
        days=days,
        ranges=[(f"{one} days", url_for("admin.overview", days=one), one == days) for one in RANGES],
        first=found.days_listed[0],
        last=found.days_listed[-1],
        needs=needs[:_MOST_NEEDS],
        more=max(0, len(needs) - _MOST_NEEDS),
        empty=not found.checked and not found.stops_total,
        figures=_figures(found, health),
        stops=_stops_chart(found),
        stops_say=_stops_sentence(found),
        sends=charts.columns(found.days_listed, found.blocked, found.allowed, ("Blocked", "Allowed")),
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
        return "never"
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
            text = _count(waiting.overdue_requests, "privacy request is overdue", "privacy requests are overdue")
            needs.insert(0, Need(text, "The law gives one month.", "Open requests", url))
        if waiting.due_today:
            text = _count(waiting.due_today, "privacy request is due today", "privacy requests are due today")
            needs.append(Need(text, "An answer or more time has to go out today.", "Open requests", url, bad=False))
    if access.i_may(Right.FIND_PEOPLE):
        asked = [one for one in services().approvals.waiting(me()) if one.asked_by != me().actor]
        if asked:
            text = _count(len(asked), "question waits for a second person", "questions wait for a second person")
            url = url_for("admin.approvals")
            needs.append(Need(text, "Nothing is done until somebody else says yes.", "Answer", url, bad=False))
    if access.i_may(Right.KEYS):
        url = url_for("admin.keys")
        if waiting.dead_jobs:
            text = _count(waiting.dead_jobs, "job was given up", "jobs were given up")
            needs.append(Need(text, "Each failed eight times. What it was to do was not done.", "See which", url))
        if waiting.quarantined:
            text = _count(waiting.quarantined, "webhook item", "webhook items") + " could not be read"
            needs.append(Need(text, "They are kept for 30 days, sealed.", "See which", url, bad=False))
    return sorted(needs, key=lambda need: not need.bad)


def _provider_needs(one: Health) -> list[Need]:
    url = url_for("admin.provider", slug=one.provider.slug)
    name = one.provider.name
    if one.held_by:
        text = f"{one.waiting:,} are due and wait." if one.waiting else "Nothing is waiting yet."
        return [Need(f"Sends through {name} are held", text, "See provider", url, bad=False)]
    if one.state == FAILING:
        since = f"The last good comparison was {ago(one.last_success)} ago." if one.last_success else "It never worked."
        return [Need(f"{name} cannot be compared with", f"{since} We try again by ourselves.", "See the error", url)]
    if one.state == LATE:
        text = f"{name} was not compared for {ago(one.last_success)}"
        return [Need(text, "A stop that only they know would be missing here.", "See provider", url)]
    return []


def _figures(found: Overview, health: list[Health]) -> list[tuple[str, str, str]]:
    blocked = sum(found.blocked)
    compared = [one.last_success for one in health if one.provider.compare]
    oldest = min((moment for moment in compared if moment), default=None)
    known = "Ago, with a provider’s list. Our own sends know each stop at once."
    return [
        ("Opt-outs", f"{found.stops_total:,}", _change(found.stops_total, found.stops_before)),
        ("Sends checked", _short(found.checked), _change(found.checked, found.checked_before)),
        ("Blocked", charts.percent(blocked, found.checked) if found.checked else "–", f"{blocked:,} sends"),
        (
            "Oldest comparison",
            ago(oldest) if oldest else "–",
            known if oldest else "No provider keeps a list.",
        ),
    ]


def _change(now: int, before: int) -> str:
    if not before:
        return "Nothing to compare with yet"
    share = round(100 * (now - before) / before)
    return f"Up {share} %" if share > 0 else f"Down {-share} %" if share < 0 else "As before"


def _short(number: int) -> str:
    if number >= 1_000_000:
        return f"{number / 1_000_000:.1f} M"
    return f"{number / 1000:.0f}k" if number >= 10_000 else f"{number:,}"


def _stops_chart(found: Overview) -> charts.Rows:
    ordered = {name: found.stops[channel] for channel, name in CHANNEL_NAMES.items() if channel in found.stops}
    if not ordered:
        ordered = {CHANNEL_NAMES["email"]: (0,) * len(found.days_listed)}
    return charts.rows(found.days_listed, ordered, "opt-outs")


def _stops_sentence(found: Overview) -> str:
    if not found.stops_total:
        return "Nobody opted out in this time."
    peaks = [
        (number, day, CHANNEL_NAMES.get(channel, channel))
        for channel, row in found.stops.items()
        for day, number in zip(found.days_listed, row, strict=True)
    ]
    number, day, name = max(peaks, key=lambda peak: (peak[0], peak[1]))
    return f"Highest: {number:,} by {name.lower()} on {charts.axis([day])[0]}."


def _sends_sentence(found: Overview) -> str:
    blocked = sum(found.blocked)
    if not found.checked:
        return "No sends checked in this time."
    if not blocked:
        return "No send was blocked."
    every = found.checked / blocked
    if every < 2:
        return f"{charts.percent(blocked, found.checked)} of the sends were blocked."
    return f"1 send in {every:.0f} was blocked."


def _scale(found: Overview) -> float:
    """Return where the scale of the intervals ends: the widest one shown."""
    shown = (*found.campaigns[:_MOST_RATES], *found.topics[:_MOST_RATES])
    return max((rate.high for rate in shown), default=1.0) or 1.0


def _named(items: tuple[tuple[str, int], ...], names: dict[str, str]) -> list[tuple[str, int]]:
    """Return the largest by name, the rest as one line."""
    shown = [(names.get(name, name.replace("_", " ").capitalize()), number) for name, number in items[:_MOST_RANKED]]
    rest = sum(number for _, number in items[_MOST_RANKED:])
    return [*shown, ("Other", rest)] if rest else shown


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"

"""The staff queue: unclear texts, mails that matched nobody, items that could not be applied, and what providers'
lists and ours disagree about (ux.md section 6).
"""

from collections.abc import Callable, Sequence
from typing import Any

from flask import request
from flask.typing import ResponseReturnValue

from prefs.admin import nav
from prefs.admin.access import allowed, i_may, me
from prefs.admin.frame import bp, go, show
from prefs.domain.roles import Right
from prefs.edge import services
from prefs.services.texts import Verdict
from prefs.wiring import Services

TABS = ("texts", "mails", "items", "conflicts")
# What a conflict is, and what a person does about it (services.mail_sync).
CONFLICTS: dict[str, tuple[str, str]] = {
    "removed_there": (
        "Taken off their list, stopped here",
        "They stay stopped. If they came back, remove the opt-out with what shows it; if not, add them there again.",
    ),
    "ended_here": (
        "On their list, came back here",
        "The newer wish counts, but the provider may drop their mail. Take them off that list.",
    ),
    "missing_there": (
        "Stopped here, not on their list",
        "Nothing has to be done: what we send never depends on that list.",
    ),
}
ROWS = 50


@bp.get("/queue")
@allowed(Right.RECORD_STOPS)
def queue() -> ResponseReturnValue:
    """Show what waits for a person, oldest first; mails are read by the privacy office only."""
    mails, items = services().waiting.counts()
    tab = request.args.get("tab", "texts")
    tab = tab if tab in TABS and (tab != "mails" or i_may(Right.REQUESTS)) else "texts"
    read: dict[str, Callable[..., Sequence[Any]]] = {
        "texts": services().texts.waiting,
        "mails": services().waiting.mails,
        "items": services().waiting.items,
        "conflicts": services().providers.conflicts,
    }
    rows = read[tab](after=_after(), limit=ROWS + 1)
    if rows and (tab == "mails" or (tab == "items" and i_may(Right.SEE_ADDRESSES))):
        # What people wrote and what providers sent may hold addresses; that it was seen is noted first.
        services().audit.note(me().actor, "address_revealed", f"queue:{tab}", rows=len(rows))
    return show(
        "queue.html",
        tab=tab,
        counts={
            "texts": services().texts.count(),
            "mails": mails,
            "items": items,
            "conflicts": services().providers.count_conflicts(),
        },
        conflicts=CONFLICTS,
        rows=rows[:ROWS],
        following=rows[ROWS - 1].id if len(rows) > ROWS else None,
        said=request.args.get("said"),
    )


@bp.post("/queue/texts/<int:number>")
@allowed(post=Right.RECORD_STOPS)
def decide_text(number: int) -> ResponseReturnValue:
    """Say what a person meant by a text."""
    stops = request.form.get("answer") == Verdict.STOP
    services().texts.decide(number, Verdict.STOP if stops else Verdict.NO_STOP, actor=me().actor)
    services().audit.note(me().actor, "queue_decided", f"text:{number}", verdict="stop" if stops else "no_stop")
    return go("admin.queue", tab="texts", said="stop" if stops else "no_stop")


@bp.post("/queue/mails/<int:number>")
@allowed(post=Right.REQUESTS)
def settle_mail(number: int) -> ResponseReturnValue:
    """Note that a mail was dealt with."""
    services().waiting.settle_mail(number, actor=me().actor)
    return go("admin.queue", tab="mails", said="mail")


@bp.post("/queue/items/<int:number>")
@allowed(post=Right.RECORD_STOPS)
def settle_item(number: int) -> ResponseReturnValue:
    """Note that an item was looked at."""
    services().waiting.settle_item(number, actor=me().actor)
    return go("admin.queue", tab="items", said="item")


def _after() -> int:
    value = request.args.get("after", "")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 19 else 0


def _count(found: Services) -> int:
    return found.texts.count() + sum(found.waiting.counts()) + found.providers.count_conflicts()


nav.COUNTS["admin.queue"] = (_count, "waiting")

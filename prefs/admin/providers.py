"""Providers: how each keeps up, its errors in plain words, try now, compare lists, hold sends."""

from flask import request
from flask.typing import ResponseReturnValue

from prefs.admin import nav
from prefs.admin.access import allowed, me
from prefs.admin.frame import bp, go, show
from prefs.admin.overview import ago
from prefs.admin.wordings import CHANNEL_NAMES
from prefs.domain.roles import Right
from prefs.edge import services

# What a comparison counts, in words (services.sync.Drift); anything else shows under its own name.
FOUND: dict[str, tuple[str, str]] = {
    "texts_read": ("Looked at", "Messages in the provider’s log since the last time."),
    "stops_missed": ("Only theirs: stops we had missed", "A sync adds them here."),
    "opted_out_there": ("Only theirs: blocked there", "A sync adds them here."),
    "starts_left": (
        "Only theirs: START we never got",
        "No opt-in ever comes from a comparison; the person can text again.",
    ),
    "numbers_deactivated": ("Only theirs: numbers given up", "A sync ends the consent of those we know."),
    "lines_read": ("Looked at", "Lines of the provider’s lists."),
    "bad_addresses_missed": ("Only theirs: addresses that do not work", "A sync adds them here."),
    "unreadable": ("Not an address", "Lines of theirs nothing could be sent to anyway."),
    "ended_here": (
        "Only theirs: ended here since",
        "The newer one counts. They may go on dropping mail to these people.",
    ),
    "only_ours": ("Only ours", "Stops they lack. Sending never depends on their lists."),
    "removed_there": ("Only ours: taken off their list", "They stay stopped here. See the staff queue."),
    "pushed": ("Only ours: stops they lacked", "A sync passes them on."),
    "in_both": ("In both", ""),
}


@bp.get("/providers")
@allowed(Right.SEE_PROVIDERS)
def providers() -> ResponseReturnValue:
    """List the providers."""
    return show("providers/list.html", health=services().providers.health(), ago=ago)


@bp.get("/providers/<slug>")
@allowed(Right.SEE_PROVIDERS)
def provider(slug: str) -> ResponseReturnValue:
    """Show one provider."""
    health = services().providers.health_of(slug)
    return show(
        "providers/page.html",
        one=health,
        troubles=services().providers.troubles(slug),
        comparison=services().providers.comparison(slug),
        found=FOUND,
        channels=[CHANNEL_NAMES[channel] for channel in health.provider.channels],
        who=_who(health.held_by),
        said=request.args.get("said"),
        number=request.args.get("n", ""),
        ago=ago,
    )


@bp.post("/providers/<slug>/try")
@allowed(post=Right.RUN_PROVIDERS)
def try_provider(slug: str) -> ResponseReturnValue:
    """Compare, and hand over what waits for another try, at once."""
    retried = services().providers.try_now(slug, me())
    return go("admin.provider", slug=slug, said="tried", n=retried)


@bp.post("/providers/<slug>/compare")
@allowed(post=Right.RUN_PROVIDERS)
def compare_provider(slug: str) -> ResponseReturnValue:
    """Compare lists without putting anything right."""
    services().providers.compare_lists(slug, me())
    return go("admin.provider", slug=slug, said="comparing")


@bp.get("/providers/<slug>/hold")
@allowed(Right.RUN_PROVIDERS)
def hold_page(slug: str) -> ResponseReturnValue:
    """Say what holding would do before it is done."""
    return show("providers/hold.html", one=services().providers.health_of(slug))


@bp.post("/providers/<slug>/hold")
@allowed(post=Right.RUN_PROVIDERS, fresh=True)
def hold_provider(slug: str) -> ResponseReturnValue:
    """Hold every send through a provider."""
    services().providers.hold(slug, me())
    return go("admin.provider", slug=slug, said="held")


@bp.post("/providers/<slug>/release")
@allowed(post=Right.RUN_PROVIDERS, fresh=True)
def release_provider(slug: str) -> ResponseReturnValue:
    """Let held sends go."""
    services().providers.release(slug, me())
    return go("admin.provider", slug=slug, said="released")


def _who(actor: str | None) -> str:
    return next((user.email for user in services().team.everyone() if user.actor == actor), actor or "")


nav.COUNTS["admin.providers"] = (lambda made: made.providers.needing_attention(), "need attention")

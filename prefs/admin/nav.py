"""The side navigation, grouped by job. An entry shows once its page exists, to roles that may open it."""

from collections.abc import Callable
from dataclasses import dataclass

from flask import current_app, request, url_for

from prefs.admin import access
from prefs.domain.roles import Right
from prefs.edge import services
from prefs.wiring import Services


@dataclass(frozen=True, slots=True)
class Entry:
    """One link. ``right`` is only for pages outside the console, which have no rule of their own.

    ``also`` is where further pages of the entry lie.
    """

    label: str
    endpoint: str
    right: Right | None = None
    also: str | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """An entry as the template needs it; ``section`` marks pages beneath it."""

    label: str
    url: str
    current: bool
    count: int
    count_words: str


NAV: tuple[tuple[str, tuple[Entry, ...]], ...] = (
    ("", (Entry("Overview", "admin.overview"),)),
    (
        "People",
        (
            Entry("Find a person", "admin.people"),
            Entry("Record an opt-out", "admin.record_stop"),
            Entry("Privacy requests", "admin.requests"),
            Entry("Staff queue", "admin.queue"),
            Entry("For a second person", "admin.approvals"),
        ),
    ),
    (
        "Sending",
        (
            Entry("Decisions", "admin.decisions"),
            Entry("Suppression list", "admin.suppressions"),
            Entry("Import and export", "admin.imports", also="/admin/exports"),
            Entry("Providers", "admin.providers"),
        ),
    ),
    (
        "Set-up",
        (
            Entry("Topics", "admin.topics"),
            Entry("Channels and senders", "admin.channels"),
            Entry("Words and languages", "admin.words"),
            Entry("Team and roles", "admin.team"),
            Entry("Audit log", "admin.audit"),
        ),
    ),
    (
        "Developers",
        (
            Entry("API reference", "api.docs", Right.KEYS),
            Entry("Keys and webhooks", "admin.keys"),
            Entry("Dev outbox", "dev.outbox", Right.KEYS),
        ),
    ),
)

# What needs someone, beside an entry: a cheap count and the words a screen reader adds to it.
COUNTS: dict[str, tuple[Callable[[Services], int], str]] = {}


def shown() -> list[tuple[str, list[Shown]]]:
    """Return the groups this person sees, with what needs someone counted."""
    groups = [(title, [_shown(one) for one in entries if _visible(one)]) for title, entries in NAV]
    return [(title, entries) for title, entries in groups if entries]


def _visible(entry: Entry) -> bool:
    if entry.endpoint not in current_app.view_functions:
        return False
    if entry.endpoint.startswith("dev.") and not services().settings.is_development:
        return False
    rule = access.rule_of(current_app, entry.endpoint)
    right = entry.right or (rule.get if rule else None)
    return right is not None and access.i_may(right)


def _shown(entry: Entry) -> Shown:
    count, words = COUNTS.get(entry.endpoint, (None, ""))
    url = url_for(entry.endpoint)
    here = request.path == url or (url != "/admin/" and request.path.startswith(f"{url}/"))
    here = here or (entry.also is not None and request.path.startswith(entry.also))
    return Shown(entry.label, url, here, count(services()) if count else 0, words)

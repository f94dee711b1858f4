"""Acts named after the link they were done with, so that only that link can take them back (D19)."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from prefs.domain.ledger import Entry
from prefs.domain.references import act_reference
from prefs.domain.terms import Act
from prefs.services.kit import Doing

UNDO_FOR = timedelta(minutes=30)


def reference(act_id: str) -> str:
    """Return the short reference people read out, like ``NW-7K3M-92QD``."""
    return act_reference(act_id)


def marked(doing: Doing, token: str) -> Doing:
    """Name the act after its link."""
    return replace(doing, id=f"page_{_mark(token)}_{doing.key}")


def last_press(entries: Sequence[Entry], token: str) -> list[Entry]:
    """Return the entries of the newest act done with this link; empty where there was none."""
    mine = [e for e in entries if e.act is not Act.LIFT and e.act_id.startswith(f"page_{_mark(token)}_")]
    last = max(mine, key=lambda entry: entry.id, default=None)
    return [entry for entry in mine if last and entry.act_id == last.act_id]


def is_undone(entries: Sequence[Entry], pressed: Sequence[Entry]) -> bool:
    """True where the last thing recorded took this press back."""
    newest = _newest(entries)
    return newest.act is Act.LIFT and newest.lifts == f"act:{pressed[0].act_id}"


def undoable(entries: Sequence[Entry], token: str, now: datetime) -> list[Entry]:
    """Return the entries of the last press if nothing newer is recorded and it is recent."""
    pressed = last_press(entries, token)
    if not pressed or now - pressed[0].recorded_at >= UNDO_FOR:
        return []
    return pressed if _newest(entries).act_id == pressed[0].act_id else []


def _newest(entries: Sequence[Entry]) -> Entry:
    # A browser's signal is recorded by the way and is no newer wish about messages.
    return max((e for e in entries if e.act is not Act.SALE_OPT_OUT), key=lambda entry: entry.id)


def _mark(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()[:16]

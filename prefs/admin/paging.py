"""Pages of 50 rows with "Newer" and "Older", by place in the list and not by number (ux.md section 6)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from flask import request, url_for

ROWS = 50
Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Rows, newest first, and where the pages beside them are; None where there is nothing there."""

    rows: Sequence[Row]
    newer: str | None
    older: str | None


def cursor(name: str) -> int | None:
    """Return ``before`` or ``after`` of the query, or None where it is no number."""
    value = request.args.get(name, "")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 19 else None


def paged(
    rows: Sequence[Row], number: Callable[[Row], int | str], places: tuple[object, object] | None = None
) -> Page[Row]:
    """Return one page of up to 51 rows that were read by ``before`` or ``after``.

    ``places`` are these two where they are no plain numbers. The filters in the query stay in
    both links.
    """
    before, after = places or (cursor("before"), cursor("after"))
    forward = after is not None
    more = len(rows) > ROWS
    kept = rows[-ROWS:] if forward else rows[:ROWS]
    newer = (more if forward else before is not None) and bool(kept)
    older = (True if forward else more) and bool(kept)
    return Page(
        kept,
        _url(after=number(kept[0])) if newer else None,
        _url(before=number(kept[-1])) if older else None,
    )


def _url(**place: int | str) -> str:
    kept = {name: value for name, value in request.args.items() if name not in {"before", "after"}}
    return url_for(request.endpoint or "", **{**(request.view_args or {}), **kept, **place})

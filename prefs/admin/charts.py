"""Charts as figures for SVG: geometry, the labels of the axis, and the same numbers as a table.

No script, no style attribute: the macros of ``console.html`` draw rectangles from these, a
sentence says what to notice, and the table is there for whoever cannot see them (ux.md A1).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from prefs import words

_WIDTH, _TALLEST, _SHORTEST, _PLOT = 300, 100, 6, 236
_GAP = 0.22


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar, in the units of its picture."""

    x: float
    y: float
    width: float
    height: float
    title: str


@dataclass(frozen=True, slots=True)
class BarRow:
    """One series: its name, total, the height of its picture, and its bars."""

    name: str
    total: int
    height: int
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Rows:
    """Series beneath each other, all on one scale."""

    rows: tuple[BarRow, ...]
    unit: str
    axis: tuple[str, ...]
    heads: tuple[str, ...]
    table: tuple[tuple[str | int, ...], ...]


@dataclass(frozen=True, slots=True)
class Column:
    """Two parts of one day, the lower one first."""

    x: float
    width: float
    low_y: float
    low: float
    high_y: float
    high: float
    title: str


@dataclass(frozen=True, slots=True)
class Columns:
    """Stacked columns; ``grid`` is what the upper and the middle line behind them stand for, empty without columns."""

    columns: tuple[Column, ...]
    grid: tuple[str, ...]
    axis: tuple[str, ...]
    heads: tuple[str, ...]
    table: tuple[tuple[str | int, ...], ...]


def rows(days: Sequence[date], series: Mapping[str, Sequence[int]], unit: str, day_head: str) -> Rows:
    """Return one row of bars a series, the tallest bar of all of them as the common scale."""
    highest = max((max(values, default=0) for values in series.values()), default=0) or 1
    table: tuple[tuple[str | int, ...], ...] = tuple(
        (_day(day), *(values[at] for values in series.values())) for at, day in enumerate(days)
    )
    return Rows(
        rows=tuple(_row(name, values, days, highest) for name, values in series.items()),
        unit=unit,
        axis=axis(days),
        heads=(day_head, *series),
        table=table,
    )


def columns(days: Sequence[date], low: Sequence[int], high: Sequence[int], heads: tuple[str, str, str]) -> Columns:
    """Return stacked columns, ``low`` at the bottom so that it can be compared from day to day.

    ``heads`` names the day, the lower part and the upper part.
    """
    top = _round_up(max((a + b for a, b in zip(low, high, strict=True)), default=0))
    step = _WIDTH / max(len(days), 1)
    made = []
    for at, (day, below, above) in enumerate(zip(days, low, high, strict=True)):
        first, second = below / top * _PLOT, above / top * _PLOT
        title = f"{_day(day)}: {below:,} {heads[1].lower()}, {above:,} {heads[2].lower()}"
        made.append(
            Column(
                x=round(at * step + step * _GAP / 2, 2),
                width=round(step * (1 - _GAP), 2),
                low_y=round(_PLOT - first, 2),
                low=round(first, 2),
                high_y=round(_PLOT - first - second, 2),
                high=round(second, 2),
                title=title,
            )
        )
    table = tuple((_day(day), a, b) for day, a, b in zip(days, low, high, strict=True))
    grid = (short(top), short(top // 2)) if any(low) or any(high) else ()
    return Columns(tuple(made), grid, axis(days), heads, table)


def ranked(items: Sequence[tuple[str, int]]) -> list[tuple[str, int, float, str]]:
    """Return name, number, share of the largest (of 100) and percent in words, in the order given."""
    total, largest = sum(number for _, number in items), max((number for _, number in items), default=0)
    if not total:
        return []
    return [(name, number, round(100 * number / largest, 1), percent(number, total)) for name, number in items]


def percent(part: int, whole: int) -> str:
    """Return a share like ``13%``, ``0.4%``, or ``under 0.1%``."""
    share = 100 * part / whole if whole else 0.0
    if part and share < 0.1:
        return "under 0.1%"
    return f"{share:.0f}%" if share >= 10 or share == 0 else f"{share:.1f}%"


def short(number: int) -> str:
    """Return a number as the axis and the figures write it, like ``316k`` or ``1.2 M``."""
    if number >= 1_000_000:
        return f"{number / 1_000_000:.1f} M"
    return f"{number / 1000:.0f}k" if number >= 10_000 else f"{number:,}"


def axis(days: Sequence[date]) -> tuple[str, ...]:
    """Return five labels, first and last among them, or fewer where there are fewer days."""
    if len(days) < 5:
        return tuple(_short(day) for day in days)
    return tuple(_short(days[round(at * (len(days) - 1) / 4)]) for at in range(5))


def _row(name: str, values: Sequence[int], days: Sequence[date], highest: int) -> BarRow:
    height = max(_SHORTEST, round(max(values, default=0) / highest * _TALLEST))
    step = _WIDTH / max(len(values), 1)
    bars = []
    for at, (day, value) in enumerate(zip(days, values, strict=True)):
        tall = value / highest * _TALLEST
        x, width = at * step + step * _GAP / 2, step * (1 - _GAP)
        title = f"{_day(day)}: {value:,}"
        bars.append(Bar(round(x, 2), round(height - tall, 2), round(width, 2), round(tall, 2), title))
    return BarRow(name, sum(values), height, tuple(bars))


def _round_up(number: int) -> int:
    """Return the next even round number, so that the middle line is a whole one too."""
    unit = int(10 ** max(0, len(str(number)) - 2))
    return next(
        step * unit for step in (2, 4, 6, 8, 10, 12, 14, 16, 20, 24, 30, 40, 50, 60, 80, 100) if step * unit >= number
    )


@lru_cache(maxsize=512)
def _day(day: date) -> str:
    return words.day(day, words.DEFAULT)


@lru_cache(maxsize=512)
def _short(day: date) -> str:
    from babel.dates import format_date  # noqa: PLC0415  only charts need it

    shown: str = format_date(day, "d MMM", locale="en")
    return shown

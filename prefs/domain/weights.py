"""How much a text sounds like a wish to be left alone: a table of weights, added up.

The table (``weights.tsv``) holds words, pairs of words up to four apart, and pieces of words of
three and four letters, each with how rare it is and how much it speaks for (or against) a wish
to get no more texts. It was fitted to the texts of ``tests/corpora`` and to ordinary messages by
``python -m tests.weigh``, which names its sources; ``docs/reading-texts.md`` says how well it
does on texts that it was not fitted to.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from math import sqrt

STOPS_FROM = -0.2
"""From this sum on a text is held for a person; chosen before the held-out texts were read."""

SURE_FROM = 0.4
"""From this sum on words of the contrary ("my number has changed") no longer count."""

NO_STOP_BELOW = -0.5
"""Below it even a sentence of the table of sentences is taken for conversation."""

_REACH = 4
_PIECES = (3, 4)
_PIECE_MARK = "#"


@dataclass(frozen=True, slots=True)
class Weighed:
    """The sum, and the words that spoke most for a wish to stop, heaviest first."""

    total: float
    spoke: tuple[str, ...]


def weigh(normalised: str) -> Weighed:
    """Return how much a text, as ``keywords.normalise`` leaves it, sounds like a wish to stop."""
    table, bias = _table()
    found = {name: table[name] for name in features(normalised) if name in table}
    length = sqrt(sum(rarity * rarity for rarity, _ in found.values())) or 1.0
    total = bias + sum(rarity * weight for rarity, weight in found.values()) / length
    words = [name for name, (_, weight) in found.items() if weight > 0 and not name.startswith(_PIECE_MARK)]
    words.sort(key=lambda name: -found[name][0] * found[name][1])
    return Weighed(total, tuple(words[:3]))


def features(normalised: str) -> set[str]:
    """Return what a text is weighed by: words, pairs in order, and pieces of words."""
    words = ["^", *normalised.split(), "$"]
    found = set(words)
    for at, word in enumerate(words):
        found.update(_pairs(words, at))
        found.update(_pieces(word))
    return found


def _pairs(words: list[str], at: int) -> Iterator[str]:
    for further in range(1, _REACH + 1):
        if at + further < len(words):
            yield f"{words[at]}{' ' if further == 1 else '_'}{words[at + further]}"


def _pieces(word: str) -> Iterator[str]:
    if word in "^$":
        return
    framed = f"<{word}>"
    for size in _PIECES:
        for at in range(len(framed) - size + 1):
            yield _PIECE_MARK + framed[at : at + size]


@lru_cache(maxsize=1)
def _table() -> tuple[dict[str, tuple[float, float]], float]:
    lines = resources.files("prefs.domain").joinpath("weights.tsv").read_text("utf-8").splitlines()
    bias = float(lines[0].split("\t")[1])
    rows = (line.split("\t") for line in lines[1:])
    return {name: (float(rarity), float(weight)) for name, rarity, weight in rows}, bias

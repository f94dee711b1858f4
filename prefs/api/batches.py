"""How batches read and answer: one JSON object, or a line each for lists of any length.

As lines (``application/x-ndjson``)::

    {"channel": "email", "topic": "product-offers"}        the question, without ``to``
    ada@example.com                                        then an address a line,
    {"to": "ben@example.com"}                              or an object

    {"to":"ada@example.com","allowed":true,"outcome":"allowed","reason":null}
    {"to":"ben@example.com","allowed":false,"outcome":"blocked","reason":"unsubscribed"}
    {"summary":{"ledger_position":1842,"counts":{"allowed":1,"blocked":1,"deferred":0}}}

Every ten thousand lines are one snapshot. An answer without its summary is not whole: the
connection broke, or the lines that were sent did.
"""

import json
import logging
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Protocol

from prefs.domain.terms import Outcome
from prefs.services.decisions import Asked, BatchAnswer, Decisions, Verdict

log = logging.getLogger(__name__)

FORM = (
    "The first line is the question without `to`, as JSON; each further line an address, as it is or as"
    ' {"to": "…"}. The answer has a line for each, then {"summary": …}; without that it is not whole.'
    " Read while you send."
)
LINES_AT_ONCE = 10_000
LONGEST_LINE = 10_000
_READ_AT_ONCE = 64 * 1024
_ITEMS_A_PART = 2_000
_PLAIN = re.compile(r"[ !#-\[\]-~]*")
"""Printable ASCII without quote and backslash is its own JSON."""


class Readable(Protocol):
    """Where lines come from."""

    def read(self, size: int = -1, /) -> bytes:
        """Return up to so many bytes; none at the end."""
        ...


def as_object(found: BatchAnswer, to: Sequence[object], only: str | None) -> Iterator[str]:
    """Yield the one JSON object that answers a batch, in parts."""
    head = {"ledger_position": found.position, "counts": _counts(found.counted)}
    items = _items(to, found.decisions, only)
    yield json.dumps(head, separators=(",", ":"))[:-1] + ',"decisions":['
    for start in range(0, len(items), _ITEMS_A_PART):
        yield ("," if start else "") + ",".join(items[start : start + _ITEMS_A_PART])
    yield "]}"


def as_lines(decisions: Decisions, asked: Asked, stream: Readable, held: bytes, only: str | None) -> Iterator[str]:
    """Yield a line for every address in the stream, then the summary; ``held`` was read already.

    Raises:
        Exception: The connection broke, or the lines did; no summary is sent.
    """
    total: Counter[Verdict] = Counter()
    lowest: int | None = None
    try:
        for block in _blocks(stream, held):
            to = [_address_in(line) for line in block]
            found = decisions.ask_many(asked, to)
            total.update(found.counted)
            lowest = found.position if lowest is None else min(lowest, found.position)
            lines = _items(to, found.decisions, only)
            for start in range(0, len(lines), _ITEMS_A_PART):
                yield "\n".join(lines[start : start + _ITEMS_A_PART]) + "\n"
    except Exception:
        # The status was sent long ago: the missing summary tells the caller, this tells us.
        log.exception("lines_broken_off", extra={"lines": total.total()})
        raise
    yield json.dumps({"summary": {"ledger_position": lowest, "counts": _counts(total)}}, separators=(",", ":")) + "\n"


def first_line(stream: Readable) -> tuple[bytes, bytes]:
    """Return the first line that is not blank, and what was read behind it; empty where there is none."""
    held = b""
    while True:
        line, newline, rest = held.lstrip().partition(b"\n")
        if newline or len(held) > LONGEST_LINE:
            return line, rest
        more = stream.read(_READ_AT_ONCE)
        if not more:
            return line, b""
        held += more


def _blocks(stream: Readable, held: bytes) -> Iterator[list[bytes]]:
    block: list[bytes] = []
    for line in _lines(stream, held):
        block.append(line)
        if len(block) == LINES_AT_ONCE:
            yield block
            block = []
    if block:
        yield block


def _lines(stream: Readable, held: bytes) -> Iterator[bytes]:
    """Yield lines that are not blank; of one that is too long only its start is kept."""
    while True:
        *whole, held = held.split(b"\n")
        for line in whole:
            if stripped := line.strip():
                yield stripped
        held = held[: LONGEST_LINE + 1]
        more = stream.read(_READ_AT_ONCE)
        if not more:
            break
        held += more
    if held.strip():
        yield held.strip()


def _address_in(line: bytes) -> object:
    """Return the address a line names; what names none is answered as no address, and echoed."""
    text = line[:LONGEST_LINE].decode("utf-8", "replace")
    if text[0] not in '{"':
        return text
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return found.get("to") if isinstance(found, dict) else found


def _items(to: Sequence[object], verdicts: Sequence[Verdict], only: str | None) -> list[str]:
    wanted = None if only is None else only == "allowed"
    # Few objects stand for many verdicts. One that was not asked for has an empty tail.
    tails = {
        kind: _tail(verdict) if wanted is None or verdict.allowed is wanted else ""
        for kind, verdict in {id(verdict): verdict for verdict in verdicts}.items()
    }
    plain = _PLAIN.fullmatch
    return [
        f'{{"to":"{one}"{tail}' if type(one) is str and plain(one) else f'{{"to":{json.dumps(one)}{tail}'
        for one, tail in zip(to, [tails[id(verdict)] for verdict in verdicts], strict=True)
        if tail
    ]


def _tail(verdict: Verdict) -> str:
    reason = f'"{verdict.reason}"' if verdict.reason else "null"
    verified = "" if verdict.verified else ',"verified":false'
    allowed = str(verdict.allowed).lower()
    return f',"allowed":{allowed},"outcome":"{verdict.outcome}","reason":{reason}{verified}}}'


def _counts(counted: "Counter[Verdict]") -> dict[str, int]:
    found = dict.fromkeys((str(outcome) for outcome in Outcome), 0)
    for verdict, number in counted.items():
        found[verdict.outcome] += number
    return found

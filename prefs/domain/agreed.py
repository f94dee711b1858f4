"""One row of a list of people who agreed: who, to what, how, when, and the proof of it (contract D12, D31).

Nothing is guessed: a row that does not say all of it is refused with what is wrong and the mend.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from prefs.domain.address import Address
from prefs.domain.formats import AGREED, BY_NAME, PLAIN, Format
from prefs.domain.ledger import ALL
from prefs.domain.listed import RowProblem, address_in, make_plan, plain_cell, read_time, tidy
from prefs.domain.terms import KIND_OF_CHANNEL, AddressKind, Channel, ConsentKind
from prefs.errors import InvalidInput

KIND, WHEN, SOURCE, TOPIC, WORDING, ENDS = "kind", "agreed_at", "source", "topic", "wording", "expires_at"
REFERENCE = "reference"
EVIDENCE = ("sale_reference", "product_family", "refusal_offered_at", "basis", "basis_date", REFERENCE)
"""Columns that are kept as they are written; which a kind of consent needs is contract D12's."""

EXAMPLE = (
    "email,topic,kind,agreed_at,source,wording,sale_reference,product_family,refusal_offered_at\n"
    'ada@example.com,events,express,2026-03-02,booking form,"Yes, tell me about events by email",,,\n'
    "bo@example.org,product-offers,soft_opt_in,2026-04-03,web shop,,order 1234,check-ups,2026-04-03\n"
)
MEANINGS = {
    TOPIC: "What they agreed to",
    KIND: "How they agreed",
    WHEN: "When they agreed",
    SOURCE: "Where they agreed",
    WORDING: "The words they agreed to",
    ENDS: "When it ends",
    **dict.fromkeys(EVIDENCE, "Proof"),
}
_KINDS = (ConsentKind.EXPRESS, ConsentKind.SOFT_OPT_IN, ConsentKind.IMPLIED)
_LONGEST = 4_000
_WRITE_IT = "Write it like 2026-04-03."


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreed:
    """What one row says; ``text`` is the address as it is written, ``evidence`` what its columns hold."""

    text: str
    channel: Channel
    topic: str
    kind: ConsentKind
    agreed_at: datetime
    source: str
    wording: str | None
    evidence: dict[str, str]
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class AgreedPlan:
    """How the rows of one list are read. ``topics`` are slugs by slug and by name in small letters.

    ``topic`` is what every row agreed to where no column says it; nobody agrees later than ``now``.
    """

    format: ClassVar[Format] = AGREED

    header: tuple[str, ...]
    column: int
    channel: Channel
    topic: str | None
    topics: Mapping[str, str]
    now: datetime

    def reader(self) -> Callable[[Sequence[str]], Agreed]:
        """Return what reads a row's cells; it raises ``RowProblem``."""
        return self._read

    def address(self, agreed: Agreed, default_region: str) -> Address:
        """Return the address of a row. Raises ``RowProblem``."""
        return address_in(agreed.text, agreed.channel, default_region)

    def meaning(self, place: int, name: str) -> str:
        """Return what a column is taken for, or nothing."""
        if place == self.column:
            return "Address"
        return "" if tidy(name) == TOPIC and self.topic else MEANINGS.get(tidy(name), "")

    def _read(self, cells: Sequence[str]) -> Agreed:
        if len(cells) <= self.column:
            raise RowProblem("This row is too short", "Give it as many columns as the first row has.")
        said = {name: plain_cell(cells[at].strip()) for at, name in enumerate(self.header) if at < len(cells)}
        kind, agreed_at = self._kind(said.get(KIND, "")), self._when(said.get(WHEN, ""))
        source, wording = said.get(SOURCE, ""), said.get(WORDING, "")
        if not source:
            raise RowProblem(
                "Where they agreed is not said", f"Write the place into `{SOURCE}`, like: booking form, spring 2026."
            )
        if kind is ConsentKind.EXPRESS and not wording:
            raise RowProblem(
                "The proof is missing: the words they agreed to",
                f"Write into `{WORDING}` what the box or the question said.",
            )
        if max(map(len, said.values())) > _LONGEST:
            raise RowProblem("A cell of this row is too long", f"Use {_LONGEST} characters at most.")
        return Agreed(
            text=cells[self.column],
            channel=self.channel,
            topic=self._topic(said.get(TOPIC, "")),
            kind=kind,
            agreed_at=agreed_at,
            source=source,
            wording=wording or None,
            evidence={name: said[name] for name in EVIDENCE if said.get(name)},
            expires_at=self._end(said.get(ENDS, "")),
        )

    def _kind(self, said: str) -> ConsentKind:
        word = said.lower().replace("-", "_").replace(" ", "_")
        known = f"Write {', '.join(_KINDS[:-1])} or {_KINDS[-1]} into `{KIND}`."
        if not word:
            raise RowProblem("How they agreed is not said", known)
        if word not in _KINDS:
            raise RowProblem("A kind of consent that cannot be imported", known)
        if word != ConsentKind.EXPRESS and KIND_OF_CHANNEL[self.channel] in {AddressKind.PHONE, AddressKind.PUSH}:
            raise RowProblem(
                "This kind of consent does not count for texts, calls and push", "Only an express one does: ask them."
            )
        return ConsentKind(word)

    def _when(self, said: str) -> datetime:
        if not said:
            raise RowProblem("When they agreed is not said", f"Write the date into `{WHEN}`, like 2026-04-03.")
        found = read_time(said)
        if found is None:
            raise RowProblem("The date they agreed on cannot be told for sure", _WRITE_IT)
        if found > self.now:
            raise RowProblem("The date they agreed on is in the future", "Use the day they agreed.")
        return found

    def _end(self, said: str) -> datetime | None:
        found = read_time(said) if said else None
        if said and found is None:
            raise RowProblem("The date it ends on cannot be told for sure", _WRITE_IT)
        return found

    def _topic(self, said: str) -> str:
        word = self.topic or said
        slug = self.topics.get(word.casefold())
        if slug is None:
            what = "A topic that there is not" if word else "What they agreed to is not said"
            raise RowProblem(what, f"Write one into `{TOPIC}`: {', '.join(sorted(set(self.topics.values())))}.")
        return slug


def make_agreed_plan(
    header: Sequence[str] | None,
    sample: Sequence[Sequence[str]],
    *,
    channel: Channel | None,
    column: str | None,
    topic: str | None,
    topics: Mapping[str, str],
    now: datetime,
) -> AgreedPlan:
    """Decide how a list of people who agreed is read.

    Raises:
        InvalidInput: A column that every row needs is missing, or the addresses need a word from the caller.
    """
    names = tuple(tidy(name) for name in header) if header is not None else ()
    needed = [*([] if topic else [TOPIC]), KIND, WHEN, SOURCE]
    missing = [name for name in needed if name not in names]
    if missing:
        raise InvalidInput(
            f"A list of people who agreed says for each row what they agreed to, how, when and where. It needs the "
            f"columns {', '.join(needed)}; {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing.",
            field="rows",
            code="no_proof",
        )
    plain = make_plan(
        header, sample, format=BY_NAME[PLAIN], channel=channel, scope=ALL, spoken=lambda _: ALL, column=column
    )
    assert plain.channel is not None
    return AgreedPlan(names, plain.column, plain.channel, topic, topics, now)

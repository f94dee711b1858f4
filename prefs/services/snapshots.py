"""The answers of one moment as Parquet, so that the join runs where an audience of billions lives.

A folder: ``manifest.json``, and ``answers/channel=…/topic=…/part-0.parquet``. A row is an address
whose answer is not the one for unknown addresses, or will change by itself; docs/scale.md has
the format and the join. A delta holds every address that moved since a ledger position.
"""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection

from prefs.domain.catalogue import Topic
from prefs.domain.decision import Decision, Question, decide
from prefs.domain.formats import HEX_DIGITS
from prefs.domain.shapes import state_of
from prefs.domain.terms import Channel
from prefs.errors import InvalidInput
from prefs.services.alone import alone_in
from prefs.services.decisions import Asked, Decisions, is_timed
from prefs.services.deltas import check_since, moved
from prefs.services.engine import DEFAULT_MEMORY, Engine, Fraction, literal, opened, quoted
from prefs.services.kit import Kit
from prefs.services.scrub import Told
from prefs.services.standing_index import SHAPES, StandingIndex
from prefs.storage import facts, ledger
from prefs.storage.tables import to_microseconds

FORMAT = "prefs snapshot 1"
_AT_ONCE = 20_000
_WHOLE = "whole"

Wanted = Mapping[Channel, Sequence[Topic]]
"""Which topics are asked about on which channels."""


@dataclass(frozen=True, slots=True)
class Part:
    """One question of a snapshot: how an address is answered that has no row, and how many have one."""

    channel: str
    topic: str
    message_class: str
    unknown_outcome: str
    unknown_reason: str | None
    rows: int
    path: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What was written. ``since`` is None for a whole snapshot, else where the delta begins.

    Everything up to ``position`` is in it, and some of what is newer may be: the next delta has that
    again. A row may stand under any of ``keys`` (``AddressKeys.fingerprints``) and, where ``hashes``
    names kinds, under a hash of its address in place of the address.
    """

    position: int
    since: int | None
    policy_version: str
    made_at: datetime
    keys: tuple[str, ...]
    hashes: tuple[str, ...]
    parts: tuple[Part, ...]

    @property
    def needs_several_keys(self) -> bool:
        """True where a join that computes one key an address would miss rows, and so write to people who left."""
        return (len(self.keys) > 1 or bool(self.hashes)) and any(part.rows for part in self.parts)


@dataclass(frozen=True, slots=True)
class Snapshots:
    """The use case behind ``prefs snapshot``."""

    kit: Kit
    decisions: Decisions
    index: StandingIndex

    def write(
        self,
        folder: Path,
        *,
        channels: Sequence[Channel] = (),
        topics: Sequence[str] = (),
        since: int | None = None,
        memory: str = DEFAULT_MEMORY,
        told: Told | None = None,
    ) -> Snapshot:
        """Write the answers to all marketing topics, or the named ones, on all channels, or the named ones.

        The folder is there whole or not at all; what a killed run left beside it is taken away.

        Raises:
            InvalidInput: The folder is not empty, or ``since`` lies ahead of the ledger.
            UnknownTopic: No such topic.
            Conflict: Another process writes the same folder.
            StoreUnavailable: The store cannot be asked, or an opt-out waits to be written.
            SettingsError: DuckDB is not installed.
        """
        folder = folder.resolve()
        wanted = self._wanted(channels, topics)
        if folder.exists() and any(folder.iterdir()):
            raise InvalidInput("The folder is not empty. Name a new one.", field="out", code="not_empty")
        self.decisions.refuse_held_back()
        with _beside(folder) as work:
            made = self._make(work, wanted, since, memory, told)
            self.decisions.refuse_held_back()
            manifest = {"format": FORMAT, **asdict(made), "made_at": made.made_at.isoformat()}
            (work / _WHOLE / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
            (work / _WHOLE).replace(folder)
        return made

    def _make(self, work: Path, wanted: Wanted, since: int | None, memory: str, told: Told | None) -> Snapshot:
        rows = self._refresh(wanted, memory, told)
        # The position before the reading, so that nothing up to it is missed; the time behind it, so that
        # nothing that ends in between is.
        position, at = facts.settled_position(self.kit.store), self.kit.now()
        if since is not None:
            check_since(since, position)
        with (
            opened(work / "work.duckdb", memory=memory, spill=work / "spill") as engine,
            facts.one_moment(self.kit.store) as now,
        ):
            job = _Job(self, engine, now, work / _WHOLE, at, position, since)
            parts = tuple(job.parts(wanted, _Progress(told, "writing", rows, sum(map(len, wanted.values())))))
        keys = self.kit.address_keys
        # Asked last: the first list of hashes may have come meanwhile.
        hashes = tuple(HEX_DIGITS) if keys.hashes_listed() else ()
        policy = self.decisions.policy_version()
        return Snapshot(position, since, policy, at, keys.fingerprints(), hashes, parts)

    def _refresh(self, wanted: Wanted, memory: str, told: Told | None) -> int:
        """Bring the copies of these channels up to date and return how many addresses are in them."""
        with self.kit.store.read() as connection:
            copying = _Progress(told, "copying", ledger.position(connection), len(wanted))
        found = 0
        for channel in wanted:
            found += self.index.refresh(channel, self.kit.now(), memory, copying.next()).rows
        return found

    def _wanted(self, channels: Sequence[Channel], topics: Sequence[str]) -> Wanted:
        catalogue = self.kit.catalogue
        named = [catalogue.topic(slug) for slug in topics]
        chosen = {
            channel: [topic for topic in named if channel in topic.needs]
            if named
            else list(catalogue.marketing_topics(channel))
            for channel in channels or tuple(Channel)
        }
        return {channel: its_topics for channel, its_topics in chosen.items() if its_topics}


@dataclass(slots=True)
class _Progress:
    """A step of several parts, one after the other, and who hears of it: about so many rows in all."""

    told: Told | None
    step: str
    rows: int
    parts: int
    done: int = -1

    def next(self) -> Fraction | None:
        """Return what hears how far the next part is, or None where nobody listens."""
        self.done += 1
        told, done = self.told, self.done
        if told is None:
            return None
        return lambda fraction: told(self.step, (done + fraction) / self.parts, self.rows)


@dataclass(frozen=True, slots=True)
class _Job:
    """One snapshot under way, read from the moment of the connection ``now``."""

    snapshots: Snapshots
    engine: Engine
    now: Connection
    folder: Path
    at: datetime
    position: int
    since: int | None

    def parts(self, wanted: Wanted, progress: _Progress) -> Iterator[Part]:
        """Write each part and yield what it is."""
        self.folder.mkdir()
        for channel, topics in wanted.items():
            with self.snapshots.index.attached(self.engine, self.now, channel, self.at):
                if self.since is not None:
                    self._note_moved(channel, self.since)
                for topic in topics:
                    question = self.snapshots.decisions.question(Asked(channel=channel, topic=topic.slug, at=self.at))
                    with self.engine.watched(progress.next()):
                        part = self._part(question, topic, self._answer(question))
                    yield part

    def _note_moved(self, channel: Channel, since: int) -> None:
        """Make ``moved``: the key of every address whose answer may differ from what it was at a position."""
        engine = self.engine
        engine.run("CREATE OR REPLACE TEMP TABLE every (key VARCHAR)")
        ordered = sorted(key.hex() for key in moved(self.now, [channel], since, self.at))
        for start in range(0, len(ordered), _AT_ONCE):
            engine.run("INSERT INTO every SELECT unnest(?::VARCHAR[])", [ordered[start : start + _AT_ONCE]])
        engine.run("CREATE OR REPLACE TEMP TABLE moved AS SELECT key::UUID AS key FROM every")

    def _answer(self, question: Question) -> Decision:
        """Decide once per shape into ``answer`` (cls, outcome, reason, scope); return what unknown addresses get."""
        engine = self.engine
        # A key does not tell whose country code it hides, so an overdue registry holds back every telephone.
        stale = is_timed(question) and self.snapshots.decisions.numbers.registry_is_stale(question.at)
        rows = engine.rows(f"SELECT cls, shape, country FROM {SHAPES} ORDER BY cls")
        answers = []
        for cls, shape, country in rows:
            state = replace(state_of(shape, country, question.channel, question.at), registry_stale=stale)
            answers.append((cls, decide(replace(question, country=country), state)))
        engine.run("CREATE OR REPLACE TEMP TABLE answer (cls INTEGER, outcome VARCHAR, reason VARCHAR, scope VARCHAR)")
        for start in range(0, len(answers), _AT_ONCE):
            columns = list(zip(*(self._row(*one) for one in answers[start : start + _AT_ONCE]), strict=True))
            engine.run(
                "INSERT INTO answer SELECT unnest(?::INTEGER[]), unnest(?::VARCHAR[]), unnest(?::VARCHAR[]), "
                "unnest(?::VARCHAR[])",
                [list(column) for column in columns],
            )
        return answers[0][1]

    def _row(self, cls: int, decision: Decision) -> tuple[int, str, str | None, str | None]:
        stopped = decision.fact if decision.fact and decision.fact.reason else None
        scope = self.snapshots.kit.catalogue.scope_name(stopped.scope) if stopped else None
        return cls, str(decision.outcome), str(decision.reason) if decision.reason else None, scope

    def _part(self, question: Question, topic: Topic, unknown: Decision) -> Part:
        engine = self.engine
        path = Path("answers") / f"channel={question.channel}" / f"topic={topic.slug}" / "part-0.parquet"
        (self.folder / path).parent.mkdir(parents=True)
        key, source = self._source(unknown)
        engine.run(
            f"COPY (SELECT unhex(replace({key}::VARCHAR, '-', '')) AS key, n.outcome, n.reason, n.scope, "
            f"make_timestamptz(s.ends) AS changes_at, {self.position}::BIGINT AS ledger_position, "
            f"{quoted(self.snapshots.decisions.policy_version())} AS policy_version, "
            f"make_timestamptz({to_microseconds(question.at)}) AS made_at FROM {source} ORDER BY {key}) "
            f"TO {quoted(self.folder / path)} (FORMAT parquet, COMPRESSION zstd)"
        )
        return Part(
            channel=str(question.channel),
            topic=topic.slug,
            message_class=str(question.message_class),
            unknown_outcome=str(unknown.outcome),
            unknown_reason=str(unknown.reason) if unknown.reason else None,
            rows=engine.value(f"SELECT count(*) FROM read_parquet({literal(self.folder / path)})"),
            path=str(path),
        )

    def _source(self, unknown: Decision) -> tuple[str, str]:
        """Return the key's column, and what rows are taken from: those that moved, or all that are not as unknown."""
        if self.since is not None:
            # About whom nothing stands any more has a row too, with the answer for the unknown.
            joined = "moved AS m LEFT JOIN standing_now AS s USING (key) JOIN answer AS n ON n.cls = coalesce(s.cls, 0)"
            return "m.key", joined
        kept = f"n.outcome <> {quoted(unknown.outcome)} OR s.ends IS NOT NULL"
        if unknown.reason:
            kept += f" OR n.reason IS DISTINCT FROM {quoted(unknown.reason)}"
        return "s.key", f"standing_now AS s JOIN answer AS n USING (cls) WHERE {kept}"


@contextmanager
def _beside(folder: Path) -> Iterator[Path]:
    """Lend an empty, hidden folder beside the one to come; it is gone at the end, with what a killed run left."""
    place = folder.with_name(f".{folder.name}.work")
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    with alone_in(place, "This snapshot is being written already."):
        work = place / "now"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        try:
            yield work
        finally:
            shutil.rmtree(place)

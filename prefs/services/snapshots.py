"""The answers of one moment as Parquet, so that the join runs where an audience of billions lives.

A folder: ``manifest.json``, and ``answers/channel=…/topic=…/part-0.parquet``. A row is an address
whose answer is not the one for unknown addresses, or will change by itself; docs/scale.md has
the format and the join. A delta holds every address that moved since a ledger position.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection

from prefs.domain.catalogue import Topic
from prefs.domain.decision import Decision, Question, decide
from prefs.domain.shapes import state_of
from prefs.domain.terms import Channel
from prefs.errors import InvalidInput, StoreUnavailable
from prefs.services.decisions import Asked, Decisions, is_timed
from prefs.services.engine import DEFAULT_MEMORY, Engine, opened, quoted
from prefs.services.kit import Kit
from prefs.services.standing_index import SHAPES, StandingIndex
from prefs.storage import facts, ledger
from prefs.storage.tables import EPOCH, to_microseconds

FORMAT = "prefs snapshot 1"
_AT_ONCE = 20_000


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
    """What was written. ``since`` is None for a whole snapshot, else where the delta begins."""

    position: int
    since: int | None
    policy_version: str
    made_at: datetime
    parts: tuple[Part, ...]


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
    ) -> Snapshot:
        """Write the answers to all marketing topics, or the named ones, on all channels, or the named ones.

        Raises:
            InvalidInput: The folder is not empty, or ``since`` lies ahead of the ledger.
            UnknownTopic: No such topic.
            StoreUnavailable: The store cannot be asked, or an opt-out waits to be written.
            SettingsError: DuckDB is not installed.
        """
        wanted = self._wanted(channels, topics)
        if folder.exists() and any(folder.iterdir()):
            raise InvalidInput("The folder is not empty. Name a new one.", field="out", code="not_empty")
        if self.decisions.held_back():
            raise StoreUnavailable("An opt-out waits to be written. Run this again when the database takes changes.")
        folder.mkdir(parents=True, exist_ok=True)
        at = self.kit.now()
        for channel in wanted:
            self.index.refresh(channel, at, memory)
        work = folder / ".work.duckdb"
        with opened(work, memory=memory, spill=folder / ".spill") as engine, facts.one_moment(self.kit.store) as now:
            position = ledger.position(now)
            _check_since(since, position)
            parts = [
                part
                for channel, its_topics in wanted.items()
                for part in self._channel(engine, now, folder, channel, its_topics, at, position, since)
            ]
        work.unlink()
        made = Snapshot(position, since, self.decisions.policy_version(), at, tuple(parts))
        manifest = {"format": FORMAT, **asdict(made), "made_at": at.isoformat()}
        (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
        return made

    def _wanted(self, channels: Sequence[Channel], topics: Sequence[str]) -> dict[Channel, list[Topic]]:
        catalogue = self.kit.catalogue
        named = [catalogue.topic(slug) for slug in topics]
        chosen = {
            channel: [topic for topic in named if channel in topic.needs]
            if named
            else list(catalogue.marketing_topics(channel))
            for channel in channels or tuple(Channel)
        }
        return {channel: its_topics for channel, its_topics in chosen.items() if its_topics}

    def _channel(
        self,
        engine: Engine,
        now: Connection,
        folder: Path,
        channel: Channel,
        topics: Sequence[Topic],
        at: datetime,
        position: int,
        since: int | None,
    ) -> Iterator[Part]:
        with self.index.attached(engine, now, channel, at):
            if since is not None:
                _moved(engine, now, channel, since, at)
            for topic in topics:
                question = self.decisions.question(Asked(channel=channel, topic=topic.slug, at=at))
                unknown = self._answer(engine, question)
                yield self._part(engine, folder, question, unknown, position, delta=since is not None)

    def _answer(self, engine: Engine, question: Question) -> Decision:
        """Decide once per shape into ``answer`` (cls, outcome, reason, scope); return what unknown addresses get."""
        # A key does not tell whose country code it hides, so an overdue registry holds back every telephone.
        stale = is_timed(question) and self.decisions.numbers.registry_is_stale(question.at)
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
        scope = self.kit.catalogue.scope_name(decision.fact.scope) if decision.fact and decision.fact.reason else None
        return cls, str(decision.outcome), str(decision.reason) if decision.reason else None, scope

    def _part(
        self, engine: Engine, folder: Path, question: Question, unknown: Decision, position: int, *, delta: bool
    ) -> Part:
        assert question.topic is not None  # every question here names one
        path = Path("answers") / f"channel={question.channel}" / f"topic={question.topic.slug}" / "part-0.parquet"
        (folder / path).parent.mkdir(parents=True)
        source = "standing_now AS s JOIN answer AS n USING (cls)"
        kept = f"WHERE n.outcome <> {quoted(unknown.outcome)} OR s.ends IS NOT NULL"
        if unknown.reason:
            kept += f" OR n.reason IS DISTINCT FROM {quoted(unknown.reason)}"
        if delta:
            source = "moved AS m LEFT JOIN standing_now AS s USING (key) JOIN answer AS n ON n.cls = coalesce(s.cls, 0)"
            kept = ""
        key = "m.key" if delta else "s.key"
        engine.run(
            f"COPY (SELECT unhex(replace({key}::VARCHAR, '-', '')) AS key, n.outcome, n.reason, n.scope, "
            f"make_timestamptz(s.ends) AS changes_at, {position}::BIGINT AS ledger_position, "
            f"{quoted(self.decisions.policy_version())} AS policy_version, "
            f"make_timestamptz({to_microseconds(question.at)}) AS made_at "
            f"FROM {source} {kept} ORDER BY {key}) "
            f"TO {quoted(folder / path)} (FORMAT parquet, COMPRESSION zstd)"
        )
        return Part(
            channel=str(question.channel),
            topic=question.topic.slug,
            message_class=str(question.message_class),
            unknown_outcome=str(unknown.outcome),
            unknown_reason=str(unknown.reason) if unknown.reason else None,
            rows=engine.value(f"SELECT count(*) FROM read_parquet({quoted(folder / path)})"),
            path=str(path),
        )


def _check_since(since: int | None, position: int) -> None:
    if since is not None and not 0 <= since <= position:
        raise InvalidInput(f"The ledger ends at {position}. Name the position of an earlier snapshot.", field="since")


def _moved(engine: Engine, connection: Connection, channel: Channel, since: int, at: datetime) -> None:
    """Make ``moved``: the key of every address whose answer may differ from what it was at a position.

    An earlier snapshot at that position was made at its entry's time or later: what ended after
    that time has moved too.
    """
    entry = ledger.entry_numbered(connection, since)
    earlier = entry.recorded_at - timedelta(seconds=1) if entry else EPOCH
    engine.run("CREATE OR REPLACE TEMP TABLE every (key VARCHAR)")
    moved = {
        *facts.changed_since(connection, since),
        *facts.ended_between(connection, channel, earlier, at),
    }
    ordered = sorted(key.hex() for key in moved)
    for start in range(0, len(ordered), _AT_ONCE):
        engine.run("INSERT INTO every SELECT unnest(?::VARCHAR[])", [ordered[start : start + _AT_ONCE]])
    engine.run("CREATE OR REPLACE TEMP TABLE moved AS SELECT key::UUID AS key FROM every")

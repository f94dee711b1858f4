"""Mark a file of people sendable or not, with the answers ``decide`` gives, ten million rows at a time.

The file is read once into a work file, its addresses keyed; the channel's standing is joined by
key; every shape is decided once by the one ``decide``. What was read survives an interruption,
what was decided does not: an answer is never older than its ledger position says.
"""

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from prefs.domain.address import Address, parse_address
from prefs.domain.calling_hours import telling_digits
from prefs.domain.decision import Decision, Question, RecipientState, decide
from prefs.domain.shapes import state_of
from prefs.domain.terms import KIND_OF_CHANNEL, AddressKind, Channel, Outcome
from prefs.errors import InvalidAddress, InvalidInput, StoreUnavailable
from prefs.services import audience as audiences
from prefs.services.alone import alone_in
from prefs.services.audience import Audience
from prefs.services.certificates import Certificates
from prefs.services.decisions import Asked, Decisions, is_timed
from prefs.services.engine import DEFAULT_MEMORY, Engine, Fraction, name, opened, quoted
from prefs.services.kit import Kit
from prefs.services.standing_index import SHAPES, StandingIndex, classes
from prefs.storage import facts, ledger
from prefs.storage.people import KnownAddress
from prefs.storage.states import load_states_within

Told = Callable[[str, float, int], None]
"""Hears a step's name, which fraction of it is done, and of about how many rows."""

EMPTY = "empty"
REJECTED = "rejected"
_KNOWN_NOTHING = -1
"""The shape number of a hash whose address we know and about which nothing stands."""
_AT_ONCE = 20_000
_NOTED = "order.json"
_ADDED = ("prefs_outcome", "prefs_reason", "prefs_column", "prefs_not_before")
_TYPES = {".csv": "csv", ".txt": "csv", ".tsv": "csv", ".parquet": "parquet"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to scrub and where the parts go. ``columns`` empty: the one that is named like an address.

    ``hashed`` says that the column holds ``sha256`` or ``md5`` of normalised addresses.
    """

    audience: Path
    asked: Asked
    kept: Path
    blocked: Path | None = None
    rejected: Path | None = None
    certificate: Path | None = None
    columns: Sequence[str] = ()
    hashed: str | None = None
    memory: str = DEFAULT_MEMORY

    @property
    def rejects(self) -> Path:
        """Where rows go that name nobody."""
        return self.rejected or self.kept.with_name(f"{self.kept.stem}.rejected.csv")

    @property
    def statement(self) -> Path:
        """Where the certificate goes."""
        return self.certificate or self.kept.with_name(f"{self.kept.stem}.certificate.json")

    @property
    def work(self) -> Path:
        """The folder of unfinished work; gone when the scrub is done."""
        return self.kept.with_name(f".{self.kept.name}.work")


@dataclass(frozen=True, slots=True)
class Report:
    """What came of it. ``kept + blocked + rejected`` is ``rows``; ``reasons`` counts those not kept.

    ``columns`` are those the addresses were read from, numbered where ``header`` is False.
    ``key_only`` counts addresses of which we hold a keyed hash alone: hashes of others cannot be
    compared with those, so unknown hashes were not kept where it is above 0.
    """

    rows: int
    kept: int
    blocked: int
    rejected: int
    reasons: Mapping[str, int]
    position: int
    policy_version: str
    files: Mapping[str, Mapping[str, Any]]
    certificate: Path
    columns: tuple[str, ...]
    header: bool
    key_only: int = 0


@dataclass(frozen=True, slots=True)
class Scrub:
    """The use case behind ``prefs scrub`` and ``POST /v1/scrubs``."""

    kit: Kit
    decisions: Decisions
    index: StandingIndex
    certificates: Certificates

    def run(self, order: Order, told: Told | None = None) -> Report:
        """Scrub a file. Interrupted, the same call goes on where reading stopped, and decides afresh.

        Raises:
            InvalidInput: The file, a column or an option cannot be as they are, or memory or disk do not suffice.
            UnknownTopic: A topic, brand or sender the catalogue does not have.
            StoreUnavailable: The store cannot be asked, or an opt-out waits to be written; nothing was kept.
            Conflict: Another process works on the same output.
            SettingsError: DuckDB is not installed.
        """
        self.decisions.question(order.asked)
        _check(order, self.kit.now())
        self.decisions.refuse_held_back()
        with _alone(order.work), ThreadPoolExecutor(1) as beside, self._work_file(order) as (engine, audience):
            input_digest = beside.submit(audiences.digest, order.audience)
            rows = _Rows(engine, told, _estimated_rows(engine, audience))
            self._read(engine, audience, order, rows)
            question = self.decisions.question(order.asked)  # reading may take minutes, and now is after it
            self.index.refresh(question.channel, question.at, order.memory, rows.step("copying"), beside=engine)
            job = _Job(self, engine, audience, question, order, rows)
            with facts.one_moment(self.kit.store) as connection:
                self._refuse_new_hashes(order)
                job.decide_all(connection)
            self.decisions.refuse_held_back()
            job.write(input_digest)
            report = job.report(self.decisions.policy_version(), input_digest)
            job.place(report)
        return report

    def _refuse_new_hashes(self, order: Order) -> None:
        """The first list of hashes asks for keys that the rows, read before it came, do not have (D34)."""
        if (order.work / _NOTED).read_text() != _fingerprint(order, self.kit):
            raise StoreUnavailable("A list of hashes came in meanwhile, or the file changed. Run this again.")

    @contextmanager
    def _work_file(self, order: Order) -> Iterator[tuple[Engine, Audience]]:
        """Open the work file of an earlier, interrupted run of the same order, or a new one."""
        path = order.work / "work.duckdb"
        mark = _fingerprint(order, self.kit)
        noted = order.work / _NOTED
        if not noted.exists() or noted.read_text() != mark:
            path.unlink(missing_ok=True)
            path.with_suffix(".duckdb.wal").unlink(missing_ok=True)
            noted.write_text(mark)
        with opened(path, memory=order.memory) as engine:
            channel = order.asked.channel
            yield engine, audiences.look_at(engine, order.audience, channel, order.columns, order.hashed)

    def _read(self, engine: Engine, audience: Audience, order: Order, rows: "_Rows") -> None:
        channel, keys = order.asked.channel, self.kit.address_keys
        if not engine.has_table("slow_key"):
            audiences.load(engine, audience, channel, keys, rows.step("reading"))
        rows.number = engine.value("SELECT count(*) FROM audience")
        audiences.read_slowly(engine, audience, channel, keys, self.kit.default_region, rows.step("understanding"))


@dataclass(slots=True)
class _Rows:
    """How many rows there are, about, and who hears how far we are."""

    engine: Engine
    told: Told | None
    number: int

    def step(self, step: str) -> Fraction | None:
        """Begin a step; return who hears how far it is."""
        told = self.told
        if told is None:
            return None
        told(step, 0.0, self.number)
        return lambda fraction: told(step, fraction, self.number)


@dataclass(slots=True)
class _Job:
    """One scrub from the read file to the written ones. Tables: ``hit`` (row, col, way, key, cls), ``standing_of``
    (row, col, cls), ``verdict`` (row, outcome, reason, col, not_before) of rows that are not as ``usual`` says.
    """

    scrub: Scrub
    engine: Engine
    audience: Audience
    question: Question
    order: Order
    rows: _Rows
    position: int = 0
    key_only: int = 0
    usual: Decision = field(init=False)
    _states: dict[int, RecipientState] = field(default_factory=dict)
    written: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def channel(self) -> Channel:
        return self.question.channel

    def decide_all(self, connection: Connection) -> None:
        """Work out every row's answer, as of the moment of this connection."""
        self.position = ledger.position(connection)
        with self.scrub.index.attached(self.engine, connection, self.channel, self.question.at):
            if self.audience.hashed:
                self._know_hashes(connection, self.rows.step("hashing"))
            with self.engine.watched(self.rows.step("joining")):
                self._find()
        with self.engine.watched(self.rows.step("deciding")):
            self._settle(connection)
            self._answer()
            self._judge()

    def _find(self) -> None:
        """Join every key the rows' addresses may be stored under with what stands."""
        ways = self._ways()
        parts = []
        for at in range(len(self.audience.chosen)):
            parts += [
                f"SELECT a.rowid AS row, {at} AS col, {way} AS way, s.key, s.cls "
                f"FROM audience AS a JOIN standing_now AS s ON s.key = a.k{at}_{way}"
                for way in range(ways)
                if way == 0 or self._any(f"k{at}_{way}")
            ]
            if self.engine.value("SELECT count(*) FROM slow_key"):
                parts.append(
                    f"SELECT a.rowid, {at}, k.way, s.key, s.cls FROM audience AS a JOIN slow_key AS k "
                    f"ON k.text = a.t{at} JOIN standing_now AS s ON s.key = k.key"
                )
            if self.audience.hashed:
                parts.append(self._known_hashes(at, ways))
        self.engine.run(f"CREATE OR REPLACE TEMP TABLE hit AS {' UNION ALL '.join(parts)}")

    def _keyed_twice(self) -> bool:
        """True where an address may have been found under more than one key."""
        several = any(self._any(f"k{at}_1") for at in range(len(self.audience.chosen)) if self._ways() > 1)
        return several or bool(self.audience.hashed) or bool(self.engine.value("SELECT count(*) FROM slow_key"))

    def _ways(self) -> int:
        return len(audiences.keyed_in_sql(self.channel, self.scrub.kit.address_keys, self.audience.hashed))

    def _any(self, column: str) -> bool:
        return bool(self.engine.rows(f"SELECT 1 FROM audience WHERE {column} IS NOT NULL LIMIT 1"))

    def _know_hashes(self, connection: Connection, told: Fraction | None) -> None:
        """Hash every address we hold in clear, and count those we hold as keys only.

        For ``told``, the ledger's length stands for the number of addresses.
        """
        kit, kind = self.scrub.kit, KIND_OF_CHANNEL[self.channel]
        self.key_only = facts.count_keys_only(connection, self.channel, kind)
        self.engine.run("CREATE OR REPLACE TEMP TABLE known_hash (hash VARCHAR, key UUID)")
        hashes: list[str] = []
        keys: list[str] = []
        for number, (key, sealed) in enumerate(facts.sealed_addresses(connection, kind), start=1):
            address = _reopened(kit, self.channel, KnownAddress(0, key, kind, sealed, None))
            if address is not None:
                hashes.append(_hashed(address.value, self.audience.hashed or ""))
                keys.append(key.hex())
            if len(keys) == _AT_ONCE:
                self._keep_hashes(hashes, keys)
                hashes, keys = [], []
                if told:
                    told(number / max(number, self.position))
        self._keep_hashes(hashes, keys)

    def _keep_hashes(self, hashes: list[str], keys: list[str]) -> None:
        self.engine.run(
            "INSERT INTO known_hash SELECT unnest(?::VARCHAR[]), unnest(?::VARCHAR[])::UUID", [hashes, keys]
        )

    def _known_hashes(self, at: int, way: int) -> str:
        digits = f"coalesce((SELECT value FROM slow WHERE text = a.t{at}), lower(c{self.audience.places[at]}::VARCHAR))"
        return (
            f"SELECT a.row, {at}, {way}, h.key, coalesce(nullif(s.cls, 0), {_KNOWN_NOTHING}) "
            f"FROM (SELECT rowid AS row, {digits} AS hash FROM audience AS a) AS a "
            "JOIN known_hash AS h ON h.hash = a.hash LEFT JOIN standing_now AS s ON s.key = h.key"
        )

    def _settle(self, connection: Connection) -> None:
        """Give each found address one shape; one stored under several keys stands as all of them together say."""
        engine = self.engine
        engine.run("DROP TABLE IF EXISTS standing_of")
        if not self._keyed_twice():
            engine.run("ALTER TABLE hit RENAME TO standing_of")
            return
        engine.run(
            "CREATE OR REPLACE TEMP TABLE several AS SELECT row, col, "
            "list(key ORDER BY way) AS keys FROM hit GROUP BY row, col HAVING count(*) > 1"
        )
        engine.run("CREATE OR REPLACE TEMP TABLE merged (keys UUID[], cls INTEGER)")
        distinct = engine.rows("SELECT DISTINCT keys FROM several")
        for start in range(0, len(distinct), _AT_ONCE // 8):
            batch = distinct[start : start + _AT_ONCE // 8]
            groups = [[key.bytes for key in dict.fromkeys(keys)] for (keys,) in batch]
            states = load_states_within(connection, self.channel, groups).states
            found = classes(engine, states, self.channel, self.question.at)
            numbers = [cls or _KNOWN_NOTHING for cls in found]
            texts = [",".join(str(key) for key in keys) for (keys,) in batch]
            engine.run(
                "INSERT INTO merged SELECT string_split(unnest(?::VARCHAR[]), ',')::UUID[], unnest(?::INTEGER[])",
                [texts, numbers],
            )
        engine.run(
            "CREATE TEMP TABLE standing_of AS SELECT row, col, cls FROM hit ANTI JOIN several USING (row, col) "
            "UNION ALL SELECT s.row, s.col, m.cls FROM several AS s JOIN merged AS m ON m.keys = s.keys"
        )
        engine.run("DROP TABLE hit")

    def _answer(self) -> None:
        """Decide once per shape."""
        rows = self.engine.rows(f"SELECT cls, shape, country, zone FROM {SHAPES}")
        states = {cls: self._state(shape, country, zone) for cls, shape, country, zone in rows}
        states[_KNOWN_NOTHING] = states[0]
        if self.key_only:
            # Nobody can say whether an unknown hash is one of the addresses we hold as keys only.
            states[0] = RecipientState(available=False)
        answers = {cls: self._decided(state) for cls, state in states.items()}
        self.usual = answers[0]
        self._keep_answers("answer", [(cls, "", decision) for cls, decision in answers.items()])
        self._states = {cls: state for cls, state in states.items() if answers[cls].allowed}

    def _state(self, shape: str, country: str | None, zone: str | None) -> RecipientState:
        return replace(state_of(shape, country, self.channel, self.question.at), time_zone=zone)

    def _decided(self, state: RecipientState) -> Decision:
        return decide(replace(self.question, country=self.question.country or state.country), state)

    def _keep_answers(self, table: str, answers: Sequence[tuple[int, str, Decision]]) -> None:
        engine = self.engine
        engine.run(
            f"CREATE OR REPLACE TEMP TABLE {table} "
            "(cls INTEGER, digits VARCHAR, outcome VARCHAR, reason VARCHAR, not_before VARCHAR)"
        )
        for start in range(0, len(answers), _AT_ONCE):
            columns = list(zip(*(_row(*one) for one in answers[start : start + _AT_ONCE]), strict=True))
            engine.run(
                f"INSERT INTO {table} SELECT unnest(?::INTEGER[]), unnest(?::VARCHAR[]), unnest(?::VARCHAR[]), "
                "unnest(?::VARCHAR[]), unnest(?::VARCHAR[])",
                [list(column) for column in columns],
            )

    def _judge(self) -> None:
        """Make ``verdict``: every row that is not as usual, all its addresses considered."""
        timed = is_timed(self.question)
        everyone = len(self.audience.chosen) > 1 or (timed and self.usual.allowed)
        looked = " UNION ALL ".join(self._looked(at, everyone=everyone) for at in range(len(self.audience.chosen)))
        engine = self.engine
        if not everyone and not timed and not self._any("t0"):
            # Every address is canonical and stands alone in its row: only what was found can be unusual.
            looked = "SELECT row, col, cls, NULL::VARCHAR AS problem, NULL::VARCHAR AS digits FROM standing_of"
        engine.run(f"CREATE OR REPLACE TEMP TABLE looked AS {looked}")
        if timed:
            self._time()
        late = "LEFT JOIN timed AS t ON t.cls = l.cls AND t.digits = l.digits" if timed else ""
        said = [f"coalesce(t.{one}, n.{one})" if timed else f"n.{one}" for one in ("outcome", "reason", "not_before")]
        one_each = (
            "SELECT l.row, l.col, "
            f"CASE WHEN l.problem IS NULL THEN {said[0]} ELSE '{REJECTED}' END AS outcome, "
            f"CASE WHEN l.problem IS NULL THEN {said[1]} ELSE l.problem END AS reason, "
            f"CASE WHEN l.problem IS NULL THEN {said[2]} END AS not_before "
            f"FROM looked AS l LEFT JOIN answer AS n ON n.cls = l.cls {late}"
        )
        if len(self.audience.chosen) > 1:
            # The gravest answer about any of a row's addresses is the row's; of equals the first column's.
            grave = f"CASE outcome WHEN '{REJECTED}' THEN 3 WHEN 'blocked' THEN 2 WHEN 'deferred' THEN 1 ELSE 0 END"
            rank = f"{grave} * 1000 - col"
            picked = ", ".join(f"arg_max({one}, {rank}) AS {one}" for one in ("outcome", "col"))
            nullable = ", ".join(
                f"arg_max(struct_pack(x := {one}), {rank}).x AS {one}" for one in ("reason", "not_before")
            )
            one_each = f"SELECT row, {picked}, {nullable} FROM ({one_each}) GROUP BY row"
        nobody = " AND ".join(f"t{at} = ''" for at in range(len(self.audience.chosen)))
        engine.run(
            f"CREATE OR REPLACE TEMP TABLE verdict AS SELECT row, col, outcome, reason, not_before FROM ({one_each}) "
            f"UNION ALL SELECT rowid, 0, '{REJECTED}', '{EMPTY}', NULL FROM audience WHERE {nobody}"
        )

    def _looked(self, at: int, *, everyone: bool) -> str:
        """Return SQL for the addresses of one column that need a look: row, col, cls, problem, digits."""
        phone = KIND_OF_CHANNEL[self.channel] is AddressKind.PHONE and not self.audience.hashed
        value = f"coalesce(a.v{at}, w.value)" if phone else "NULL::VARCHAR"
        canonical = "true" if everyone else "s.row IS NOT NULL"
        return (
            f"SELECT a.rowid AS row, {at} AS col, coalesce(s.cls, 0) AS cls, w.problem, {value} AS digits "
            f"FROM audience AS a LEFT JOIN standing_of AS s ON s.row = a.rowid AND s.col = {at} "
            f"LEFT JOIN slow AS w ON w.text = a.t{at} "
            f"WHERE (a.t{at} IS NULL AND {canonical}) OR a.t{at} <> ''"
        )

    def _time(self) -> None:
        """Ask the clock about every telephone that is allowed so far, once per shape and beginning of the number."""
        engine, numbers = self.engine, self.scrub.decisions.numbers
        first = [
            row[0] for row in engine.rows("SELECT DISTINCT substr(digits, 1, 5) FROM looked WHERE digits IS NOT NULL")
        ]
        told = [len(telling_digits(one.ljust(16, "0"))) if one.startswith("+") else 0 for one in first]
        engine.run("CREATE OR REPLACE TEMP TABLE telling (first VARCHAR, length INTEGER)")
        engine.run("INSERT INTO telling SELECT unnest(?::VARCHAR[]), unnest(?::INTEGER[])", [first, told])
        engine.run(
            "CREATE OR REPLACE TEMP TABLE looked AS SELECT row, col, cls, problem, "
            "substr(l.digits, 1, t.length) AS digits FROM looked AS l "
            "LEFT JOIN telling AS t ON t.first = substr(l.digits, 1, 5)"
        )
        allowed = engine.rows(
            "SELECT DISTINCT l.cls, l.digits FROM looked AS l JOIN answer AS n USING (cls) "
            f"WHERE n.outcome = '{Outcome.ALLOWED}' AND l.problem IS NULL AND l.digits IS NOT NULL"
        )
        found = []
        for cls, digits in allowed:
            state = numbers.now(self._states[cls], Address(AddressKind.PHONE, digits, digits), self.question.at)
            found.append((cls, digits, self._decided(state)))
        self._keep_answers("timed", found)

    def write(self, input_digest: "Future[tuple[str, int]]") -> None:
        """Write the parts into the work folder and count them."""
        engine, order = self.engine, self.order
        columns = ", ".join(f"a.c{at} AS {name(column)}" for at, column in enumerate(self.audience.columns))
        with engine.watched(self.rows.step("marking")):
            kept, blocked, added = self._mark()
        rows = "FROM audience AS a POSITIONAL JOIN mark AS d WHERE d.code"
        with ThreadPoolExecutor(2) as beside, engine.watched(self.rows.step("writing")):
            self._copy(f"SELECT {columns} {rows} IN {kept}", order.kept, "kept")
            hashes = {"kept": beside.submit(audiences.digest, self._path("kept"))}
            if order.blocked:
                self._copy(f"SELECT {columns}, {added} {rows} IN {blocked}", order.blocked, "blocked")
                hashes["blocked"] = beside.submit(audiences.digest, self._path("blocked"))
            if self._write_rejected(input_digest):
                hashes["rejected"] = beside.submit(audiences.digest, self._path("rejected"))
            for part, summed in hashes.items():
                self.written[part]["sha256"] = summed.result()[0]

    def _mark(self) -> tuple[str, str, str]:
        """Make ``mark``: for every row, in the file's order, the number of what is said about it.

        A parallel join gives rows in any order; laid side by side they stay as the file has them.
        Returns the numbers of the kept and of the blocked as SQL, and the columns that say why.
        """
        usual = (str(self.usual.outcome), str(self.usual.reason) if self.usual.reason else None, 0, None)
        said = [
            usual,
            *self.engine.rows("SELECT DISTINCT outcome, reason, col, not_before FROM verdict ORDER BY ALL"),
        ]
        self.engine.run(
            "CREATE OR REPLACE TEMP TABLE said (code INTEGER, outcome VARCHAR, reason VARCHAR, col INTEGER, "
            "not_before VARCHAR)"
        )
        self.engine.run(
            "INSERT INTO said SELECT unnest(?::INTEGER[]), unnest(?::VARCHAR[]), unnest(?::VARCHAR[]), "
            "unnest(?::INTEGER[]), unnest(?::VARCHAR[])",
            [list(range(1, len(said))), *([one[part] for one in said[1:]] for part in range(4))],
        )
        same = " AND ".join(
            f"s.{one} IS NOT DISTINCT FROM v.{one}" for one in ("outcome", "reason", "col", "not_before")
        )
        self.engine.run(
            "CREATE OR REPLACE TEMP TABLE mark AS SELECT coalesce(d.code, 0) AS code "
            "FROM (SELECT rowid AS row FROM audience) AS a LEFT JOIN "
            f"(SELECT v.row, s.code FROM verdict AS v JOIN said AS s ON {same}) AS d USING (row) ORDER BY a.row"
        )
        kept, blocked = (
            ", ".join(str(code) for code, one in enumerate(said) if one[0] in outcomes) or "-1"
            for outcomes in ({Outcome.ALLOWED}, {Outcome.BLOCKED, Outcome.DEFERRED})
        )
        columns = [(outcome, reason, self.audience.chosen[col], later) for outcome, reason, col, later in said]
        added = ", ".join(
            f"[{', '.join('NULL' if one[part] is None else quoted(one[part]) for one in columns)}]"
            f"[d.code + 1]::VARCHAR AS {title}"
            for part, title in enumerate(_ADDED)
        )
        return f"({kept})", f"({blocked})", added

    def _path(self, part: str) -> Path:
        return self.order.work / f"{part}{self.written[part]['target'].suffix}"

    def _copy(self, sql: str, target: Path, part: str) -> None:
        self.written[part] = {"name": target.name, "target": target}
        how = "FORMAT parquet, COMPRESSION zstd"
        if _TYPES[target.suffix.lower()] == "csv":
            how = f"FORMAT csv, HEADER {quoted(self.audience.header)}, DELIMITER {quoted(self.audience.delimiter)}"
        self.engine.run(f"COPY ({sql}) TO {quoted(self._path(part))} ({how})")

    def _write_rejected(self, input_digest: "Future[tuple[str, int]]") -> bool:
        """Write rows that name nobody, with their line and what is wrong; return whether there are any."""
        engine = self.engine
        engine.run(
            f"CREATE OR REPLACE TABLE reject AS SELECT row, reason, col FROM verdict WHERE outcome = '{REJECTED}'"
        )
        if not engine.value("SELECT (SELECT count(*) FROM reject) + (SELECT count(*) FROM malformed)"):
            return False
        audiences.number_lines(engine, self.audience, input_digest.result()[1])
        text = f"concat_ws({quoted(self.audience.delimiter)}, " + ", ".join(
            f"coalesce(a.c{at}::VARCHAR, '')" for at in range(len(self.audience.columns))
        )
        chosen = f"[{', '.join(quoted(column) for column in self.audience.chosen)}]"
        sql = (
            f'SELECT l.line, r.reason, {chosen}[r.col + 1] AS "column", {text}) AS row FROM reject AS r '
            "JOIN line_of AS l ON l.row = r.row JOIN audience AS a ON a.rowid = r.row "
            f"UNION ALL SELECT l.line, '{audiences.MALFORMED}', NULL, m.text "
            "FROM malformed AS m JOIN line_of AS l ON l.record = m.record ORDER BY 1"
        )
        self.written["rejected"] = {"name": self.order.rejects.name, "target": self.order.rejects}
        engine.run(f"COPY ({sql}) TO {quoted(self._path('rejected'))} (FORMAT csv, HEADER true)")
        return True

    def report(self, policy: str, input_digest: "Future[tuple[str, int]]") -> Report:
        """Count what came of it."""
        engine, order = self.engine, self.order
        counted: Counter[tuple[str, str | None]] = Counter()
        for outcome, reason, number in engine.rows("SELECT outcome, reason, count(*) FROM verdict GROUP BY ALL"):
            counted[outcome, reason] += number
        malformed = engine.value("SELECT count(*) FROM malformed")
        usual = engine.value("SELECT count(*) FROM audience") - counted.total()
        counted[str(self.usual.outcome), str(self.usual.reason) if self.usual.reason else None] += usual
        counted[REJECTED, audiences.MALFORMED] += malformed
        sums: Counter[str] = Counter()
        for (outcome, _), number in counted.items():
            sums[outcome] += number
        files = {
            part: {"name": one["name"], "sha256": one["sha256"], "rows": number}
            for (part, one), number in zip(self.written.items(), self._numbers(sums), strict=True)
        }
        reasons = {
            str(reason or outcome): number
            for (outcome, reason), number in sorted(counted.items(), key=lambda one: (-one[1], str(one[0][1])))
            if number and outcome != Outcome.ALLOWED
        }
        return Report(
            rows=counted.total(),
            kept=sums[Outcome.ALLOWED],
            blocked=sums[Outcome.BLOCKED] + sums[Outcome.DEFERRED],
            rejected=sums[REJECTED],
            reasons=reasons,
            position=self.position,
            policy_version=policy,
            files={"audience": {"name": order.audience.name, "sha256": input_digest.result()[0]}, **files},
            certificate=order.statement,
            columns=self.audience.chosen,
            header=self.audience.header,
            key_only=self.key_only,
        )

    def place(self, report: Report) -> None:
        """Put every part in its place, the certificate last, so that it never speaks too soon.

        An earlier run's certificate and rejected rows do not stay beside what this one wrote.
        """
        order = self.order
        signed = order.work / "certificate.json"
        write_whole(signed, self.scrub.certificates.sign(self._says(report)))
        moved = [(_beside(self._path(part), one["target"]), one["target"]) for part, one in self.written.items()]
        moved.append((_beside(signed, order.statement), order.statement))
        for old in (order.statement, order.rejects):
            old.unlink(missing_ok=True)
        for beside, target in moved:
            beside.replace(target)

    def _numbers(self, sums: Counter[str]) -> Iterator[int]:
        of = {"kept": sums[Outcome.ALLOWED], "rejected": sums[REJECTED]}
        of["blocked"] = sums.total() - sum(of.values())
        return (of[part] for part in self.written)

    def _says(self, report: Report) -> dict[str, Any]:
        asked = self.order.asked
        question = {
            "channel": str(asked.channel),
            "topic": asked.topic,
            "message_class": str(self.question.message_class),
            "brand": asked.brand,
            "sender": asked.sender,
            "country": asked.country,
            "at": self.question.at.isoformat(),
            "columns": list(self.audience.chosen),
            "hashed": self.audience.hashed,
        }
        counts = {"rows": report.rows, "kept": report.kept, "blocked": report.blocked, "rejected": report.rejected}
        return {
            "made_at": self.scrub.kit.now().isoformat(),
            "question": question,
            "counts": {**counts, "reasons": dict(report.reasons)},
            "ledger_position": report.position,
            "policy_version": report.policy_version,
            "key_only": report.key_only,
            "files": {part: dict(one) for part, one in report.files.items()},
        }


@contextmanager
def _alone(work: Path) -> Iterator[None]:
    """Keep others from the same output; the folder of unfinished work goes once the work is done.

    Raises:
        Conflict: Another process is at it.
    """
    work.mkdir(parents=True, exist_ok=True, mode=0o700)
    with alone_in(work, "Another scrub writes to the same file. Wait for its end."):
        yield
        shutil.rmtree(work)


def _check(order: Order, now: datetime) -> None:
    if order.asked.at is not None and order.asked.at < now:
        raise InvalidInput("`at` lies in the past. Name the moment the campaign starts.", field="at")
    targets = [path for path in (order.kept, order.blocked, order.rejects, order.statement) if path]
    if len({path.resolve() for path in [*targets, order.audience]}) != len(targets) + 1:
        raise InvalidInput("Two of the files are the same. Give each its own name.", field="out", code="same_file")
    for path in filter(None, (order.kept, order.blocked)):
        if path.suffix.lower() not in _TYPES:
            raise InvalidInput("Name output files that end in .csv or .parquet.", field="out", code="unknown_format")
    for path in targets:
        if not path.parent.is_dir():
            raise InvalidInput("There is no such folder to write to.", field="out", code="no_folder")


def _fingerprint(order: Order, kit: Kit) -> str:
    """Return what must be the same for read rows to be used again."""
    found = order.audience.stat() if order.audience.is_file() else None
    return json.dumps(
        {
            "audience": str(order.audience.resolve()),
            "size": found.st_size if found else 0,
            "changed": found.st_mtime_ns if found else 0,
            "channel": str(order.asked.channel),
            "columns": list(order.columns),
            "hashed": order.hashed,
            "region": kit.default_region,
            "hashes_listed": kit.address_keys.hashes_listed(),
            "keys": kit.address_keys.fingerprints(),
        }
    )


def _estimated_rows(engine: Engine, audience: Audience) -> int:
    """Return how many rows a file has: exactly for Parquet, by its first lines' length for CSV."""
    if audience.parquet:
        return int(engine.value(f"SELECT count(*) FROM {audience.source}"))
    with audience.path.open("rb") as file:
        head = file.read(2**20)
    return int(audience.path.stat().st_size * head.count(b"\n") / max(len(head), 1))


def _row(cls: int, digits: str, decision: Decision) -> tuple[int, str, str, str | None, str | None]:
    until = decision.not_before.isoformat() if decision.not_before else None
    return cls, digits, str(decision.outcome), str(decision.reason) if decision.reason else None, until


def _reopened(kit: Kit, channel: Channel, known: KnownAddress) -> Address | None:
    text = kit.clear(known)
    try:
        return parse_address(channel, text, default_region=kit.default_region)
    except InvalidAddress:
        return None


def _hashed(value: str, how: str) -> str:
    return hashlib.new(how, value.encode(), usedforsecurity=False).hexdigest()


def write_whole(path: Path, what: Mapping[str, Any]) -> None:
    """Write a JSON file so that it is there whole or not at all."""
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(json.dumps(what, indent=1, ensure_ascii=False) + "\n")
    beside.replace(path)


def _beside(path: Path, target: Path) -> Path:
    """Move a file beside its place, over to another disk if need be, and return where it is."""
    return Path(shutil.move(path, target.with_name(f".{target.name}.new")))

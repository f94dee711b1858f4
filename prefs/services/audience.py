"""An audience: a CSV or Parquet file of people to write to, read into a work table with the keys of its addresses.

Canonical addresses are recognised and keyed in SQL, at the speed of the engine; every other
text goes to ``domain.address``, once per different text. Both ways give the same keys (a test
holds them equal).
"""

import csv
import hashlib
import io
import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from prefs.crypto import AddressKeys
from prefs.domain.address import LONGEST, parse_address
from prefs.domain.terms import KIND_OF_CHANNEL, AddressKind, Channel
from prefs.errors import InvalidAddress, InvalidInput
from prefs.services.engine import Engine, Fraction, literal, name, plainly, quoted

HASHES = {"sha256": 64, "md5": 32}
"""How many hexadecimal digits each kind of hash has."""

MALFORMED = "malformed_row"
NOT_A_HASH = "not_a_hash"

_HEAD_BYTES = 256 * 1024
_LONGEST_FIELD = 16 * _HEAD_BYTES
_AT_ONCE = 20_000
_SEEN_ROWS = 20
_DELIMITERS = ",;\t|"

# The same expressions as in domain.address; RE2 and ``re`` read them alike.
_EMAIL = r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63}"
_PHONE = r"\+[1-9][0-9]{7,14}|[0-9]{3,6}"
_REFERENCE = r"[!-~]([ -~]{0,510}[!-~])?"
_CANONICAL = {
    AddressKind.EMAIL: _EMAIL,
    AddressKind.PHONE: _PHONE,
    AddressKind.PUSH: _REFERENCE,
    AddressKind.POSTAL: _REFERENCE,
}
_USUAL_NAMES = {
    AddressKind.EMAIL: {"email", "emailaddress", "mail"},
    AddressKind.PHONE: {"phone", "phonenumber", "mobile", "mobilephone", "msisdn", "cell", "telephone", "number"},
    AddressKind.PUSH: {"token", "devicetoken", "pushtoken"},
    AddressKind.POSTAL: {"reference", "postalreference"},
}
_ANY_NAMES = {"address", "to", "recipient"}
_ANY_TEXT = {AddressKind.PUSH, AddressKind.POSTAL}
"""Kinds any text could be an address of, a column's name too."""


@dataclass(frozen=True, slots=True)
class Audience:
    """A file as found: its columns, and which of them hold addresses. ``hashed`` names their hash, if any."""

    path: Path
    columns: tuple[str, ...]
    chosen: tuple[str, ...]
    parquet: bool
    delimiter: str = ","
    header: bool = True
    hashed: str | None = None

    @property
    def source(self) -> str:
        """The file as a table function; columns named ``c0``, ``c1``, …, all text where it is CSV."""
        if self.parquet:
            renamed = ", ".join(f"{name(column)} AS c{at}" for at, column in enumerate(self.columns))
            return f"(SELECT {renamed} FROM {_parquet(self.path)})"
        types = ", ".join(f"c{at}: 'VARCHAR'" for at in range(len(self.columns)))
        return (
            f"read_csv({literal(self.path)}, auto_detect=false, header={quoted(self.header)}, "
            f"delim={quoted(self.delimiter)}, quote='\"', escape='\"', columns={{{types}}}, "
            "hive_partitioning=false, store_rejects=true, rejects_limit=0)"
        )

    @property
    def places(self) -> tuple[int, ...]:
        """The chosen columns' places in the file."""
        return tuple(self.columns.index(column) for column in self.chosen)


def look_at(
    engine: Engine, path: Path, channel: Channel, wanted: Sequence[str] = (), hashed: str | None = None
) -> Audience:
    """Return what an audience file is like. Columns of a file without a header are ``column1``, ``column2``, …

    Raises:
        InvalidInput: It is not there, neither CSV nor Parquet, or no column can be told to hold the addresses.
    """
    if hashed is not None and hashed not in HASHES:
        raise InvalidInput(f"Hashes are {' or '.join(HASHES)}.", field="hashed")
    if not path.is_file():
        raise InvalidInput("There is no such file.", field="audience", code="no_file")
    if path.suffix.lower() == ".parquet":
        columns = _parquet_columns(engine, path)
        return Audience(path, columns, _chosen(columns, channel, wanted), parquet=True, hashed=hashed)
    if path.suffix.lower() not in {".csv", ".txt", ".tsv"}:
        raise InvalidInput("Name a file that ends in .csv or .parquet.", field="audience", code="unknown_format")
    rows, delimiter = _first_rows(path)
    first = rows[0]
    numbered = tuple(f"column{number}" for number in range(1, len(first) + 1))
    header = _has_header(first, numbered, channel, wanted, hashed)
    columns = tuple(first) if header else numbered
    if len(set(columns)) != len(columns):
        raise InvalidInput("Two columns have the same name. Rename one.", field="audience", code="same_name")
    found = None if header else _seeming(rows, columns, channel, hashed)
    return Audience(path, columns, _chosen(columns, channel, wanted, found), False, delimiter, header, hashed)


def digest(path: Path) -> tuple[str, int]:
    """Return a file's SHA-256 in hexadecimal and its number of line ends."""
    summed, lines = hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(2**20):
            summed.update(block)
            lines += block.count(b"\n")
    return summed.hexdigest(), lines


def load(engine: Engine, audience: Audience, channel: Channel, keys: AddressKeys, told: Fraction | None = None) -> None:
    """Read the file into the table ``audience``, row by row in its order, and what is no row into ``malformed``.

    ``t0``, ``t1``, … are the texts of the chosen columns where SQL could not key them, ``v…`` the
    canonical address where it could, ``k0_0``, ``k0_1``, … the keys it may be stored under.
    All or nothing: an interruption leaves no half table behind.

    Raises:
        InvalidInput: The file is damaged further down.
    """
    ways = keyed_in_sql(channel, keys, audience.hashed)
    values = ", ".join(f"{_canonical(place, channel, audience)} AS v{at}" for at, place in enumerate(audience.places))
    columns = [f"c{at}" for at in range(len(audience.columns))]
    for at, place in enumerate(audience.places):
        text = f"c{place}::VARCHAR"
        columns.append(f"CASE WHEN v{at} IS NULL THEN coalesce({text}, '') END AS t{at}")
        if KIND_OF_CHANNEL[channel] is AddressKind.PHONE:
            columns.append(f"v{at}")
        columns += [f"{way.format(value=f'v{at}')} AS k{at}_{number}" for number, way in enumerate(ways)]
    # The table lives for a minute: packing its columns would cost more than it saves.
    engine.run("SET force_compression = 'uncompressed'")
    with engine.watched(told), engine.all_or_nothing(), _readable(audience):
        engine.run(
            f"CREATE TABLE audience AS SELECT {', '.join(columns)} FROM (SELECT *, {values} FROM {audience.source})"
        )
        engine.run("CREATE TABLE malformed (record BIGINT, text VARCHAR)")
        if not audience.parquet:
            engine.run(
                "INSERT INTO malformed SELECT line, any_value(trim(csv_line, chr(10) || chr(13))) "
                "FROM reject_errors GROUP BY line"
            )
        engine.run("CREATE TABLE slow (text VARCHAR, value VARCHAR, problem VARCHAR)")
        engine.run("CREATE TABLE slow_key (text VARCHAR, way INTEGER, key UUID)")


@contextmanager
def _readable(audience: Audience) -> Iterator[None]:
    """Say of a Parquet file that breaks off that it does; a CSV file's broken rows are rejected instead."""
    import duckdb  # noqa: PLC0415  the engine was opened with it

    try:
        with plainly():
            yield
    except duckdb.Error as error:
        if not audience.parquet:
            raise
        raise InvalidInput("This file is damaged: it cannot be read to its end.", field="audience") from error


def read_slowly(
    engine: Engine, audience: Audience, channel: Channel, keys: AddressKeys, region: str, told: Fraction | None = None
) -> None:
    """Read every text that SQL left over, once per different text; an interruption keeps what is done."""
    texts = " UNION ".join(f"SELECT t{at} AS text FROM audience" for at in range(len(audience.chosen)))
    left = f"SELECT text FROM ({texts}) WHERE text <> '' AND text NOT IN (SELECT text FROM slow)"
    number = engine.value(f"SELECT count(*) FROM ({left})")
    done = 0
    for batch in engine.batches(left, _AT_ONCE) if number else ():
        read = [_read(text, channel, keys, region, audience.hashed) for (text,) in batch]
        found = [
            (text, way, key.hex()) for (text,), one in zip(batch, read, strict=True) for way, key in enumerate(one[2])
        ]
        with engine.all_or_nothing():
            engine.run(
                "INSERT INTO slow SELECT unnest(?::VARCHAR[]), unnest(?::VARCHAR[]), unnest(?::VARCHAR[])",
                [[text for (text,) in batch], [one[0] for one in read], [one[1] for one in read]],
            )
            engine.run(
                "INSERT INTO slow_key SELECT unnest(?::VARCHAR[]), unnest(?::INTEGER[]), unnest(?::VARCHAR[])::UUID",
                [[one[number] for one in found] for number in range(3)],
            )
        done += len(batch)
        if told:
            told(done / number)


def keyed_in_sql(channel: Channel, keys: AddressKeys, hashed: str | None = None) -> list[str]:
    """Return SQL for every key a canonical ``{value}`` may be stored under: ``AddressKeys.candidates`` in SQL."""
    kind = KIND_OF_CHANNEL[channel]
    if hashed:
        return [_hmac(pads, quoted(f"{hashed}:") + " || {value}") for pads in keys.pads()]
    prefix = f"{quoted(f'{kind}:')} || " if kind in {AddressKind.PUSH, AddressKind.POSTAL} else ""
    values = [prefix + "{value}"] + ([_variant()] if kind is AddressKind.PHONE else [])
    found = [_hmac(pads, value) for value in values for pads in keys.pads()]
    if keys.hashes_listed():
        listed = ("'sha256:' || sha256({value})", "'md5:' || md5({value})")
        found += [_hmac(pads, value) for value in listed for pads in keys.pads()]
    return found


def number_lines(engine: Engine, audience: Audience, line_ends: int) -> None:
    """Make ``line_of`` (row, record, line): where each row of ``reject`` and each record of ``malformed`` begins.

    Lines count from 1, and so do records, header and empty lines included; rows count from 0 and leave
    malformed records out. Of a Parquet file the line is the number of the row. ``line_ends`` are the file's.
    """
    if audience.parquet:
        engine.run("CREATE OR REPLACE TABLE line_of AS SELECT row, NULL::BIGINT AS record, row + 1 AS line FROM reject")
        return
    broken = " + ".join(
        f"length(coalesce(c{at}, '')) - length(replace(coalesce(c{at}, ''), chr(10), ''))"
        for at in range(len(audience.columns))
    )
    engine.run(
        "CREATE OR REPLACE TEMP TABLE breaks AS "
        f"SELECT * FROM (SELECT rowid AS row, {broken} AS more FROM audience) WHERE more > 0"
    )
    rows, more = engine.rows("SELECT (SELECT count(*) FROM audience), (SELECT coalesce(sum(more), 0) FROM breaks)")[0]
    every = audience.header + rows + int(more)
    if line_ends not in {every - 1, every} or engine.value("SELECT count(*) FROM malformed"):
        _count_lines(engine, audience)
        return
    # Nothing but rows and a header: a row begins behind the line breaks of all before it.
    engine.run(
        "CREATE OR REPLACE TABLE line_of AS "
        f"SELECT r.row, NULL::BIGINT AS record, {1 + audience.header} + r.row + coalesce(b.before, 0)::BIGINT AS line "
        "FROM reject AS r ASOF LEFT JOIN (SELECT row, sum(more) OVER (ORDER BY row) AS before FROM breaks) AS b "
        "ON r.row > b.row"
    )


def _count_lines(engine: Engine, audience: Audience) -> None:
    """Find lines by reading the file again, because it has empty lines or records that are no rows."""
    engine.run("CREATE OR REPLACE TABLE line_of (row BIGINT, record BIGINT, line BIGINT)")
    found = _counted_lines(audience, _each(engine, "reject", "row"), _each(engine, "malformed", "record"))
    while chunk := list(itertools.islice(found, _AT_ONCE)):
        engine.run(
            "INSERT INTO line_of SELECT unnest(?::BIGINT[]), unnest(?::BIGINT[]), unnest(?::BIGINT[])",
            [list(column) for column in zip(*chunk, strict=True)],
        )


def _each(engine: Engine, table: str, column: str) -> Iterator[int]:
    for batch in engine.batches(f"SELECT {column} FROM {table} ORDER BY {column}", _AT_ONCE):
        yield from (number for (number,) in batch)


def _counted_lines(
    audience: Audience, rows: Iterator[int], records: Iterator[int]
) -> Iterator[tuple[int | None, int | None, int]]:
    """Yield row or record, and its line, of those asked for in rising order; neither they nor the file are held."""
    next_row, next_record = next(rows, None), next(records, None)
    row, begun = -1 - audience.header, 1
    with (
        suppress(csv.Error),  # an open quote runs to the end of the file: what is left is counted as it comes
        _long_fields(),
        audience.path.open(encoding="utf-8-sig", errors="replace", newline="") as file,
    ):
        reader = csv.reader(file, delimiter=audience.delimiter)
        for record, cells in enumerate(reader, start=1):
            if record == next_record:
                yield None, record, begun
                next_record = next(records, None)
            elif cells:
                row += 1
                if row == next_row:
                    yield row, None, begun
                    next_row = next(rows, None)
            begun = reader.line_num + 1
    for left in itertools.chain([] if next_row is None else [next_row], rows):
        yield left, None, left + 1 + audience.header
    for left in itertools.chain([] if next_record is None else [next_record], records):
        yield None, left, left


@contextmanager
def _long_fields() -> Iterator[None]:
    """Let the csv module read long fields, here only: its limit belongs to the whole process, and to imports too."""
    before = csv.field_size_limit(_LONGEST_FIELD)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _canonical(place: int, channel: Channel, audience: Audience) -> str:
    """Return SQL for the canonical form of a column's text, NULL where SQL cannot tell."""
    text, kind = f"c{place}::VARCHAR", KIND_OF_CHANNEL[channel]
    if audience.hashed:
        pattern = f"[0-9A-Fa-f]{{{HASHES[audience.hashed]}}}"
        return f"CASE WHEN regexp_full_match({text}, {quoted(pattern)}) THEN lower({text}) END"
    pattern = quoted(_CANONICAL[kind])
    if kind is AddressKind.EMAIL:
        return (
            f"CASE WHEN regexp_full_match({text}, {pattern}) AND strlen({text}) <= {LONGEST} THEN lower({text}) "
            f"WHEN regexp_full_match(trim({text}), {pattern}) AND strlen(trim({text})) <= {LONGEST} "
            f"THEN lower(trim({text})) END"
        )
    return f"CASE WHEN regexp_full_match({text}, {pattern}) THEN {text} END"


def _variant() -> str:
    """Return SQL for the other form of a Mexican or Argentine number (domain.address, ``_phone_variants``)."""
    cases = []
    for code, mark in (("+52", "1"), ("+54", "9")):
        starts = f"starts_with({{value}}, '{code}')"
        cases.append(f"WHEN {starts} AND length({{value}}) = 13 THEN '{code}{mark}' || substr({{value}}, 4)")
        longer = f"{starts} AND length({{value}}) = 14 AND substr({{value}}, 4, 1) = '{mark}'"
        cases.append(f"WHEN {longer} THEN '{code}' || substr({{value}}, 5)")
    return f"CASE {' '.join(cases)} END"


def _hmac(pads: tuple[bytes, bytes], value: str) -> str:
    """Return SQL for the first 16 bytes of HMAC-SHA-256 as a UUID (RFC 2104: two hashes, two pads)."""
    inner, outer = (quoted("".join(f"\\x{byte:02X}" for byte in pad)) + "::BLOB" for pad in pads)
    digested = f"sha256({outer} || unhex(sha256({inner} || encode({value}))))"
    return f"CASE WHEN {value} IS NOT NULL THEN substr({digested}, 1, 32)::UUID END"


def _read(
    text: str, channel: Channel, keys: AddressKeys, region: str, hashed: str | None
) -> tuple[str | None, str | None, tuple[bytes, ...]]:
    """Return an address's canonical form, or its problem, and the keys it may be stored under."""
    if hashed:
        digits = text.strip().lower()
        if len(digits) != HASHES[hashed] or not set(digits) <= set("0123456789abcdef"):
            return None, NOT_A_HASH, ()
        return digits, None, keys.keys_of_name(f"{hashed}:{digits}")
    try:
        address = parse_address(channel, text, default_region=region)
    except InvalidAddress as error:
        return None, error.code, ()
    return address.value, None, keys.candidates(address)


def _chosen(
    columns: Sequence[str], channel: Channel, wanted: Sequence[str], found: Sequence[str] | None = None
) -> tuple[str, ...]:
    """Return the columns of addresses: those wanted, else the one of ``found`` (None: that is named like one)."""
    there, kind = ", ".join(columns[:20]), KIND_OF_CHANNEL[channel]
    for column in wanted:
        if column not in columns:
            raise InvalidInput(f"There is no such column. There are: {there}.", field="column", code="no_column")
    if found is None:
        alone = len(columns) == 1 and kind not in _ANY_TEXT
        found = columns if alone else [column for column in columns if _is_usual(column, kind)]
    chosen = tuple(dict.fromkeys(wanted or found))
    if not wanted and len(chosen) != 1:
        raise InvalidInput(
            f"Which column holds the addresses? Name it with --column. There are: {there}.",
            field="column",
            code="which_column",
        )
    return chosen


def _is_usual(column: str, kind: AddressKind) -> bool:
    return "".join(filter(str.isalnum, column.lower())) in _USUAL_NAMES[kind] | _ANY_NAMES


def _has_header(
    first: Sequence[str], numbered: Sequence[str], channel: Channel, wanted: Sequence[str], hashed: str | None
) -> bool:
    """Return whether the first row names columns: ``wanted`` tells, or a usual name, or that it holds no address."""
    if (wanted and set(wanted) <= set(first)) or any(_is_usual(cell, KIND_OF_CHANNEL[channel]) for cell in first):
        return True
    if wanted and set(wanted) <= set(numbered):
        return False
    return not any(_likeness(cell, channel, hashed) for cell in first)


def _seeming(rows: Sequence[Sequence[str]], columns: Sequence[str], channel: Channel, hashed: str | None) -> list[str]:
    """Return the columns whose cells are most like addresses; more than one where they are alike."""
    cells = list(itertools.zip_longest(*rows, fillvalue=""))[: len(columns)]
    likeness = [max(_likeness(cell, channel, hashed) for cell in column) for column in cells]
    return [column for column, like in zip(columns, likeness, strict=True) if like == max(likeness)]


def _likeness(cell: str, channel: Channel, hashed: str | None) -> int:
    """Return how much a cell is like an address: 0 is not. A number with ``+`` is more like one than a short code."""
    if hashed:
        return int(len(cell) == HASHES[hashed] and set(cell.lower()) <= set("0123456789abcdef"))
    if KIND_OF_CHANNEL[channel] in _ANY_TEXT:
        return 0
    try:
        found = parse_address(channel, cell)
    except InvalidAddress:
        return 0
    if found.kind is not AddressKind.PHONE:
        return 1
    return 1 + found.value.startswith("+") + cell.strip().startswith("+")


def _first_rows(path: Path) -> tuple[list[list[str]], str]:
    """Return the cells of the first rows and what separates them.

    Raises:
        InvalidInput: The file is empty, or not text in UTF-8.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in head:
        raise InvalidInput("This is not text in UTF-8. Save it as CSV in UTF-8.", field="audience", code="not_utf8")
    text = head.decode("utf-8-sig", errors="replace")
    lines = [one for one in io.StringIO(text, newline="") if one.strip()]
    if not lines:
        raise InvalidInput("The file is empty.", field="audience", code="empty")
    delimiter = max(_DELIMITERS, key=lambda one: (lines[0].count(one), -_DELIMITERS.index(one)))
    with _long_fields():
        return list(itertools.islice(csv.reader(lines, delimiter=delimiter), _SEEN_ROWS)), delimiter


def _parquet_columns(engine: Engine, path: Path) -> tuple[str, ...]:
    import duckdb  # noqa: PLC0415  the engine was opened with it

    try:
        return tuple(row[0] for row in engine.rows(f"DESCRIBE SELECT * FROM {_parquet(path)}"))
    except duckdb.Error as error:
        raise InvalidInput("This is not a Parquet file.", field="audience", code="unknown_format") from error


def _parquet(path: Path) -> str:
    return f"read_parquet({literal(path)}, hive_partitioning=false)"

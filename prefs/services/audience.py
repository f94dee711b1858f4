"""An audience: a CSV or Parquet file of people to write to, read into a work table with the keys of its addresses.

Canonical addresses are recognised and keyed in SQL, at the speed of the engine; every other
text goes to ``domain.address``, once per different text. Both ways give the same keys (a test
holds them equal).
"""

import csv
import hashlib
import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from prefs.crypto import AddressKeys
from prefs.domain.address import LONGEST, parse_address
from prefs.domain.terms import KIND_OF_CHANNEL, AddressKind, Channel
from prefs.errors import InvalidAddress, InvalidInput
from prefs.services.engine import Engine, Fraction, name, quoted

HASHES = {"sha256": 64, "md5": 32}
"""How many hexadecimal digits each kind of hash has."""

MALFORMED = "malformed_row"
NOT_A_HASH = "not_a_hash"

_HEAD_BYTES = 256 * 1024
_LONGEST_FIELD = 16 * _HEAD_BYTES
_SLOW_AT_ONCE = 20_000
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
            return f"(SELECT {renamed} FROM read_parquet({quoted(self.path)}))"
        types = ", ".join(f"c{at}: 'VARCHAR'" for at in range(len(self.columns)))
        return (
            f"read_csv({quoted(self.path)}, auto_detect=false, header={quoted(self.header)}, "
            f"delim={quoted(self.delimiter)}, quote='\"', escape='\"', columns={{{types}}}, "
            "store_rejects=true, rejects_limit=0)"
        )

    @property
    def places(self) -> tuple[int, ...]:
        """The chosen columns' places in the file."""
        return tuple(self.columns.index(column) for column in self.chosen)


def look_at(
    engine: Engine, path: Path, channel: Channel, wanted: Sequence[str] = (), hashed: str | None = None
) -> Audience:
    """Return what an audience file is like.

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
    first, delimiter = _first_line(path)
    header = bool(wanted) or not any(_is_address(cell, channel, hashed) for cell in first)
    columns = tuple(first) if header else tuple(f"column{number}" for number in range(1, len(first) + 1))
    if len(set(columns)) != len(columns):
        raise InvalidInput("Two columns have the same name. Rename one.", field="audience", code="same_name")
    if not header:
        wanted = [columns[at] for at, cell in enumerate(first) if _is_address(cell, channel, hashed)]
    return Audience(path, columns, _chosen(columns, channel, wanted), False, delimiter, header, hashed)


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
    with engine.watched(told), engine.all_or_nothing():
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


def read_slowly(
    engine: Engine, audience: Audience, channel: Channel, keys: AddressKeys, region: str, told: Fraction | None = None
) -> None:
    """Read every text that SQL left over, once per different text; an interruption keeps what is done."""
    texts = " UNION ".join(f"SELECT t{at} AS text FROM audience" for at in range(len(audience.chosen)))
    left = f"SELECT text FROM ({texts}) WHERE text <> '' AND text NOT IN (SELECT text FROM slow)"
    number = engine.value(f"SELECT count(*) FROM ({left})")
    done = 0
    for batch in engine.batches(left, _SLOW_AT_ONCE) if number else ():
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


def lines_of(
    engine: Engine, audience: Audience, rows: Sequence[int], records: Sequence[int], line_ends: int
) -> tuple[dict[int, int], dict[int, int]]:
    """Return the lines (from 1) that rows and malformed records begin at.

    Rows count from 0 and leave malformed records out; records count from 1, header and empty
    lines included. Of a Parquet file the line is the number of the row.
    """
    if audience.parquet:
        return {row: row + 1 for row in rows}, {}
    inner = " + ".join(
        f"length(coalesce(c{at}, '')) - length(replace(coalesce(c{at}, ''), chr(10), ''))"
        for at in range(len(audience.columns))
    )
    every = audience.header + int(engine.value(f"SELECT coalesce(sum(1 + {inner}), 0) FROM audience"))
    if records or line_ends not in {every - 1, every}:
        return _counted_lines(audience, set(rows), set(records))
    # Nothing but rows and a header: a row begins behind the line breaks of all before it.
    begun = engine.rows(
        f"SELECT row, before FROM (SELECT rowid AS row, coalesce(sum(1 + {inner}) OVER (ORDER BY rowid "
        "ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before FROM audience) "
        "WHERE row IN (SELECT unnest(?::BIGINT[]))",
        [list(rows)],
    )
    return {row: 1 + audience.header + int(before) for row, before in begun}, {}


def _counted_lines(audience: Audience, rows: set[int], records: set[int]) -> tuple[dict[int, int], dict[int, int]]:
    """Find lines by reading the file again, because it has empty lines or records that are no rows."""
    found: dict[int, int] = {}
    broken = {record: record for record in records}
    row, begun = -1 - audience.header, 1
    with _long_fields(), audience.path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        reader = csv.reader(file, delimiter=audience.delimiter)
        for record, cells in enumerate(reader, start=1):
            if record in records:
                broken[record] = begun
            elif cells:
                row += 1
                if row in rows:
                    found[row] = begun
            begun = reader.line_num + 1
    return {one: found.get(one, one + 1 + audience.header) for one in rows}, broken


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


def _chosen(columns: Sequence[str], channel: Channel, wanted: Sequence[str]) -> tuple[str, ...]:
    there = ", ".join(columns[:20])
    for column in wanted:
        if column not in columns:
            raise InvalidInput(f"There is no such column. There are: {there}.", field="column", code="no_column")
    usual = _USUAL_NAMES[KIND_OF_CHANNEL[channel]] | _ANY_NAMES
    found = [column for column in columns if "".join(filter(str.isalnum, column.lower())) in usual]
    chosen = tuple(dict.fromkeys(wanted or (columns if len(columns) == 1 else found)))
    if not wanted and len(chosen) != 1:
        raise InvalidInput(
            f"Which column holds the addresses? Name it with --column. There are: {there}.",
            field="column",
            code="which_column",
        )
    return chosen


def _is_address(cell: str, channel: Channel, hashed: str | None) -> bool:
    if hashed:
        return len(cell) == HASHES[hashed] and set(cell.lower()) <= set("0123456789abcdef")
    if KIND_OF_CHANNEL[channel] in {AddressKind.PUSH, AddressKind.POSTAL}:
        return False  # any text could be one, a column's name too
    try:
        parse_address(channel, cell)
    except InvalidAddress:
        return False
    return True


def _first_line(path: Path) -> tuple[list[str], str]:
    """Return the cells of the first line and what separates them.

    Raises:
        InvalidInput: The file is empty, or not text in UTF-8.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in head:
        raise InvalidInput("This is not text in UTF-8. Save it as CSV in UTF-8.", field="audience", code="not_utf8")
    text = head.decode("utf-8-sig", errors="replace")
    line = next((one for one in text.splitlines() if one.strip()), "")
    if not line:
        raise InvalidInput("The file is empty.", field="audience", code="empty")
    delimiter = max(_DELIMITERS, key=lambda one: (line.count(one), -_DELIMITERS.index(one)))
    return next(_cells(line, delimiter)), delimiter


def _cells(line: str, delimiter: str) -> Iterator[list[str]]:
    return csv.reader(itertools.chain([line]), delimiter=delimiter)


def _parquet_columns(engine: Engine, path: Path) -> tuple[str, ...]:
    import duckdb  # noqa: PLC0415  the engine was opened with it

    try:
        return tuple(row[0] for row in engine.rows(f"DESCRIBE SELECT * FROM read_parquet({quoted(path)})"))
    except duckdb.Error as error:
        raise InvalidInput("This is not a Parquet file.", field="audience", code="unknown_format") from error

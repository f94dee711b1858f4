"""A list as a file: its encoding, its separator, its header, and its rows with their places.

Reads bytes forward only, a row at a time, and can go on from any row's end: an import that was
interrupted begins where it was. Anything but plain lines of text is refused with the mend.
"""

import codecs
import csv
import hashlib
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

from prefs.domain.formats import HOW, WHAT
from prefs.domain.listed import SAMPLE, has_header, plain_cell, tidy
from prefs.errors import InvalidInput

LONGEST_LINE = 1024 * 1024
MOST_COLUMNS = 1_000
_HEAD = 256 * 1024
_SEPARATORS = (",", ";", "\t", "|")
_OTHER_FILES = {
    b"PK\x03\x04": "This looks like an Excel file. Save it as CSV and try again.",
    b"\xd0\xcf\x11\xe0": "This looks like an old Excel file. Save it as CSV and try again.",
    b"\x1f\x8b": "This file is packed. Unpack it and try again.",
    b"%PDF": "This is a PDF. Export the list as CSV and try again.",
    b"PAR1": "This is a Parquet file. Export the list as CSV and try again.",
    b"<?xml": "This is XML. Download the flat text file and try again.",
}


class Row(NamedTuple):
    """A row's cells; the next row stands at offset ``end``, line ``next_line``. ``problem``: it is no row."""

    line: int
    cells: list[str]
    end: int
    next_line: int
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Layout:
    """How the bytes of one file are rows; ``begins`` is where the first data row stands."""

    separator: str
    header: tuple[str, ...] | None
    begins: int
    first_line: int
    repaired: bool
    sample: tuple[tuple[str, ...], ...]


def digest_of(path: Path) -> bytes:
    """Return the SHA-256 of a file: what makes the same file the same import."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def as_lines(path: Path, copy: Path) -> Path:
    """Return a file whose lines are UTF-8 or Latin-1 and end in LF: the given one, or ``copy`` made from it.

    UTF-16 and files whose lines end in a bare CR are rewritten. ``copy`` is there whole or not at all, and
    whoever reads an earlier one goes on reading that.

    Raises:
        InvalidInput: The file is no list of text; the message says the mend.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD)
    for magic, mend in _OTHER_FILES.items():
        if head.lstrip(codecs.BOM_UTF8).startswith(magic):
            raise InvalidInput(mend, field="file", code="wrong_type")
    encoding = _utf16(head)
    if encoding is None and b"\0" in head:
        raise InvalidInput("This is not a text file. Export the list as CSV and try again.", field="file")
    if not head.strip():
        raise InvalidInput("The file is empty.", field="file", code="empty")
    if encoding is None and (b"\n" in head or b"\r" not in head):
        return path
    fresh = copy.with_name(f"{copy.name}.new")
    try:
        _rewrite(path, fresh, encoding)
    except UnicodeError as error:
        fresh.unlink(missing_ok=True)
        raise InvalidInput(
            "This file begins as UTF-16 and does not go on so. Save it as CSV UTF-8.", field="file"
        ) from error
    return fresh.replace(copy)


def _rewrite(path: Path, copy: Path, encoding: str | None) -> None:
    """Write a file with LF for its bare CR, or as UTF-8 where it has an encoding. Raises ``UnicodeError``."""
    if encoding is None:
        with path.open("rb") as old, copy.open("wb") as new:
            while part := old.read(_HEAD):
                new.write(part.replace(b"\r", b"\n"))
        return
    with path.open("r", encoding=encoding) as lines, copy.open("w", encoding="utf-8") as new_lines:
        new_lines.writelines(lines)


def _utf16(head: bytes) -> str | None:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    even, odd = head[0:2000:2].count(0), head[1:2000:2].count(0)
    half = len(head[:2000]) // 2
    if half and odd > half * 0.4 and even == 0:
        return "utf-16-le"
    return "utf-16-be" if half and even > half * 0.4 and odd == 0 else None


def lay_out(path: Path) -> Layout:
    """Return how a file of lines is rows, from its first lines. Raises ``InvalidInput``."""
    with path.open("rb") as file:
        begins, line, separator = _mark(file)
        rows = _head_rows(file, begins, line, separator)
    if separator is None:
        separator = _separator(rows)
    found: list[Row] = []
    with path.open("rb") as file:
        for row in read_rows(file, begins, line, separator):
            found.append(row)
            if len(found) > SAMPLE:
                break
    first = next((row for row in found if any(cell.strip() for cell in row.cells)), None)
    if first is None:
        raise InvalidInput("The file has no rows.", field="file", code="empty")
    if not has_header(first.cells):
        sample = tuple(tuple(row.cells) for row in found)
        return Layout(separator, None, begins, line, repaired=False, sample=sample)
    names = tuple(tidy(name) for name in first.cells)
    behind = [row for row in found if row.line > first.line]
    repaired = names[-2:] == (WHAT, HOW)
    sample = tuple(tuple(row.cells) for row in behind)
    header = tuple(first.cells[:-2] if repaired else first.cells)
    return Layout(separator, header, first.end, line + _lines_in(path, begins, first.end), repaired, sample)


def _lines_in(path: Path, begins: int, end: int) -> int:
    with path.open("rb") as file:
        file.seek(begins)
        return file.read(end - begins).count(b"\n") or 1


def _mark(file: BinaryIO) -> tuple[int, int, str | None]:
    """Step over a byte order mark and Excel's ``sep=;`` line; return where rows begin, and the separator said."""
    begins = len(codecs.BOM_UTF8) if file.read(3) == codecs.BOM_UTF8 else 0
    file.seek(begins)
    first = file.readline(64)
    if first.lower().startswith(b"sep=") and len(first.strip()) == 5:
        return begins + len(first), 2, first[4:5].decode("latin-1")
    return begins, 1, None


def _head_rows(file: BinaryIO, begins: int, line: int, separator: str | None) -> list[str]:
    if separator is not None:
        return []
    file.seek(begins)
    lines = [_decoded(raw) for raw in file.read(_HEAD).splitlines(keepends=True)[:SAMPLE]]
    return [text for text in lines if text.strip()]


def _separator(lines: Sequence[str]) -> str:
    """Return the separator under which most rows have the same number of columns, more than one."""
    best, score = ",", 0.0
    for separator in _SEPARATORS:
        try:
            widths = [len(row) for row in csv.reader(lines, delimiter=separator)]
        except csv.Error:
            continue
        usual = max(set(widths), key=widths.count)
        fitting = widths.count(usual) / len(widths)
        if usual > 1 and fitting > score:
            best, score = separator, fitting
    return best


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        # One line that is not UTF-8 is Latin-1: every byte is a letter there, none is lost.
        return raw.decode("latin-1")


class _Lines:
    """The lines of a file for ``csv.reader``, counting bytes: it never takes a line before it needs one."""

    def __init__(self, file: BinaryIO, offset: int, line: int) -> None:
        self._file = file
        file.seek(offset)
        self.offset, self.line = offset, line

    def __iter__(self) -> Iterator[str]:
        readline = self._file.readline
        while raw := readline(LONGEST_LINE + 1):
            if len(raw) > LONGEST_LINE:
                raise InvalidInput(
                    f"Line {self.line} is longer than 1 MB: this is not a list with one address a row.", field="file"
                )
            self.offset += len(raw)
            self.line += 1
            yield _decoded(raw)


def read_rows(file: BinaryIO, offset: int, line: int, separator: str) -> Iterator[Row]:
    """Yield the rows from an offset on, which has to be a row's end. Raises ``InvalidInput``."""
    lines = _Lines(file, offset, line)
    reader = csv.reader(iter(lines), delimiter=separator)
    while True:
        started = lines.line
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield Row(started, [], lines.offset, lines.line, "A quotation mark is opened in this row and never closed")
            continue
        if len(cells) > MOST_COLUMNS:
            yield Row(started, cells[:1], lines.offset, lines.line, f"This row has more than {MOST_COLUMNS} columns")
            continue
        yield Row(started, cells, lines.offset, lines.line)


def written(cells: Sequence[str], separator: str = ",") -> str:
    """Return a row as CSV (RFC 4180, LF at its end)."""
    out = io.StringIO()
    csv.writer(out, delimiter=separator, lineterminator="\n").writerow(cells)
    return out.getvalue()


def repairer(layout: Layout) -> Callable[[list[str]], list[str]]:
    """Return what a row's cells go through first: rejects that come back lose their two columns and marks."""
    if not layout.repaired or layout.header is None:
        return lambda cells: cells
    width = len(layout.header)
    return lambda cells: [plain_cell(cell) for cell in cells[:width]]

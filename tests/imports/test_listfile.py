"""Files as they come: encodings, separators, line ends, broken quotes, and things that are no list."""

import gzip
import zipfile
from pathlib import Path

import pytest

from prefs.errors import InvalidInput
from prefs.services.listfile import LONGEST_LINE, as_lines, lay_out, read_rows

ROWS = [["ana@example.com", "Ana"], ["josé@example.com", "José, the elder"], ["ben@example.com", 'Ben "B"']]


def rows_of(path: Path, tmp_path: Path) -> list[list[str]]:
    lines = as_lines(path, tmp_path / "copy")
    layout = lay_out(lines)
    with lines.open("rb") as file:
        return [row.cells for row in read_rows(file, layout.begins, layout.first_line, layout.separator) if row.cells]


def text(separator: str = ",", end: str = "\n") -> str:
    lines = [["email", "name"], *ROWS]
    return "".join(separator.join(f'"{cell.replace(chr(34), chr(34) * 2)}"' for cell in line) + end for line in lines)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["lf", "crlf", "cr"])
def test_every_usual_way_to_write_a_table_is_read(tmp_path: Path, encoding: str, separator: str, end: str) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(text(separator, end).encode(encoding))

    assert rows_of(path, tmp_path) == ROWS


def test_a_copy_that_is_being_read_is_never_cut_short(tmp_path: Path) -> None:  # I10
    """The same UTF-16 list was started again: the first process met the end of a file that was just emptied."""
    path, copy = tmp_path / "list.csv", tmp_path / "copy"
    path.write_bytes(text().encode("utf-16"))
    as_lines(path, copy)
    whole = copy.read_bytes()
    with copy.open("rb") as reading:
        path.write_bytes("email\n".encode("utf-16") + b"\x00\xd8" * 3)

        with pytest.raises(InvalidInput):
            as_lines(path, copy)

        assert reading.read() == copy.read_bytes() == whole
    assert {one.name for one in tmp_path.iterdir()} == {"list.csv", "copy"}


def test_excels_own_word_for_the_separator_is_heeded(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("sep=;\nemail;name\na@example.com;A\n")

    assert rows_of(path, tmp_path) == [["a@example.com", "A"]]


def test_a_line_in_another_encoding_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes("email\njosé@example.com\n".encode() + "josé@example.com\n".encode("latin-1"))

    assert rows_of(path, tmp_path) == [["josé@example.com"], ["josé@example.com"]]


def test_rows_know_their_lines_and_can_be_gone_on_from(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text('email,note\na@example.com,"two\nlines"\n\nb@example.com,x\nc@example.com,y\n')
    layout = lay_out(path)
    with path.open("rb") as file:
        rows = list(read_rows(file, layout.begins, layout.first_line, ","))
        assert [row.line for row in rows if row.cells] == [2, 5, 6]
        for row, rest in zip(rows, range(len(rows) - 1, -1, -1), strict=True):
            assert len(list(read_rows(file, row.end, row.next_line, ","))) == rest
            assert all(one.line > row.line for one in read_rows(file, row.end, row.next_line, ","))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(b"", "empty", id="nothing"),
        pytest.param(b" \n\n", "empty", id="blank"),
        pytest.param(gzip.compress(b"email\n"), "Unpack", id="gzip"),
        pytest.param(b"%PDF-1.7", "PDF", id="pdf"),
        pytest.param(b"PAR1....", "Parquet", id="parquet"),
        pytest.param(b"<?xml version='1.0'?><list/>", "XML", id="xml"),
        pytest.param(b"\xd0\xcf\x11\xe0\xa1\xb1", "old Excel", id="xls"),
        pytest.param(b"\x7fELF\0\0\0\1\2\3", "not a text file", id="a program"),
    ],
)
def test_what_is_no_list_is_refused_with_the_mend(tmp_path: Path, content: bytes, words: str) -> None:  # item 37
    path = tmp_path / "list.csv"
    path.write_bytes(content)

    with pytest.raises(InvalidInput) as refused:
        lay_out(as_lines(path, tmp_path / "copy"))
    assert words in str(refused.value)


def test_an_excel_file_is_named_for_what_it_is(tmp_path: Path) -> None:  # ux.md A5
    path = tmp_path / "list.csv"
    with zipfile.ZipFile(path, "w") as workbook:
        workbook.writestr("xl/workbook.xml", "<workbook/>")

    with pytest.raises(InvalidInput, match=r"This looks like an Excel file. Save it as CSV and try again."):
        as_lines(path, tmp_path / "copy")


def test_a_quote_that_is_never_closed_costs_one_row_and_not_the_file(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text('email,note\na@example.com,"open\n' + "b@example.com,x\n" * 20_000)
    layout = lay_out(path)
    with path.open("rb") as file:
        rows = list(read_rows(file, layout.begins, layout.first_line, ","))

    assert [bool(row.problem) for row in rows[:3]] == [True, False, False]
    assert rows[-1].cells == ["b@example.com", "x"]


def test_rows_with_a_million_columns_and_endless_lines_are_refused(tmp_path: Path) -> None:  # V39
    path = tmp_path / "list.csv"
    path.write_text("email,x\n" + "," * 200_000 + "\na@example.com,1\n")
    with path.open("rb") as file:
        rows = list(read_rows(file, 8, 2, ","))
    assert ["columns" in row.problem for row in rows] == [True, False]

    path.write_text("email\n" + "a" * (LONGEST_LINE + 2) + "\n")
    with path.open("rb") as file, pytest.raises(InvalidInput, match="Line 2 is longer than 1 MB"):
        list(read_rows(file, 6, 2, ","))

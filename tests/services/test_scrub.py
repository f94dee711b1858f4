"""A scrub answers row by row what ``decide`` answers, whatever is on record (contract section 3)."""

import csv
import errno
import fcntl
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from prefs.domain.terms import Channel
from prefs.errors import Conflict, InvalidInput, StoreUnavailable
from prefs.services.decisions import Asked
from prefs.services.engine import Engine, opened, plainly
from prefs.services.scrub import Order, Report
from prefs.storage import base, facts
from tests.make import ADA, World

OFFERS = Asked(channel=Channel.EMAIL, topic="product-offers")
TEXTS = Asked(channel=Channel.SMS, topic="product-offers")


def scrub(world: World, folder: Path, text: str | bytes, asked: Asked = OFFERS, **more: Any) -> Report:
    audience = folder / "audience.csv"
    audience.write_bytes(text.encode() if isinstance(text, str) else text)
    order = Order(audience=audience, asked=asked, kept=folder / "kept.csv", blocked=folder / "blocked.csv", **more)
    return world.services.scrub.run(order)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_people_who_said_no_are_taken_out_and_the_reason_stands_beside_them(world: World, tmp_path: Path) -> None:
    world.client.post(world.link())

    report = scrub(world, tmp_path, f'name,email\nAda,{ADA}\n"Ben, the other",ben@example.com\nNobody,nobody\n')

    assert (tmp_path / "kept.csv").read_text() == 'name,email\n"Ben, the other",ben@example.com\n'
    assert (tmp_path / "blocked.csv").read_text() == (
        f"name,email,prefs_outcome,prefs_reason,prefs_column,prefs_not_before\nAda,{ADA},blocked,unsubscribed,email,\n"
    )
    assert rows(tmp_path / "kept.rejected.csv") == [
        {"line": "4", "reason": "no_at_sign", "column": "email", "row": "Nobody,nobody"}
    ]
    assert (report.rows, report.kept, report.blocked, report.rejected) == (3, 1, 1, 1)
    assert report.reasons == {"unsubscribed": 1, "no_at_sign": 1}


def test_of_several_address_columns_every_one_given_must_be_allowed(world: World, tmp_path: Path) -> None:
    world.client.post(world.link())
    text = (
        "id,home,work\n"
        f"1,{ADA},x@example.com\n"
        f"2,x@example.com,{ADA}\n"
        "3,x@example.com,\n"
        "4,x@example.com,nobody\n"
        "5,,\n"
        f"6,nobody,{ADA}\n"
        "7,y@example.com,x@example.com\n"
    )

    report = scrub(world, tmp_path, text, columns=("home", "work"))

    assert [row["id"] for row in rows(tmp_path / "kept.csv")] == ["3", "7"]
    assert [(row["id"], row["prefs_column"]) for row in rows(tmp_path / "blocked.csv")] == [
        ("1", "home"),
        ("2", "work"),
    ]
    assert [(row["line"], row["reason"], row["column"]) for row in rows(tmp_path / "kept.rejected.csv")] == [
        ("5", "no_at_sign", "work"),
        ("6", "empty", "home"),
        ("7", "no_at_sign", "home"),
    ]
    assert report.kept + report.blocked + report.rejected == report.rows == 7


def test_rows_that_are_no_rows_are_named_by_their_line(world: World, tmp_path: Path) -> None:
    """Quoted line breaks, broken quotes, too many or too few cells, bytes that are no UTF-8, empty lines."""
    text = (
        b'\xef\xbb\xbfid,email,note\r\n1,a@example.com,"two\r\nlines"\r\n2,b@example.com\r\n3,c@example.com,x,y\r\n'
        b"4,nobody,\r\n5,d@example.com,caf\xe9\r\n\r\n6,e@example.com,\xc3\xa9\r\n7,nobody else,z"
    )

    report = scrub(world, tmp_path, text)

    assert [row["id"] for row in rows(tmp_path / "kept.csv")] == ["1", "6"]
    found = {row["line"]: row["reason"] for row in rows(tmp_path / "kept.rejected.csv")}
    assert found == {
        "4": "malformed_row",
        "5": "malformed_row",
        "6": "no_at_sign",
        "7": "malformed_row",
        "10": "no_at_sign",
    }
    assert report.kept + report.blocked + report.rejected == report.rows == 7
    assert csv.field_size_limit() == 128 * 1024  # the process's own: an import reads by it


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        pytest.param("b@example.com\nc@example.com\n", "b@example.com\nc@example.com\n", id="no header"),
        pytest.param("E-Mail;Name\nb@example.com;B\n", "E-Mail;Name\nb@example.com;B\n", id="semicolons"),
        pytest.param("to\tx\nb@example.com\t\n", "to\tx\nb@example.com\t\n", id="tabs and an empty cell"),
        pytest.param('email,"a ""b"""\nb@example.com,"x,y"\n', 'email,"a ""b"""\nb@example.com,"x,y"\n', id="quotes"),
        pytest.param("whoever\nb@example.com\n", "whoever\nb@example.com\n", id="one column of any name"),
        pytest.param("email\n", "email\n", id="nobody at all"),
    ],
)
def test_a_clean_file_comes_out_as_it_went_in(world: World, tmp_path: Path, text: str, kept: str) -> None:
    scrub(world, tmp_path, text)

    assert (tmp_path / "kept.csv").read_text() == kept


@pytest.mark.parametrize(
    ("asked", "text", "columns", "header"),
    [
        pytest.param(TEXTS, "1001,+14155550100\n1002,+14155550101\n", ("column2",), False, id="ids like short codes"),
        pytest.param(TEXTS, "10012345,+14155550100\n", ("column2",), False, id="ids like numbers without a plus"),
        pytest.param(TEXTS, "1001,\n1002,4155550101\n", ("column2",), False, id="nobody in the first row"),
        pytest.param(TEXTS, "12345\n67890\n", ("column1",), False, id="nothing but short codes"),
        pytest.param(TEXTS, "phone,2026\n+14155550100,7\n", ("phone",), True, id="a header with a year"),
        pytest.param(OFFERS, "1,a@example.com\n", ("column2",), False, id="an email address"),
    ],
)
def test_the_summary_names_the_column_that_was_read(
    world: World, tmp_path: Path, asked: Asked, text: str, columns: tuple[str, ...], header: bool
) -> None:
    report = scrub(world, tmp_path, text, asked)

    assert (report.columns, report.header) == (columns, header)
    assert json.loads(report.certificate.read_text())["question"]["columns"] == list(columns)


def test_a_column_without_a_name_is_wanted_by_its_number(world: World, tmp_path: Path) -> None:
    world.client.post(world.link())

    report = scrub(world, tmp_path, f"b@example.com,{ADA}\n{ADA},c@example.com\n", columns=("column2",))

    assert (report.columns, report.header) == (("column2",), False)
    assert (tmp_path / "kept.csv").read_text() == f"{ADA},c@example.com\n"


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        pytest.param(OFFERS, "a@example.com,b@example.com\n", id="two columns of addresses"),
        pytest.param(TEXTS, "4155550100,10012345\n", id="two columns of digits"),
        pytest.param(Asked(channel=Channel.PUSH, topic="events"), "whatever\ntoken\n", id="tokens: a header or not?"),
    ],
)
def test_which_column_is_asked_where_two_may_be_meant(world: World, tmp_path: Path, asked: Asked, text: str) -> None:
    with pytest.raises(InvalidInput, match="--column") as refused:
        scrub(world, tmp_path, text, asked)

    assert refused.value.code == "which_column"


@pytest.mark.parametrize(
    ("text", "more", "code"),
    [
        pytest.param("name,id\nAda,1\n", {}, "which_column", id="no column says address"),
        pytest.param("email,to\nx@example.com,1\n", {}, "which_column", id="two do"),
        pytest.param("email\nx@example.com\n", {"columns": ["mail"]}, "no_column", id="another column"),
        pytest.param("email,email\nx,y\n", {}, "same_name", id="two of one name"),
        pytest.param("", {}, "empty", id="empty"),
        pytest.param("email\nx@example.com\n".encode("utf-16"), {}, "not_utf8", id="utf-16"),
        pytest.param("email\n", {"memory": "much"}, "invalid", id="memory"),
    ],
)
def test_files_that_cannot_be_read_are_refused_with_the_mend(
    world: World, tmp_path: Path, text: str | bytes, more: dict[str, Any], code: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        scrub(world, tmp_path, text, **more)

    assert refused.value.code == code
    assert not (tmp_path / "kept.csv").exists()


def test_parquet_goes_in_and_out_with_its_types(world: World, tmp_path: Path) -> None:
    world.client.post(world.link())
    audience, kept = tmp_path / "people.parquet", tmp_path / "kept.parquet"
    people = f"SELECT * FROM (VALUES (1, '{ADA}', DATE '2026-01-01'), (2, 'b@example.com', NULL), (3, 'no', NULL))"
    duckdb.sql(f"COPY ({people} AS t(id, email, born)) TO '{audience}' (FORMAT parquet)")

    report = world.services.scrub.run(Order(audience=audience, asked=OFFERS, kept=kept, blocked=tmp_path / "b.parquet"))

    assert duckdb.sql(f"FROM '{kept}'").fetchall() == [(2, "b@example.com", None)]
    assert [str(kind) for kind in duckdb.sql(f"FROM '{kept}'").types] == ["INTEGER", "VARCHAR", "DATE"]
    blocked = duckdb.sql(f"SELECT id, prefs_reason FROM '{tmp_path / 'b.parquet'}'").fetchall()
    assert blocked == [(1, "unsubscribed")]
    assert (report.rows, report.rejected) == (3, 1)


HASHED = {"sha256": lambda text: hashlib.sha256(text).hexdigest(), "md5": lambda text: hashlib.md5(text).hexdigest()}


@pytest.mark.parametrize("how", ["sha256", "md5"])
def test_hashes_are_matched_with_the_addresses_we_hold(world: World, tmp_path: Path, how: str) -> None:
    world.client.post(world.link())  # a link names a key only
    world.post("/v1/suppressions", {"channel": "email", "to": ADA, "source": "letter"})  # and this the address
    world.post("/v1/suppressions", {"channel": "email", "to": "Grüße@example.com"})
    world.know(("email", "ben@example.com"), contact="ben", country="DE")
    digest = HASHED[how]
    cells = [digest(ADA.encode()).upper(), digest("grüsse@example.com".encode()), digest(b"new@example.com"), "abc"]

    report = scrub(world, tmp_path, "\n".join(["h", *cells, digest(b"ben@example.com")]), hashed=how)

    assert (tmp_path / "kept.csv").read_text() == f"h\n{cells[2]}\n"
    assert [row["prefs_reason"] for row in rows(tmp_path / "blocked.csv")] == ["unsubscribed"] * 2 + ["no_consent"]
    assert (report.reasons["not_a_hash"], report.key_only) == (1, 0)


def test_an_unknown_hash_is_not_kept_while_an_opt_out_is_held_as_a_key_only(world: World, tmp_path: Path) -> None:
    world.client.post(world.link("whoever@example.com"))
    world.know(("email", "ben@example.com"), contact="ben")
    text = f"h\n{HASHED['md5'](b'whoever@example.com')}\n{HASHED['md5'](b'ben@example.com')}\n"

    report = scrub(world, tmp_path, text, hashed="md5")

    assert [row["prefs_reason"] for row in rows(tmp_path / "blocked.csv")] == ["unavailable"]
    assert (report.kept, report.key_only) == (1, 1)  # of Ben we know that nothing stands
    assert world.services.scrub.certificates.check(report.certificate).says["key_only"] == 1


def test_the_certificate_holds_until_anything_is_changed(world: World, tmp_path: Path) -> None:
    world.client.post(world.link())
    certificates = world.services.scrub.certificates

    report = scrub(world, tmp_path, f"email\n{ADA}\nb@example.com\nno\n")

    checked = certificates.check(report.certificate)
    assert checked.holds
    assert checked.files == {"audience": "same", "kept": "same", "blocked": "same", "rejected": "same"}
    assert checked.says["counts"] == {
        "rows": 3, "kept": 1, "blocked": 1, "rejected": 1, "reasons": {"unsubscribed": 1, "no_at_sign": 1},
    }  # fmt: skip
    assert (checked.says["ledger_position"], checked.says["policy_version"]) == (
        1,
        world.services.decisions.policy_version(),
    )
    (tmp_path / "kept.csv").write_text(f"email\n{ADA}\n")
    (tmp_path / "blocked.csv").unlink()
    checked = certificates.check(report.certificate)
    assert not checked.holds
    assert (checked.files["kept"], checked.files["blocked"]) == ("changed", "missing")
    report.certificate.write_text(report.certificate.read_text().replace('"kept": 1', '"kept": 2'))
    with pytest.raises(InvalidInput, match="did not sign"):
        certificates.check(report.certificate)


def test_a_certificate_proves_nothing_without_the_kept_rows(world: World, tmp_path: Path) -> None:
    certificates = world.services.scrub.certificates
    report = scrub(world, tmp_path, "email\nb@example.com\n")

    (tmp_path / "kept.csv").rename(tmp_path / "moved.csv")
    assert not certificates.check(report.certificate).holds
    (tmp_path / "moved.csv").rename(tmp_path / "kept.csv")
    (tmp_path / "audience.csv").unlink()
    assert certificates.check(report.certificate).holds  # whose rows were not kept may be forgotten


@pytest.mark.parametrize("text", ["[]", "[1]", '"x"', "3", "null", "{}", "", "\xff", '{"key": 1, "signature": "é"}'])
def test_what_is_no_certificate_is_said_to_be_none(world: World, tmp_path: Path, text: str) -> None:
    (tmp_path / "c.json").write_text(text, encoding="latin-1")

    with pytest.raises(InvalidInput):
        world.services.scrub.certificates.check(tmp_path / "c.json")


@pytest.mark.parametrize("part", ['"\\ud800"', '"é"'])
def test_odd_letters_in_a_certificate_are_a_wrong_signature(world: World, tmp_path: Path, part: str) -> None:
    report = scrub(world, tmp_path, "email\nb@example.com\n")
    signed = json.loads(report.certificate.read_text())
    report.certificate.write_text(json.dumps({**signed, "format": json.loads(part), "signature": "é"}))

    with pytest.raises(InvalidInput, match="did not sign"):
        world.services.scrub.certificates.check(report.certificate)


def test_no_file_is_called_clean_while_an_opt_out_waits_in_the_journal(world: World, tmp_path: Path) -> None:
    world.services.journal.keep("one_click", {"token": "x"})

    with pytest.raises(StoreUnavailable):
        scrub(world, tmp_path, "email\nb@example.com\n")

    assert not (tmp_path / "kept.csv").exists()


def test_after_an_interruption_reading_goes_on_and_every_answer_is_taken_afresh(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is read once; a stop that came in between is obeyed."""
    from prefs.services import audience as audiences

    text = f"email\n{ADA}\n Ben@Example.com\nnobody\nc@example.com\n"
    with monkeypatch.context() as broken:
        broken.setattr("prefs.services.scrub._Job.write", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            scrub(world, tmp_path, text)
    assert not (tmp_path / "kept.csv").exists()
    world.client.post(world.link("ben@example.com"))
    read: list[str] = []
    monkeypatch.setattr(audiences, "load", _interrupt)
    monkeypatch.setattr(audiences, "_read", lambda text, *rest: read.append(text))

    audience = tmp_path / "audience.csv"
    order = Order(audience=audience, asked=OFFERS, kept=tmp_path / "kept.csv", blocked=tmp_path / "blocked.csv")
    world.services.scrub.run(order)

    assert (tmp_path / "kept.csv").read_text() == f"email\n{ADA}\nc@example.com\n"
    assert read == []
    assert not order.work.exists()


def _interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_another_file_of_the_same_name_is_read_anew(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr("prefs.services.scrub._Job.write", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            scrub(world, tmp_path, f"email\n{ADA}\n")

    scrub(world, tmp_path, "email\nsomebody@example.com\n")

    assert (tmp_path / "kept.csv").read_text() == "email\nsomebody@example.com\n"


def test_rows_keep_their_order_in_a_file_of_several_batches(world: World, tmp_path: Path) -> None:
    numbers = range(300_000)
    for number in (5, 150_000, 299_999):
        world.client.post(world.link(f"p{number}@example.com"))

    report = scrub(world, tmp_path, "id,email\n" + "\n".join(f"{n},p{n}@example.com" for n in numbers) + "\n")

    expected = [str(number) for number in numbers if number not in {5, 150_000, 299_999}]
    assert [row["id"] for row in rows(tmp_path / "kept.csv")] == expected
    assert report.blocked == 3


def test_the_standing_is_copied_once_and_only_a_copy_of_this_ledger_is_used(world: World, tmp_path: Path) -> None:
    world.client.post(world.link())
    path = tmp_path / "var" / "scrub" / "standing-email.duckdb"
    scrub(world, tmp_path, f"email\n{ADA}\n")
    first = path.stat()
    assert first.st_mode & 0o077 == 0
    scrub(world, tmp_path, f"email\n{ADA}\n")
    assert path.stat().st_ino == first.st_ino

    path.write_bytes(b"not a copy")
    report = scrub(world, tmp_path, f"email\n{ADA}\n")

    assert report.blocked == 1


def test_rows_read_before_the_first_list_of_hashes_are_read_again(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prefs.services import audience as audiences

    keys = world.services.kit.address_keys
    with monkeypatch.context() as late:
        late.setattr(audiences, "read_slowly", lambda *_: setattr(keys, "hashes_listed", lambda: True))
        with pytest.raises(StoreUnavailable, match="Run this again"):
            scrub(world, tmp_path, f"email\n{ADA}\n")

    assert scrub(world, tmp_path, f"email\n{ADA}\n").kept == 1


@pytest.mark.parametrize("broken", ["", "1,2,3\n"], ids=["rows only", "a broken row too"])
def test_rejected_rows_are_never_all_in_memory(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    """With the wrong column named, every row of ten million is rejected."""
    read, taken = Engine.rows, [0]

    def rows_of(engine: Engine, *sql: Any) -> list[tuple[Any, ...]]:
        found = read(engine, *sql)
        taken.append(len(found))
        return found

    monkeypatch.setattr(Engine, "rows", rows_of)
    lines = [f"{number},x{number}" for number in range(25_000)]
    lines[7] = '7,"x\n7"'

    report = scrub(world, tmp_path, "id,email\n" + "\n".join(lines) + "\n" + broken)

    assert report.rejected == 25_000 + bool(broken)
    assert max(taken) < 100
    found = [int(row["line"]) for row in rows(tmp_path / "kept.rejected.csv")]
    assert found == [*range(2, 10), *range(11, 25_003 + bool(broken))]


def test_a_quote_that_is_never_closed_costs_no_other_row_its_line(world: World, tmp_path: Path) -> None:
    open_to_the_end = '3,"c@example.com\n' + "4,d@example.com\n" * 300_000

    report = scrub(world, tmp_path, f"id,email\n1,nobody\n2,b@example.com\n{open_to_the_end}")

    assert rows(tmp_path / "kept.rejected.csv")[0]["line"] == "2"
    assert rows(tmp_path / "kept.csv")[0]["id"] == "2"
    assert report.kept + report.blocked + report.rejected == report.rows


def test_what_an_earlier_run_wrote_does_not_stay_beside_a_later_one(world: World, tmp_path: Path) -> None:
    scrub(world, tmp_path, "email\nnobody\nb@example.com\n")
    assert (tmp_path / "kept.rejected.csv").exists()

    report = scrub(world, tmp_path, "email\nb@example.com\n")

    assert report.rejected == 0
    assert not (tmp_path / "kept.rejected.csv").exists()
    assert [one for one in tmp_path.iterdir() if one.name.startswith(".")] == []


@pytest.mark.parametrize(
    "name", ["people [1].csv", "p*e.csv", "who?.parquet", "country=DE/people.parquet", "[a]/a.csv"]
)
def test_a_file_is_read_by_its_name_and_no_other(world: World, tmp_path: Path, name: str) -> None:
    audience, other = tmp_path / name, tmp_path / name.translate(str.maketrans("*?", "xx", "[]"))
    for path, who in ((other, "other"), (audience, "mine")):
        path.parent.mkdir(exist_ok=True)
        if path.suffix == ".csv":
            path.write_text(f"email\n{who}@example.com\n")
        else:
            row = duckdb.sql(f"SELECT '{who}@example.com' AS email")  # noqa: F841  duckdb sees it
            duckdb.sql("FROM row").write_parquet(str(path))

    report = world.services.scrub.run(Order(audience=audience, asked=OFFERS, kept=tmp_path / "kept.csv"))

    assert report.rows == 1
    assert (tmp_path / "kept.csv").read_text() == "email\nmine@example.com\n"


def test_a_parquet_file_that_breaks_off_is_said_to_be_damaged(world: World, tmp_path: Path) -> None:
    audience = tmp_path / "people.parquet"
    people = "SELECT md5(range::VARCHAR) || '@example.com' AS email FROM range(20000)"
    duckdb.sql(f"COPY ({people}) TO '{audience}' (FORMAT parquet)")
    whole = audience.read_bytes()
    audience.write_bytes(whole[:1000] + bytes(len(whole) // 2) + whole[1000 + len(whole) // 2 :])

    with pytest.raises(InvalidInput, match="damaged"):
        world.services.scrub.run(Order(audience=audience, asked=OFFERS, kept=tmp_path / "kept.csv"))

    assert not (tmp_path / "kept.csv").exists()


def test_too_little_memory_and_a_full_disk_are_said_with_the_mend(tmp_path: Path) -> None:
    with (
        pytest.raises(InvalidInput, match="--memory-limit") as short,
        opened(tmp_path / "a.duckdb", memory="10MB") as engine,
    ):
        engine.run("CREATE TABLE t AS SELECT list(range) AS numbers FROM range(20000000)")
    with pytest.raises(InvalidInput, match="disk is full") as full, opened(tmp_path / "b.duckdb") as engine:
        engine.run("COPY (SELECT range FROM range(100000)) TO '/dev/full' (FORMAT csv)")
    with pytest.raises(InvalidInput, match="disk is full"), plainly():
        raise OSError(errno.ENOSPC, "No space left on device")

    assert (short.value.code, full.value.code) == ("out_of_memory", "disk_full")


def test_a_second_run_of_the_same_output_is_told_to_wait(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []

    def in_the_middle(*_: object) -> None:
        with pytest.raises(Conflict, match="same file") as refused:
            scrub(world, tmp_path, "email\nb@example.com\n")
        said.append(str(refused.value))

    with monkeypatch.context() as both:
        both.setattr("prefs.services.scrub._Job._judge", in_the_middle)
        with pytest.raises(duckdb.Error):  # nothing was judged
            scrub(world, tmp_path, "email\nb@example.com\n")

    assert len(said) == 1
    assert scrub(world, tmp_path, "email\nb@example.com\n").kept == 1


def test_a_database_that_goes_away_while_the_standing_is_copied_can_be_asked_again(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, copy = world.services.kit.store, facts.copy_facts

    def cut_off(connection: Any, *rest: Any) -> None:
        if not store.is_sqlite:
            pid = connection.connection.driver_connection.info.backend_pid
            with store.read() as other:
                other.exec_driver_sql(f"SELECT pg_terminate_backend({pid})")
        copy(connection, *rest)

    with monkeypatch.context() as broken:
        broken.setattr(facts, "copy_facts", cut_off)
        broken.setattr(facts, "_SQLITE_FACTS", "SELECT key FROM taken_away")
        with pytest.raises(StoreUnavailable):
            scrub(world, tmp_path, "email\nb@example.com\n")
    assert not (tmp_path / "kept.csv").exists()

    assert scrub(world, tmp_path, "email\nb@example.com\n").kept == 1


def test_a_writer_that_takes_too_long_makes_a_scrub_unavailable_and_not_broken(
    build_world: Callable[..., World], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "WRITE_WAIT_SECONDS", 1)
    world = build_world()

    with world.services.kit.store.write(), pytest.raises(StoreUnavailable):
        scrub(world, tmp_path, "email\nb@example.com\n")

    assert scrub(world, tmp_path, "email\nb@example.com\n").kept == 1


def test_what_a_killed_copy_left_is_removed_by_the_next_unless_somebody_copies_just_now(
    world: World, tmp_path: Path
) -> None:
    folder = tmp_path / "var" / "scrub"
    (folder / "0123456789ab.spill").mkdir(parents=True)
    left = [folder / f"0123456789ab.{kind}" for kind in ("facts.csv", "work", "new", "spill/duckdb_temp")]
    for path in left:
        path.write_text("gigabytes")

    with (folder / "copying.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_SH)
        scrub(world, tmp_path, "email\nb@example.com\n")
    assert all(path.exists() for path in left)
    (folder / "standing-email.duckdb").unlink()
    scrub(world, tmp_path, "email\nb@example.com\n")

    assert sorted(path.name for path in folder.iterdir()) == ["copying.lock", "standing-email.duckdb"]


def test_every_step_tells_how_far_it_is(world: World, tmp_path: Path) -> None:
    told: list[str] = []
    audience = tmp_path / "hashes.csv"
    audience.write_text(f"h\n{HASHED['md5'](b'b@example.com')}\n")

    world.services.scrub.run(
        Order(audience=audience, asked=OFFERS, kept=tmp_path / "kept.csv", hashed="md5"),
        lambda step, fraction, number: told.append(step),
    )

    assert list(dict.fromkeys(told)) == [
        "reading", "understanding", "copying", "hashing", "joining", "deciding", "marking", "writing",
    ]  # fmt: skip

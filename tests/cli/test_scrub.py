"""``prefs scrub`` as an operator meets it."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from prefs.cli.scrub import Bar
from tests.cli.test_commands import Prefs
from tests.make import ADA


def test_a_file_is_split_counted_and_certified(prefs: Prefs, tmp_path: Path) -> None:
    audience, kept = tmp_path / "people.csv", tmp_path / "kept.csv"
    audience.write_text(f"id,email\n1,{ADA}\n2,ben@example.com\n3,nobody\n")
    prefs("suppress", "--channel", "email", "--to", ADA)

    done = prefs("scrub", str(audience), "--channel", "email", "--topic", "events", "--out", str(kept))

    assert done.returncode == 0, done.stderr
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["3", "rows"], ["1", "kept"], ["1", "blocked"], ["1", "rejected"], ["1", "no_at_sign"], ["1", "unsubscribed"],
    ]  # fmt: skip
    assert kept.read_text() == "id,email\n2,ben@example.com\n"
    assert ADA not in done.stdout + done.stderr
    assert "Addresses read from email." in done.stderr
    certificate = str(tmp_path / "kept.certificate.json")
    assert prefs("scrub", "--verify", certificate).returncode == 0
    kept.write_text("id,email\n1,x\n")
    changed = prefs("scrub", "--verify", certificate)
    assert changed.returncode == 1
    assert "changed  kept: kept.csv" in changed.stdout
    kept.unlink()
    missing = prefs("scrub", "--verify", certificate)
    assert missing.returncode == 1
    assert "missing  kept: kept.csv" in missing.stdout
    assert "nothing is proven" in missing.stderr


def test_counts_can_be_read_by_a_program(prefs: Prefs, tmp_path: Path) -> None:
    audience = tmp_path / "people.csv"
    audience.write_text("phone\n+14155550123\n")

    out = str(tmp_path / "kept.csv")
    done = prefs("scrub", str(audience), "--channel", "sms", "--topic", "events", "--out", out, "--json")

    found = json.loads(done.stdout)
    assert (found["rows"], found["kept"], found["reasons"]) == (1, 0, {"no_consent": 1})


def test_interrupted_it_says_how_to_go_on_and_leaves_no_half_file(prefs: Prefs, tmp_path: Path) -> None:
    audience, kept = tmp_path / "people.csv", tmp_path / "kept.csv"
    with audience.open("w") as file:
        file.write("email\n")
        file.writelines(f"p{number}@example.com\n" for number in range(1_500_000))
    command = ["scrub", str(audience), "--channel", "email", "--topic", "events", "--out", str(kept)]
    prefs("keys", "list")  # the database is there
    process = subprocess.Popen(
        [sys.executable, "-m", "prefs", *command],
        env={**os.environ, "PREFS_DATA_DIR": str(tmp_path / "var")},
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # tests that run behind a shell ignore it
    )
    work = tmp_path / ".kept.csv.work"  # there just before DuckDB is loaded, which Ctrl-C must not cut short
    while not work.exists() and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)

    died_of_it = -signal.SIGINT  # now and then Python, on its way out, hands the signal on; a shell reads 130
    assert process.returncode in {1, died_of_it}, said
    assert "goes on where this one was" in said
    assert not kept.exists()
    again = prefs(*command)
    assert again.returncode == 0, again.stderr
    assert "1,500,000 kept" in again.stdout
    assert not work.exists()


def test_usage_errors_exit_with_two_and_say_the_mend(prefs: Prefs, tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("a,b\n1,2\n")
    given = ("scrub", str(tmp_path / "people.csv"), "--channel", "email", "--topic")

    for arguments, words in (
        (("scrub",), "--channel"),
        ((*given, "nope", "--out", str(tmp_path / "k.csv")), "no such topic"),
        ((*given, "events", "--out", str(tmp_path / "k.csv")), "--column"),
        ((*given, "events", "--out", str(tmp_path / "k.xlsx")), ".csv or .parquet"),
        ((*given, "events", "--out", str(tmp_path / "people.csv")), "Two of the files are the same"),
        ((*given, "events", "--out", str(tmp_path / "k.csv"), "--country", "Germany"), "like DE"),
        ((*given, "events", "--out", str(tmp_path / "k.csv"), "--country", "UK"), "write GB"),
        ((*given, "events", "--out", str(tmp_path / "k.csv"), "--at", "2020-01-01T00:00Z"), "past"),
    ):
        done = prefs(*arguments)
        assert done.returncode == 2, arguments
        assert words in done.stderr


def test_too_small_a_memory_limit_is_a_sentence_and_leaves_no_output(prefs: Prefs, tmp_path: Path) -> None:
    audience, kept = tmp_path / "people.csv", tmp_path / "kept.csv"
    audience.write_text("email\n" + "".join(f"p{number}@example.com\n" for number in range(200_000)))
    given = ("scrub", str(audience), "--channel", "email", "--topic", "events", "--out", str(kept))

    done = prefs(*given, "--memory-limit", "1MB")

    assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr
    assert "Give more with --memory-limit" in done.stderr
    assert not kept.exists()
    assert prefs(*given).returncode == 0


def test_the_bar_shows_rows_and_seconds_left() -> None:
    shown, now = io.StringIO(), iter((0.0, 0.0, 5.0, 5.0, 7.0)).__next__
    bar = Bar(clock=now, write=shown.write)

    bar.told("reading", 0.0, 1_000_000)
    bar.told("reading", 0.5, 1_000_000)
    bar.told("writing", 0.0, 1_000_000)

    assert "reading       [############............] 500,000 of 1,000,000 rows, 5 s left" in shown.getvalue()
    assert shown.getvalue().count("\r") == 3

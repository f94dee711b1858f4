"""``prefs import`` and ``prefs export`` as an operator types them."""

import json
from pathlib import Path

import pytest

from tests.cli.test_commands import Prefs, prefs  # noqa: F401  a fixture
from tests.make import ADA


@pytest.fixture
def listed(tmp_path: Path) -> str:
    path = tmp_path / "list.csv"
    path.write_text(f"email\n{ADA}\nbob@example.com\nnobody\n")
    return str(path)


def test_a_list_is_tried_imported_exported_and_undone(prefs: Prefs, listed: str, tmp_path: Path) -> None:  # noqa: F811
    dry = prefs("import", listed, "--dry-run", "--json")
    assert (dry.returncode, json.loads(dry.stdout)["added"]) == (0, 2), dry.stderr
    assert "dry run" in dry.stderr

    done = prefs("import", listed, "--rejects", str(tmp_path / "bad.csv"), "--by", "ana", "--json")
    found = json.loads(done.stdout)
    assert (found["added"], found["already"], found["invalid"], found["ignored"]) == (2, 0, 1, 0)
    assert "nobody,Not an email address: no @ sign" in (tmp_path / "bad.csv").read_text()
    question = ("decide", "--channel", "email", "--to", ADA, "--topic", "events")
    assert prefs(*question).returncode == 3

    out = prefs("export", str(tmp_path / "out.csv"), "--hashed", "sha256", "--recipient", "Adverts Ltd")
    assert out.stdout.split()[0] == "2"
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 3

    assert prefs("imports", "undo", found["id"], "--by", "ana").returncode == 1
    undone = prefs("imports", "undo", found["id"], "--by", "bea")
    assert (undone.returncode, undone.stdout.strip()) == (0, "2"), undone.stderr
    assert prefs(*question).returncode == 0
    assert json.loads(prefs("imports", "show", found["id"], "--json").stdout)["status"] == "undone"
    assert prefs("ledger", "replay", "--check").returncode == 0


def test_a_dry_run_prints_what_would_change_with_shortened_addresses(prefs: Prefs, tmp_path: Path) -> None:  # noqa: F811
    path = tmp_path / "list.csv"
    path.write_text("phone\n0170 1234567\n+14155550142\n+14155550142\n")

    done = prefs("import", str(path), "--dry-run", "--channel", "sms", "--region", "de", "--scope", "topic:events")
    machine = prefs("import", str(path), "--dry-run", "--channel", "sms", "--region", "DE", "--json")

    assert done.returncode == 0, done.stderr
    assert [line.strip() for line in done.stdout.splitlines()] == [
        *("2 added", "1 already", "0 invalid", "0 ignored"),
        "sms unsubscribed topic:events: 2 new, 1 already",
        "The first that are new:",
        "line 2: ••• ••• 4567 sms unsubscribed topic:events",
        "line 3: ••• ••• 0142 sms unsubscribed topic:events",
    ]
    assert json.loads(machine.stdout)["difference"]["facts"][0]["new"] == 2


def test_an_export_says_what_it_is_for_and_a_partner_without_a_name_is_not_put_on_record_as_ourselves(
    prefs: Prefs,  # noqa: F811
    tmp_path: Path,
) -> None:  # C-5
    prefs("suppress", "--channel", "email", "--to", ADA)

    own, partner, named = (
        prefs("export", str(tmp_path / "out.csv"), "--json", *more)
        for more in ((), ("--hashed", "sha256"), ("--hashed", "sha256", "--recipient", "Adverts Ltd"))
    )

    recipients = [json.loads(one.stdout)["recipient"] for one in (own, partner, named)]
    assert recipients == ["own use", "not named", "Adverts Ltd"]
    assert all("For suppression only" in one.stderr for one in (own, partner, named))
    assert ["--recipient" in one.stderr for one in (own, partner, named)] == [False, True, False]


def test_a_delta_names_the_file_of_who_is_to_come_off(prefs: Prefs, listed: str, tmp_path: Path) -> None:  # noqa: F811
    found = json.loads(prefs("import", listed, "--by", "ana", "--json").stdout)
    position = prefs("export", str(tmp_path / "list.csv")).stdout.split()[-1]
    prefs("imports", "undo", found["id"], "--by", "bea")

    done = prefs("export", str(tmp_path / "list.csv"), "--since", position)

    assert done.stdout.split()[0] == "0"
    assert f"2 rows are to come off the list: {tmp_path / 'list.lifted.csv'}" in done.stderr
    header, *off = (tmp_path / "list.lifted.csv").read_text().splitlines()
    assert header == "channel,lifted,scope,reason"
    assert sorted(off) == [f"email,{ADA},all,unsubscribed", "email,bob@example.com,all,unsubscribed"]


def test_what_cannot_be_imported_exits_2_with_the_mend(prefs: Prefs, tmp_path: Path) -> None:  # noqa: F811
    path = tmp_path / "list.csv"
    path.write_text("created,email,reason,status\n1,a@example.com,x,5.1.1\n")

    done = prefs("import", str(path))

    assert (done.returncode, done.stdout) == (2, "")
    assert "--format sendgrid-bounces or --format sendgrid-blocks" in done.stderr
    assert prefs("import", str(tmp_path / "missing.csv")).returncode == 2


def test_the_formats_name_their_sources_and_what_is_not_read(prefs: Prefs) -> None:  # noqa: F811
    found = json.loads(prefs("imports", "formats", "--json").stdout)

    assert {"sendgrid-bounces", "mailgun-unsubscribes", "dnc-registry"} <= {one["name"] for one in found["formats"]}
    assert "Mautic" in found["unsupported"]
    assert "Not read:" in prefs("imports", "formats").stdout


def test_logs_of_imports_and_exports_name_nobody(prefs: Prefs, listed: str, tmp_path: Path) -> None:  # noqa: F811
    # V23
    done = [prefs("import", listed), prefs("export", str(tmp_path / "out.csv"))]

    logged = "".join(one.stderr for one in done)
    assert "import_done" in logged
    assert "list_exported" in logged
    assert ADA not in logged

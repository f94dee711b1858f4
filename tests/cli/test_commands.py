"""The commands as an operator types them: stdout is data, exit codes are kept (contract section 3)."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.double.provider import SENDGRID_KEY, ProviderDouble
from tests.faults.service import running
from tests.make import ADA, BEN

Prefs = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def prefs(tmp_path: Path) -> Prefs:
    environment = {**os.environ, "PREFS_DATA_DIR": str(tmp_path / "var"), "PREFS_ENV": "development"}

    def run(*words: str, **more: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "prefs", *words]
        return subprocess.run(command, env={**environment, **more}, capture_output=True, text=True, check=False)

    return run


def test_a_suppression_changes_what_decide_says_and_its_exit_code(prefs: Prefs) -> None:
    question = ("decide", "--channel", "email", "--to", ADA, "--topic", "product-offers")
    assert prefs(*question).returncode == 0

    made = prefs("suppress", "--channel", "any", "--to", ADA, "--source", "letter")
    asked = prefs(*question, "--explain", "--json")

    assert made.stdout.strip() == "sup_1"
    assert asked.returncode == 3
    assert json.loads(asked.stdout)["reason"] == "unsubscribed"
    assert [step["result"] for step in json.loads(asked.stdout)["steps"]].count("block") == 1
    assert prefs("ledger", "replay", "--check").returncode == 0


def test_usage_is_exit_2_with_a_sentence_that_says_the_mend(prefs: Prefs) -> None:
    for words in (
        ("decide", "--channel", "fax", "--to", ADA, "--topic", "events"),
        ("decide", "--channel", "email", "--to", ADA, "--topic", "nope"),
        ("decide", "--channel", "email", "--to", ADA),
        ("keys", "create", "--name", "x", "--scope", "everything"),
        ("suppress", "--channel", "email", "--to", "nobody"),
    ):
        done = prefs(*words)
        assert (done.returncode, done.stdout) == (2, ""), words
        assert "Traceback" not in done.stderr
        assert done.stderr.strip().endswith((".", "'"))


def test_a_consent_and_the_links_of_an_address(prefs: Prefs) -> None:
    assert prefs("consent", "--channel", "sms", "--to", BEN, "--topic", "events", "--source", "form").returncode == 0
    found = json.loads(prefs("links", "--to", ADA, "--topic", "events", "--json").stdout)

    assert found["unsubscribe"].startswith("http://127.0.0.1:8080/u/")
    assert found["headers"]["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


def test_a_key_is_printed_alone_listed_and_revoked(prefs: Prefs) -> None:
    key = prefs("keys", "create", "--name", "campaigns", "--scope", "decide").stdout.strip()
    assert key.startswith("prf_test_")
    (row,) = json.loads(prefs("keys", "list", "--json").stdout)

    assert prefs("keys", "revoke", row["id"]).returncode == 0
    assert prefs("keys", "revoke", row["id"]).returncode == 1
    assert key not in prefs("keys", "list").stdout


def test_the_catalogue_is_a_file_that_is_applied_whole_or_not_at_all(prefs: Prefs, tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text('[[topic]]\nslug = "recalls"\nname = "Recalls"\nmessage_class = "transactional"\n')
    assert prefs("topics", "apply", str(file)).returncode == 0
    assert "recalls" in prefs("topics", "list").stdout

    for broken in (
        '[[topic]]\nslug = "recalls"\nname = "R"\nmessage_class = "marketing"\n',
        '[[topic]]\nslug = "new"\nname = "N"\nmessage_class = "emergency"\n',
        '[[topic]]\nslug = "Bad Slug"\nname = "N"\nmessage_class = "marketing"\n',
        '[[topic]]\nslug = "new"\nname = "N"\nmessage_class = "marketing"\ncolour = "red"\n',
        "not toml",
    ):
        file.write_text('[[topic]]\nslug = "first"\nname = "F"\nmessage_class = "marketing"\n' + broken)
        assert prefs("topics", "apply", str(file)).returncode in {1, 2}
    assert "first" not in prefs("topics", "list").stdout


def test_production_refuses_to_start_and_names_everything_that_is_missing(prefs: Prefs) -> None:
    done = prefs("serve", PREFS_ENV="production")

    assert done.returncode == 2
    for name in ("PREFS_SECRET_KEYS", "PREFS_ADDRESS_KEY", "PREFS_BASE_URL", "PREFS_EMAIL_TRANSPORT"):
        assert name in done.stderr


def test_doctor_hides_secrets_and_makes_new_ones(prefs: Prefs) -> None:
    made = dict(line.split("=", 1) for line in prefs("doctor", "--new-secrets").stdout.splitlines())
    prefs("topics", "list")

    shown = prefs("doctor", **made)

    assert shown.returncode == 0
    assert made["PREFS_ADDRESS_KEY"] not in shown.stdout + shown.stderr
    assert "2027-01-31" in shown.stderr


@pytest.fixture
def service(tmp_path: Path) -> Iterator[dict[str, str]]:
    from prefs import simulate
    from prefs.config import write_development_secrets

    write_development_secrets(tmp_path / "live", simulate.new_webhook_secrets())
    with running("sqlite", tmp_path / "live") as made:
        yield {"PREFS_DATA_DIR": str(tmp_path / "live"), **{k: made.environment[k] for k in _SHARED}}


_SHARED = ("PREFS_BASE_URL", "DATABASE_URL", "PREFS_SECRET_KEYS", "PREFS_ADDRESS_KEY")


def test_simulated_webhooks_reach_the_running_service(prefs: Prefs, service: dict[str, str]) -> None:
    text = prefs("simulate", "sms", "--from", BEN, "--to", "+15550100001", "--body", "Stop.", **service)
    event = prefs("simulate", "sendgrid", "spamreport", "--email", ADA, **service)

    assert (text.returncode, event.returncode) == (0, 0), text.stderr + event.stderr
    assert "no more marketing texts" in text.stdout
    decided = prefs("decide", "--channel", "email", "--to", ADA, "--topic", "events", **service)
    assert (decided.returncode, decided.stdout.strip()) == (3, "blocked: complaint")


def test_no_log_line_of_a_running_service_names_a_person_or_a_token(tmp_path: Path) -> None:  # V23
    import requests

    with running("sqlite", tmp_path / "live") as made:
        url = made.services().linking.for_address(*_target(made)).unsubscribe
        requests.post(url, timeout=10)
        headers = {"X-Twilio-Signature": "wrong"}
        requests.post(f"{made.url}/webhooks/twilio/messages", {"From": BEN, "Body": ADA}, headers=headers, timeout=10)
        assert made.process is not None
        log = (tmp_path / "live" / "server.log").read_text()

    assert "twilio" in log
    for secret in (url.rpartition("/")[2], BEN, ADA):
        assert secret not in log


def _target(made):  # type: ignore[no-untyped-def]
    from prefs.domain.address import parse_address
    from prefs.domain.terms import Channel

    return Channel.EMAIL, made.services().kit.address_keys.key(parse_address(Channel.EMAIL, ADA))


def test_numbers_are_asked_about_answered_and_the_registry_copy_noted(prefs: Prefs, tmp_path: Path) -> None:
    prefs("consent", "--channel", "sms", "--to", "+14155550123", "--topic", "events", "--source", "form")
    asked = prefs("numbers", "questions").stdout
    assert asked.startswith("4155550123,")
    answered = tmp_path / "answers.csv"
    answered.write_text(asked.strip() + ",yes\nodd line\n")

    told = prefs("numbers", "answers", str(answered))

    assert (told.stdout, told.returncode) == ("2 rows, 1 consents ended, 0 to ask again.\n", 1)
    assert "lines 2" in told.stderr
    decision = prefs("decide", "--channel", "sms", "--to", "+14155550123", "--topic", "events", "--json")
    assert '"number_reassigned"' in decision.stdout
    assert prefs("numbers", "registry", "--copied-on", "2026-11-01").returncode == 0


def test_sendgrids_lists_are_compared_and_the_drift_is_data_on_stdout(prefs: Prefs, double: ProviderDouble) -> None:
    double.listed("unsubscribes", ADA, datetime.now(UTC) - timedelta(hours=1))
    there = {
        "PREFS_EMAIL_TRANSPORT": "sendgrid",
        "SENDGRID_API_KEY": SENDGRID_KEY,
        "SENDGRID_API_BASE_URL": double.url,
    }
    refused = prefs("sync", "sendgrid")
    assert (refused.returncode, refused.stdout) == (2, "")

    looked = prefs("sync", "sendgrid", "--dry-run", "--json", **there)
    done = prefs("sync", "sendgrid", **there)

    assert json.loads(looked.stdout)["stops_missed"] == 1
    assert done.returncode == 0, done.stderr
    assert "       1 stops missed\n" in done.stdout
    assert prefs("decide", "--channel", "email", "--to", ADA, "--topic", "events", **there).returncode == 3

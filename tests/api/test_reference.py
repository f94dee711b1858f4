"""``/v1/docs``: every endpoint and error is there, and every example is run."""

import json
import os
import re
import subprocess
import sys
import tomllib
from html import unescape
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from prefs.api import openapi, reference
from prefs.api.http import ENDPOINTS
from tests.faults.service import running
from tests.make import World

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = {one["name"]: one for one in reference.table()["example"]}
# What a caller of the API never meets: set-up, the catalogue's file, webhooks, public pages, health.
NOT_OF_THE_API = {
    "already_decided",
    "bad_timestamp",
    "bad_toml",
    "error",
    "invalid_link",
    "journal_not_empty",
    "not_an_object",
    "not_authentic",
    "provider_error",
    "schema_behind",
    "settings",
    "store_unavailable",
    "too_many_links",
    # The console and the commands say these.
    *("checked_again", "no_proof", "nothing_to_import"),
    *("bad_signature", "exists", "extended_before", "last_admin", "needs_approval", "needs_second_person"),
    *("no_certificate", "no_check_needed", "no_file", "no_folder", "no_list", "nobody", "not_a_copy", "not_pressed"),
    *("not_a_rectification", "not_a_restriction", "not_an_erasure", "not_answered", "not_empty", "not_liftable"),
    *("not_standing", "not_theirs", "not_vouched_for", "not_waiting", "not_yours", "other_channel", "other_requests"),
    *("request_taken", "same_address", "same_file", "same_person", "sign_in_refused", "too_late", "too_many"),
    *("too_many_tries", "es", "not_checked", "not_finished"),
}


def run_examples(world: World) -> dict[str, Any]:
    """Carry out every example in order and return the answers by name."""
    with world.client.application.test_request_context():
        places = openapi.places()
    answers: dict[str, Any] = {}
    for name, example in EXAMPLES.items():
        method, path = places[name]
        taken = {
            what: answers[source.split(".")[0]][source.split(".")[1]]
            for what, source in example.get("take", {}).items()
        }
        url = reference.filled(path, {**example.get("path", {}), **taken})
        answer = world.client.open(
            f"{url}?{example['query']}" if "query" in example else url,
            method=method,
            data=sent(example),
            content_type="application/json" if "request" in example else None,
            headers={"Authorization": f"Bearer {world.key}"},
        )
        assert answer.status_code in {200, 201, 202}, (name, answer.text)
        answers[name] = answer.json if answer.is_json else answer.text
        answer.close()
        world.services.sealing.seal()
        if "file" in example:
            world.work()
            world.services.scrub_jobs.wait()
    return answers


def sent(example: dict[str, Any]) -> Any:
    if "file" not in example:
        return example.get("request")
    return {"file": (BytesIO(example["file"].encode()), reference.FILE_NAME), **example["fields"]}


def shape(value: Any) -> Any:
    """Return what a value looks like: names and types, lists by their first item."""
    if isinstance(value, dict):
        return {name: shape(one) for name, one in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


def page(world: World) -> str:
    answer = world.client.get("/v1/docs")
    assert answer.status_code == 200
    assert answer.mimetype == "text/html"
    return answer.text


def test_every_example_works_and_its_answer_is_what_is_shown(world: World) -> None:
    for name, answer in run_examples(world).items():
        shown = EXAMPLES[name]["answer"]
        if isinstance(answer, str):
            assert answer.split() == shown.split(), name
        else:
            assert shape(json.loads(shown)) == shape(answer), name


def test_every_endpoint_is_on_the_page_with_an_example() -> None:
    missing = ENDPOINTS.keys() - EXAMPLES.keys()
    placed = {name for section in reference.table()["section"] for name in section["endpoints"]}

    assert not missing, f"add an [[example]] to prefs/api/reference.toml for: {sorted(missing)}"
    assert placed == ENDPOINTS.keys(), "name each endpoint in one [[section]] of prefs/api/reference.toml"


def test_every_error_code_there_is_has_its_line() -> None:
    pattern = re.compile(r'\bcode ?= ?"(\w+)"|problem\(\d+, "(\w+)"')
    sources = [
        path for path in (ROOT / "prefs").rglob("*.py") if "client" not in path.parts and "cli" not in path.parts
    ]
    there = {next(filter(None, hit)) for path in sources for hit in pattern.findall(path.read_text())}
    missing = there - reference.table()["error"].keys() - NOT_OF_THE_API

    assert not missing, f"say in prefs/api/reference.toml what these mean and what to do: {sorted(missing)}"


def test_a_problem_leads_to_its_line(world: World) -> None:
    shown = page(world)

    for answer in (
        world.client.post("/v1/decisions", json={}),
        world.post("/v1/decisions", {"channel": "email"}),
        world.get("/v1/nothing-here"),
        world.client.put("/v1/decisions"),
    ):
        anchor = answer.json["type"].partition("#")[2]
        assert f'id="{anchor}"' in shown, anchor


def test_the_ladders_rules_are_named_as_the_api_names_them(world: World) -> None:
    shown = page(world)

    for step in world.decide(explain=True)["steps"]:
        assert f"<code>{step['rule']}</code>" in shown


def test_the_page_has_no_script_and_nothing_from_elsewhere(world: World) -> None:
    shown = page(world)

    assert "<script" not in shown
    assert not re.search(r' (?:on\w+|style)="', shown)
    assert all(url.startswith("/") for url in re.findall(r'(?:src|href)="([^"#][^"]*)"', shown))


def test_the_first_request_works_on_a_fresh_install(tmp_path: Path) -> None:
    """Exactly what the page shows is given to a shell."""
    import requests

    with running("sqlite", tmp_path) as service:
        shown = requests.get(f"{service.url}/v1/docs", timeout=10).text
        command = unescape(re.search(r'id="first"><code>(.*?)</code>', shown, re.DOTALL)[1])  # type: ignore[index]
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            ["sh", "-c", command], env={**service.environment, "PATH": path}, capture_output=True, text=True, timeout=60
        )

    assert json.loads(done.stdout)["allowed"] is True, done.stderr


@pytest.mark.parametrize("name", list(EXAMPLES))
def test_every_curl_of_the_page_is_one_line_of_shell(world: World, name: str) -> None:
    with world.client.application.test_request_context():
        lines = {
            line.endpoint.name: line for one in reference.sections(openapi.places(), "http://x") for line in one.lines
        }

    done = subprocess.run(["sh", "-nc", lines[name].curl or "("], capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    assert "{" not in (lines[name].curl or "").partition("-d")[0]


def test_fields_say_what_may_stand_there() -> None:
    with_fields = {
        name: {field.name: field for field in reference.fields_of(endpoint)} for name, endpoint in ENDPOINTS.items()
    }

    suppression = with_fields["add_suppression"]
    assert suppression["channel"].kind == "email, sms, voice, whatsapp, push, postal, any"
    assert suppression["channel"].required
    assert "complaint" in suppression["reason"].kind
    assert "quiet_hours" not in suppression["reason"].kind
    assert with_fields["add_suppressions"]["suppressions[].to"].kind == "text"
    assert with_fields["decide_batch"]["to"].kind == "list, up to 50,000"
    unexplained = {place for fields in with_fields.values() for place, field in fields.items() if not field.meaning}
    assert not unexplained, f"say in prefs/api/reference.toml what these are: {sorted(unexplained)}"


def test_the_table_is_read_once() -> None:
    assert tomllib.loads((ROOT / "prefs/api/reference.toml").read_text()) == reference.table()

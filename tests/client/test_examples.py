"""docs/client.md, run: its examples against the service as it is in production, and what it says of itself."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import pytest

from prefs.client import AsyncClient, Client, Patience, Unanswered
from prefs.services.keys import SCOPES
from tests.faults.service import Running, running

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs/client.md").read_text()


def example(heading: str, language: str = "python") -> str:
    """Return the first code of a section."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return section.partition(f"```{language}\n")[2].partition("```")[0]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running("sqlite", tmp_path_factory.mktemp("client")) as started:
        started.key = started.services().keys.create("client", SCOPES)
        yield started


@pytest.fixture
def environment(service: Running) -> dict[str, str]:
    return {"PREFS_URL": service.url, "PREFS_KEY": service.key}


def run(script: str, environment: dict[str, str]) -> str:
    command = [sys.executable, "-W", "error", "-c", script]
    done = subprocess.run(
        command, env={**os.environ, **environment}, cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_plain_script_prints_what_the_page_says(environment: dict[str, str]) -> None:
    printed = run(example("A plain script"), environment)

    assert printed == example("A plain script", "text")


def test_the_asynchronous_example_sends(environment: dict[str, str]) -> None:
    assert run(example("Asynchronous"), environment) == "sent\n"


@contextmanager
def task_of(environment: dict[str, str]) -> Iterator[Any]:
    """Yield the page's Celery task, carried out where it is called."""
    module = ModuleType("campaigns")
    with mock.patch.dict(os.environ, environment):
        exec(compile(example("Celery"), "campaigns", "exec"), module.__dict__)
    module.app.conf.task_always_eager = True
    yield module.send_offer
    module.guard.client.close()
    module.app.close()


def test_the_celery_task_sends_and_stays_silent_after_a_stop(environment: dict[str, str], service: Running) -> None:
    with task_of(environment) as task:
        before = task.delay("dora@example.com", "events").get()
        with Client(service.url, service.key) as client:
            client.suppress("email", "dora@example.com")
        after = task.delay("dora@example.com", "events").get()

    assert (before, after) == ("sent", "unsubscribed")


def test_the_celery_task_tries_again_and_gives_up_when_nobody_answers(environment: dict[str, str]) -> None:
    with task_of({**environment, "PREFS_URL": "http://127.0.0.1:9"}) as task:
        task.max_retries = 1
        with mock.patch("prefs.client.protocol.Patience.wait", return_value=None) as tries:
            result = task.delay("dora@example.com", "events").result

    assert isinstance(result, Unanswered)
    assert tries.call_count == 2


def test_the_page_names_every_operation_with_its_scope() -> None:
    rows = re.findall(r"^\| (`.+`) \| `(\w+)` \|$", PAGE, re.MULTILINE)
    named = {name for names, _ in rows for name in re.findall(r"`(\w+)`", names)}
    own = {name for name in vars(Client) if not name.startswith("_")} - {"carry_out", "close"}

    assert named == own == {name for name in vars(AsyncClient) if not name.startswith("_")} - {"carry_out", "aclose"}
    assert {scope for _, scope in rows} <= set(SCOPES)


def test_the_page_says_how_long_a_decision_may_take() -> None:
    assert f"{Patience().longest:g} seconds in\n  all" in PAGE


def test_the_production_server_keeps_the_clients_connection(service: Running) -> None:
    connect = mock.Mock(side_effect=socket.create_connection)

    with Client(service.url, service.key) as client, mock.patch("socket.create_connection", connect):
        for number in range(5):
            client.decide("email", f"p{number}@example.com", topic="events")

    assert connect.call_count == 1

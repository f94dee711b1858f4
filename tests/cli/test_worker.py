"""On PostgreSQL the worker is a program of its own, and a schema that is behind stops the server."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from prefs.storage import migrate
from tests.faults.service import running

pytestmark = pytest.mark.pg


def test_a_worker_beside_the_server_hands_over_what_is_queued(tmp_path: Path) -> None:
    with running("postgres", tmp_path / "live", durable=False) as service:
        key = service.services().keys.create("sender", ["send"])
        headers = {"Authorization": f"Bearer {key}"}
        body = {"channel": "email", "to": "ada@example.com", "topic": "activity", "subject": "S", "text": "T"}
        message = requests.post(f"{service.url}/v1/messages", json=body, headers=headers, timeout=10).json()
        worker = subprocess.Popen([sys.executable, "-m", "prefs", "worker"], env=service.environment)
        try:
            status = _until_sent(f"{service.url}/v1/messages/{message['id']}", headers)
        finally:
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(timeout=20) == 0

    assert (message["status"], status) == ("queued", "sent")


def _until_sent(url: str, headers: dict[str, str]) -> str:
    status = "queued"
    end = time.monotonic() + 20
    while status != "sent" and time.monotonic() < end:
        status = requests.get(url, headers=headers, timeout=10).json()["status"]
        time.sleep(0.1)  # another process does the work
    return status


def test_the_server_refuses_a_postgresql_whose_schema_is_behind(tmp_path: Path) -> None:
    with running("postgres", tmp_path / "live", durable=False) as service:
        service.kill()
        migrate.downgrade(service.environment["DATABASE_URL"])
        command = [sys.executable, "-m", "prefs", "serve", "--port", str(service.port)]

        done = subprocess.run(command, env=service.environment, capture_output=True, text=True, check=False, timeout=30)

        migrate.upgrade(service.environment["DATABASE_URL"])
        service.start()
    assert done.returncode == 2
    assert "prefs db upgrade" in done.stderr

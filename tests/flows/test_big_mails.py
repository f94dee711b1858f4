"""Four mails of 30 MB at once: the server's memory grows by 64 MB at most (issue "everything email")."""

import os
import threading
from pathlib import Path

import pytest
import requests
from urllib3 import encode_multipart_formdata

from tests.faults.service import running

MB = 1024 * 1024


def memory(process_group: int, field: str) -> int:
    """Return what a server's processes hold, in MB; ``VmHWM`` is the most they ever held."""
    total = 0
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            if os.getpgid(int(status.parent.name)) == process_group:
                text = status.read_text()
                total += int(text.partition(f"{field}:")[2].split()[0]) if f"{field}:" in text else 0
        except (ProcessLookupError, FileNotFoundError):
            continue
    return total // 1024


@pytest.mark.parametrize("mode", ["parsed", "raw"])
def test_four_mails_of_thirty_megabytes_at_once(tmp_path: Path, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENDGRID_INBOUND_SECRET", "pw")
    fields = {"envelope": '{"to":["privacy@u.northwind.example"],"from":"ada@example.com"}', "from": "ada@example.com"}
    if mode == "raw":
        fields["email"] = b"From: ada@example.com\r\nSubject: scan\r\n\r\n" + b"x" * 30 * MB  # type: ignore[assignment]
    else:
        fields |= {"text": "Hello.", "attachment1": ("scan.pdf", b"x" * 30 * MB, "application/pdf")}  # type: ignore[dict-item]
    body, kind = encode_multipart_formdata(fields)
    with running("sqlite", tmp_path) as service:
        assert service.process is not None
        url = f"{service.url}/webhooks/sendgrid/inbound"
        requests.post(url, data=b"", headers={"Content-Type": kind}, auth=("x", "pw"), timeout=20)
        before = memory(service.process.pid, "VmHWM")
        answers: list[int] = []

        def send() -> None:
            answer = requests.post(url, data=body, headers={"Content-Type": kind}, auth=("x", "pw"), timeout=60)
            answers.append(answer.status_code)

        threads = [threading.Thread(target=send) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        grown = memory(service.process.pid, "VmHWM") - before

    assert answers == [200] * 4
    assert grown <= 64

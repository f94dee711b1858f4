"""``/metrics``: what it counts, who may read it, and that it tells of every process (contract D33)."""

import json
import logging
from collections.abc import Callable

import pytest

from prefs import logs
from tests.make import ADA, World


def numbers(text: str) -> dict[str, float]:
    lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


def test_decisions_opt_outs_webhooks_and_durations_are_counted(world: World) -> None:
    world.client.post(world.link())
    world.decide()
    world.decide(to="ben@example.com")
    world.text("STOP")
    world.services.upkeep.run_once()

    found = numbers(world.client.get("/metrics").text)

    blocked = '{channel="email",outcome="blocked",reason="unsubscribed",topic="product-offers"}'
    assert found[f"prefs_decisions_total{blocked}"] == 1
    stopped = '{act="opt_out",channel="email",reason="unsubscribed",source="one_click"}'
    assert found[f"prefs_ledger_entries_total{stopped}"] == 1
    assert found['prefs_webhooks_total{status="200",webhook="twilio/messages"}'] == 1
    assert found['prefs_request_seconds_count{method="POST",route="/v1/decisions",status="200"}'] == 2
    assert found['prefs_request_seconds_bucket{le="+Inf",method="POST",route="/u/<token>",status="200"}'] == 1
    assert found["prefs_journal_waiting"] == 0


def test_no_number_names_a_person_or_a_token(world: World) -> None:
    link = world.link()
    world.client.get(link)
    world.client.get(f"/{ADA}")
    world.client.open("/healthz", method=f"X{'Y' * 50}")

    shown = world.client.get("/metrics").text

    assert ADA not in shown
    assert link.rpartition("/")[2] not in shown
    assert "XYYY" not in shown


def test_other_processes_numbers_are_added_and_the_dead_ones_go_at_a_fresh_start(world: World) -> None:
    world.decide()
    world.client.get("/metrics")
    folder = world.services.metrics.folder
    own = next(folder.glob("*.json"))
    (folder / "999999999.json").write_text(own.read_text())
    name = 'prefs_request_seconds_count{method="POST",route="/v1/decisions",status="200"}'
    assert numbers(world.client.get("/metrics").text)[name] == 2

    world.services.metrics.forget_the_dead()

    assert numbers(world.client.get("/metrics").text)[name] == 1


def test_in_production_metrics_need_a_key_that_may_read(build_world: Callable[..., World]) -> None:
    world = build_world(
        PREFS_ENV="production",
        PREFS_BASE_URL="https://prefs.example.org",
        PREFS_SMS_TRANSPORT="twilio",
        TWILIO_MARKETING_MESSAGING_SERVICE_SID="MG1",
        TWILIO_TRANSACTIONAL_MESSAGING_SERVICE_SID="MG2",
        PREFS_EMAIL_TRANSPORT="smtp",
        SMTP_URL="smtp://localhost:25",
        PREFS_ORG_NAME="Northwind",
        PREFS_ORG_POSTAL_ADDRESS="1 Main Street",
        PREFS_ORG_PHONE="555 0100",
        PREFS_PRIVACY_EMAIL="privacy@northwind.example",
        PREFS_PRIVACY_NOTICE_URL="https://northwind.example/privacy",
        PREFS_INBOUND_MAIL_DOMAIN="u.northwind.example",
    )
    narrow, reader = (world.services.keys.create("m", [scope]) for scope in ("decide", "read"))
    host = {"Host": "prefs.example.org"}

    statuses = [
        world.client.get(
            "/metrics", headers={**host, **({"Authorization": f"Bearer {key}"} if key else {})}
        ).status_code
        for key in (None, narrow, reader)
    ]

    assert statuses == [401, 403, 200]


def test_each_request_is_one_line_with_its_route_and_never_its_path(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    link = world.link()
    root = logging.getLogger()
    before = root.handlers[:], root.level
    logs.configure("json")
    try:
        world.client.get(link)
        world.decide()
    finally:
        root.handlers[:], root.level = before[0], before[1]
        logs._request_lines = None
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines() if '"event":"request"' in line]

    assert [(one["method"], one["route"], one["status"]) for one in lines] == [
        ("GET", "/u/<token>", 200),
        ("POST", "/v1/decisions", 200),
    ]
    assert all(one["request_id"] and one["ms"] >= 0 and one["timestamp"].endswith("Z") for one in lines)

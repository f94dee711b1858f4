"""The gate in front of a send: only a verified yes opens it for marketing, only a no shuts it for a receipt."""

import logging
import pickle
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from prefs.client import (
    Blocked,
    Clearance,
    Client,
    ClientError,
    Decision,
    Deferred,
    Forbidden,
    Guard,
    Invalid,
    OddAnswer,
    Patience,
    Problem,
    Refused,
    Request,
    Response,
    ServerFailed,
    Unanswered,
    Unauthorized,
    Unavailable,
)
from prefs.client import errors as tree
from prefs.client.reading import Fields
from tests.client.asking import KEY, QUICK, clear, sendable
from tests.double.hostile import (
    Behaviour,
    Hostile,
    answer,
    cut,
    decision,
    echo_decision,
    flood,
    hang,
    problem,
    trickle,
)
from tests.make import ADA

DOWN = [
    pytest.param(cut(), id="cut"),
    pytest.param(hang(), id="silence"),
    pytest.param(trickle(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100), id="byte by byte"),
    pytest.param(answer("oops", 500, "text/html"), id="500"),
    pytest.param(problem(503, "unavailable", Retry_After="10"), id="503"),
    pytest.param(problem(429, "too_many_requests", Retry_After="60"), id="429"),
    pytest.param(answer("", 302, Location="/"), id="redirect"),
    pytest.param(answer("<html>", kind="text/html"), id="html"),
    pytest.param(answer("[]"), id="odd JSON"),
    pytest.param(flood(8 * 1024 * 1024), id="without end"),
    pytest.param(answer("no such page", 404, "text/plain"), id="somebody else's 404"),
    pytest.param(echo_decision(to="ben@example.com"), id="about somebody else"),
    *(
        pytest.param(echo_decision(allowed=value), id=f"allowed is {value!r}")
        for value in ("true", 1, "yes", None, [True], ...)
    ),
]
ONCE = Patience(connect=0.3, answer=0.4, attempts=1)


@pytest.mark.parametrize("behaviour", DOWN)
def test_every_failure_means_do_not_send_an_offer(hostile: Hostile, kind: str, behaviour: Behaviour) -> None:
    hostile.will(behaviour)

    with pytest.raises(Unanswered) as caught:
        clear(kind, hostile.url, "marketing", ADA, "events", patience=ONCE)

    assert isinstance(caught.value.__cause__, ClientError)
    assert caught.value.reason == "unavailable"
    assert ADA not in str(caught.value)


@pytest.mark.parametrize("behaviour", DOWN)
def test_a_receipt_passes_unverified_while_the_service_is_down(
    hostile: Hostile, kind: str, behaviour: Behaviour, caplog: pytest.LogCaptureFixture
) -> None:
    hostile.will(behaviour)

    with caplog.at_level(logging.WARNING, "prefs.client"):
        clearance = clear(kind, hostile.url, "transactional", ADA, "account", patience=ONCE)

    assert clearance == Clearance(verified=False, decision=None)
    assert [record.message for record in caplog.records] == ["send_unverified"]
    assert ADA not in caplog.text


def test_no_server_at_all_stops_offers_and_not_receipts(kind: str) -> None:
    with pytest.raises(Unanswered):
        clear(kind, "http://127.0.0.1:9", "marketing", ADA, "events", patience=ONCE)

    assert clear(kind, "http://127.0.0.1:9", "transactional", ADA, patience=ONCE).verified is False


def test_a_yes_that_nobody_verified_is_no_leave_for_an_offer(hostile: Hostile, kind: str) -> None:
    hostile.will(echo_decision(verified=False, reason="unavailable"))

    with pytest.raises(Unanswered):
        clear(kind, hostile.url, "marketing", ADA, "events")

    assert clear(kind, hostile.url, "transactional", ADA, "account").verified is False


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [(401, "unauthorized", Unauthorized), (403, "forbidden", Forbidden), (422, "unknown_topic", Invalid)],
)
def test_a_wrong_question_stops_both_and_is_loud_for_a_receipt(
    hostile: Hostile, kind: str, status: int, code: str, error: type[Exception]
) -> None:
    hostile.will(problem(status, code))

    with pytest.raises(Unanswered) as caught:
        clear(kind, hostile.url, "marketing", ADA, "events")
    with pytest.raises(error):
        clear(kind, hostile.url, "transactional", ADA, "account")

    assert isinstance(caught.value.__cause__, error)


def test_a_deferred_offer_says_from_when(hostile: Hostile, kind: str) -> None:
    later = "2026-11-25T08:00:00Z"
    hostile.will(echo_decision(allowed=False, outcome="deferred", reason="quiet_hours", not_before=later))

    with pytest.raises(Deferred) as caught:
        clear(kind, hostile.url, "marketing", ADA, "events")

    assert caught.value.not_before == datetime(2026, 11, 25, 8, tzinfo=UTC)
    assert caught.value.reason == "quiet_hours"


def test_a_blocked_receipt_names_another_way(hostile: Hostile, kind: str) -> None:
    hostile.will(echo_decision(allowed=False, outcome="blocked", reason="revoked_in_reply", alternative="email"))

    with pytest.raises(Blocked) as caught:
        clear(kind, hostile.url, "transactional", "+14155550123", "account", channel="sms")

    assert caught.value.decision is not None
    assert caught.value.decision.alternative == "email"


def test_the_class_is_always_part_of_the_question(hostile: Hostile, kind: str) -> None:
    clear(kind, hostile.url, "marketing", ADA, "events", brand="north", country="DE")
    clear(kind, hostile.url, "transactional", ADA)

    offer, receipt = (asked.json() for asked in hostile.asked)
    assert offer == {
        "channel": "email",
        "to": ADA,
        "topic": "events",
        "message_class": "marketing",
        "brand": "north",
        "country": "DE",
    }
    assert receipt == {"channel": "email", "to": ADA, "message_class": "transactional"}


def test_what_goes_wrong_inside_the_block_is_the_callers_own(hostile: Hostile) -> None:
    with Client(hostile.url, KEY, patience=QUICK) as client:
        guard = Guard(client)

        with pytest.raises(OddAnswer), guard.marketing(ADA, "events"):
            raise OddAnswer("from the mailer")
        with pytest.raises(Unavailable), guard.transactional(ADA, "account"):
            raise Unavailable("from the mailer")


def test_the_block_never_runs_without_leave(hostile: Hostile) -> None:
    ran = []

    with Client(hostile.url, KEY, patience=ONCE) as client:
        for behaviour in (cut(), echo_decision(allowed=False, outcome="blocked", reason="complaint")):
            hostile.will(behaviour)
            with pytest.raises(tree.DoNotSend), Guard(client).marketing(ADA, "events"):
                ran.append(behaviour)

    assert ran == []


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([{"to": ADA, "allowed": "true", "outcome": "allowed", "reason": None}], id="allowed is a text"),
        pytest.param([{"to": ADA, "allowed": True, "outcome": "blocked", "reason": None}], id="at odds with itself"),
        pytest.param([], id="nobody"),
    ],
)
def test_a_list_with_one_odd_line_lets_nobody_through(hostile: Hostile, kind: str, lines: list[Any]) -> None:
    counts = {"allowed": 1, "blocked": 0, "deferred": 0}
    hostile.will(answer({"ledger_position": 1, "counts": counts, "decisions": lines}))

    with pytest.raises(Unanswered):
        sendable(kind, hostile.url, [ADA], "events")


def test_a_list_lets_through_only_whom_somebody_verified(hostile: Hostile, kind: str) -> None:
    lines = [
        {"to": "a@example.com", "allowed": True, "outcome": "allowed", "reason": None},
        {"to": "b@example.com", "allowed": True, "outcome": "allowed", "reason": None, "verified": False},
        {"to": "c@example.com", "allowed": False, "outcome": "blocked", "reason": "complaint"},
    ]
    counts = {"allowed": 2, "blocked": 1, "deferred": 0}
    hostile.will(answer({"ledger_position": 1, "counts": counts, "decisions": lines}))

    assert sendable(kind, hostile.url, [line["to"] for line in lines], "events") == ["a@example.com"]


def test_a_bug_in_what_a_test_plugs_in_is_no_leave_either() -> None:
    def broken(_: Request) -> Response:
        raise ZeroDivisionError

    guard = Guard(Client("http://127.0.0.1", KEY, send=broken))

    with pytest.raises(Unanswered), guard.marketing(ADA, "events"):
        pytest.fail("ran")


def test_a_caller_tests_its_own_code_without_a_network() -> None:
    def says_no(request: Request) -> Response:
        assert request.path == "/v1/decisions"
        return Response(404, {"content-type": "application/problem+json"}, b'{"code":"not_found"}')

    guard = Guard(Client("http://127.0.0.1", KEY, send=says_no))

    with pytest.raises(Refused) as caught, guard.transactional(ADA, "account"):
        pytest.fail("ran")

    assert caught.value.problem == Problem(404, "not_found")


def every_error() -> list[type[ClientError]]:
    found, waiting = [], [ClientError]
    while waiting:
        kind = waiting.pop()
        found.append(kind)
        waiting += kind.__subclasses__()
    return found


@pytest.mark.parametrize("error", every_error(), ids=lambda error: error.__name__)
def test_every_error_survives_the_way_through_a_task_queue(error: type[ClientError]) -> None:
    made = error("A sentence.")
    asked = {"channel": "email", "to": ADA, "topic": "events"}
    for name, value in {
        "problem": Problem(503, "unavailable", request_id="r"),
        "retry_after": 3.0,
        "reason": "complaint",
        "decision": Decision.read(Fields(decision(asked))),
        "not_before": datetime(2026, 11, 25, tzinfo=UTC),
    }.items():
        if hasattr(made, name):
            setattr(made, name, value)

    again = pickle.loads(pickle.dumps(made))

    assert type(again) is error
    assert (str(again), vars(again)) == (str(made), vars(made))


def test_the_tree_that_is_drawn_is_the_tree_there_is() -> None:
    assert tree.__doc__ is not None
    drawn = set(re.findall(r"── (\w+)", tree.__doc__))

    assert drawn | {"ClientError"} == {kind.__name__ for kind in every_error()}


def test_nothing_that_is_printed_shows_an_address_or_the_key(hostile: Hostile) -> None:
    with Client(hostile.url, KEY) as client:
        found = client.decide("email", ADA, topic="events")

        assert ADA not in repr(found)
        assert KEY not in repr(client) + repr(vars(client))


def test_server_failures_keep_the_status(hostile: Hostile, kind: str) -> None:
    hostile.will(answer("bad gateway", 502, "text/html"))

    with pytest.raises(Unanswered) as caught:
        clear(kind, hostile.url, "marketing", ADA, "events", patience=ONCE)

    cause = caught.value.__cause__
    assert isinstance(cause, ServerFailed)
    assert cause.problem is not None
    assert cause.problem.status == 502

"""One question, a batch and lines: the same answers (contract section 6, D28)."""

import json
import random
from typing import Any

import pytest

from prefs.api import batches
from tests.make import World

LINES = "application/x-ndjson"
PEOPLE = [f"p{number}@example.com" for number in range(24)]
NUMBERS = [f"+1415555{number:04}" for number in range(12)] + ["+525512345678", "+5491123456789"]
ODD = [
    "",
    "nobody",
    "ÅSA@Example.COM",
    " p1@example.com ",
    '"john doe"@example.com',
    'x"y@example.com',
    "P2@EXAMPLE.com",
]
REASONS = ["unsubscribed", "complaint", "hard_bounce", "do_not_contact", "snoozed", "objection", "provider_block"]


def send_lines(world: World, question: dict[str, Any], lines: list[str]) -> list[Any]:
    body = "\n".join([json.dumps(question), *lines]).encode()
    headers = {"Authorization": f"Bearer {world.key}", "Content-Type": LINES}
    answer = world.client.post("/v1/decisions/batch", data=body, headers=headers)
    assert (answer.status_code, answer.mimetype) == (200, LINES), answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


def something_happens(world: World, chance: random.Random) -> None:
    """Put random facts on record: stops of every reach, consents, bad addresses, contacts with a country."""
    for step in range(40):
        channel, to = chance.choice([("email", chance.choice(PEOPLE)), ("sms", chance.choice(NUMBERS))])
        reason = chance.choice(REASONS)
        until = {"until": "2026-12-24T00:00:00Z"} if reason == "snoozed" else {}
        scope = chance.choice(["all", "all", "topic:product-offers", "topic:events", "brand:default"])
        wish = {
            "channel": chance.choice([channel, channel, "any"]),
            "to": to,
            "reason": reason,
            "scope": scope,
            **until,
        }
        world.clock.forward(seconds=chance.choice([0, 1, 60]))
        if step % 3:
            world.post("/v1/suppressions", wish)
        else:
            topic = chance.choice(["product-offers", "events"])
            occurred = {"occurred_at": world.clock().isoformat().replace("+00:00", "Z")}
            world.consent(channel, to, topic, **chance.choice([{}, occurred]))
    for name, country in (("a", "DE"), ("b", "US"), ("c", "CA")):
        world.know(("email", chance.choice(PEOPLE)), contact=name, country=country)


@pytest.mark.parametrize("seed", range(3))
def test_a_question_a_batch_and_lines_are_answered_alike(world: World, seed: int) -> None:
    chance = random.Random(seed)
    something_happens(world, chance)

    for channel, people in (("email", PEOPLE + ODD), ("sms", NUMBERS + ODD), ("voice", NUMBERS)):
        for kind in ({"topic": "product-offers"}, {"topic": "events"}, {"message_class": "transactional"}):
            question = {"channel": channel, **kind, **chance.choice([{}, {"country": "DE"}])}
            single = [_shown(world.post("/v1/decisions", {**question, "to": to}).json) for to in people]
            batch = world.post("/v1/decisions/batch", {**question, "to": people}).json
            lines = send_lines(world, question, [json.dumps({"to": to}) for to in people])

            assert [_shown(one) for one in batch["decisions"]] == single
            assert [_shown(one) for one in lines[:-1]] == single
            assert lines[-1] == {"summary": {key: batch[key] for key in ("ledger_position", "counts")}}
            assert len({one[1:] for one in single}) > 1 or channel == "voice"


def _shown(answer: Any) -> tuple[Any, ...]:
    return (answer["to"], answer["allowed"], answer["outcome"], answer["reason"], answer.get("verified", True))


def test_a_line_is_an_address_a_json_text_or_an_object_and_blank_lines_are_none(world: World) -> None:
    world.client.post(world.link(PEOPLE[0]))
    given = [
        PEOPLE[0],
        "",
        f'"{PEOPLE[0]}"',
        json.dumps({"to": PEOPLE[0]}),
        "  ",
        '"john doe"@example.com',
        "{broken",
        "7",
    ]

    answers = send_lines(world, {"channel": "email", "topic": "product-offers"}, given)

    assert [(one["to"], one["reason"]) for one in answers[:-1]] == [
        (PEOPLE[0], "unsubscribed"), (PEOPLE[0], "unsubscribed"), (PEOPLE[0], "unsubscribed"),
        ('"john doe"@example.com', None), ("{broken", "invalid_address"), ("7", "invalid_address"),
    ]  # fmt: skip


def test_lines_have_no_limit_of_number_and_each_ten_thousand_are_one_snapshot(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.client.post(world.link(PEOPLE[0]))
    monkeypatch.setattr(batches, "LINES_AT_ONCE", 1_000)

    answers = send_lines(world, {"channel": "email", "topic": "product-offers"}, PEOPLE[:10] * 250)

    assert len(answers) == 2_501
    assert answers[-1]["summary"]["counts"] == {"allowed": 2_250, "blocked": 250, "deferred": 0}


def test_lines_can_be_trimmed_to_what_is_blocked(world: World) -> None:
    world.client.post(world.link(PEOPLE[0]))

    answers = send_lines(world, {"channel": "email", "topic": "product-offers", "only": "blocked"}, PEOPLE[:3])

    assert [one["to"] for one in answers[:-1]] == [PEOPLE[0]]
    assert answers[-1]["summary"]["counts"]["allowed"] == 2


def test_a_line_too_long_to_be_an_address_is_answered_and_does_not_fill_the_memory(world: World) -> None:
    answers = send_lines(world, {"channel": "email", "topic": "product-offers"}, ["x" * 300_000, PEOPLE[0]])

    assert len(answers[0]["to"]) <= batches.LONGEST_LINE
    assert [one["reason"] for one in answers[:-1]] == ["invalid_address", None]


@pytest.mark.parametrize(
    ("first", "status"),
    [
        pytest.param(b"", 400, id="nothing"),
        pytest.param(b"ada@example.com\n", 400, id="no question"),
        pytest.param(b'{"channel": "email"}\nada@example.com', 422, id="no topic"),
        pytest.param(b'{"channel": "email", "topic": "nope"}\nada@example.com', 422, id="unknown topic"),
        pytest.param(b'{"channel": "email", "topic": "events", "to": []}\n', 422, id="a question with addresses"),
        pytest.param(b"x" * 100_000, 400, id="a first line without end"),
    ],
)
def test_a_first_line_that_is_no_question_is_refused_before_any_answer(world: World, first: bytes, status: int) -> None:
    headers = {"Authorization": f"Bearer {world.key}", "Content-Type": LINES}

    answer = world.client.post("/v1/decisions/batch", data=first, headers=headers)

    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")


def test_lines_need_a_key_with_the_scope(world: World) -> None:
    key = world.services.keys.create("narrow", ["read"])
    for header, status in (({}, 401), ({"Authorization": f"Bearer {key}"}, 403)):
        answer = world.client.post("/v1/decisions/batch", data=b"{}", headers={**header, "Content-Type": LINES})
        assert answer.status_code == status


def test_with_the_store_away_lines_are_answered_unavailable(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from prefs.errors import StoreUnavailable

    world.decide()

    def away(*_questions: object) -> None:
        raise StoreUnavailable("away")

    monkeypatch.setattr("prefs.storage.readers.Readers.ask", away)
    answers = send_lines(world, {"channel": "email", "topic": "product-offers"}, [PEOPLE[0], "nobody"])

    assert [one["reason"] for one in answers[:-1]] == ["unavailable", "invalid_address"]


def test_lines_may_be_longer_than_any_body(world: World) -> None:
    answers = send_lines(world, {"channel": "email", "topic": "product-offers", "only": "blocked"}, PEOPLE * 3_000)

    assert answers == [{"summary": {"ledger_position": 0, "counts": {"allowed": 72_000, "blocked": 0, "deferred": 0}}}]

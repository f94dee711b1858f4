"""``GET /v1/suppressions`` over everybody: what stands, newest first, in parts."""

from typing import Any

import pytest

from tests.make import ADA, BEN, World


def listed(world: World, **query: Any) -> Any:
    answer = world.client.get("/v1/suppressions", query_string=query, headers={"Authorization": f"Bearer {world.key}"})
    assert answer.status_code == 200, answer.text
    return answer.json


def add(world: World, to: str = ADA, channel: str = "email", **more: Any) -> Any:
    answer = world.post("/v1/suppressions", {"channel": channel, "to": to, **more})
    assert answer.status_code == 201, answer.text
    return answer.json


def test_everybodys_stops_are_listed_newest_first(world: World) -> None:
    first, second = add(world), add(world, BEN, "sms", reason="complaint")

    assert listed(world) == {"data": [second, first], "next": None}


def test_parts_follow_one_another_without_gap_or_repeat(world: World) -> None:
    made = [add(world, f"p{number}@example.com")["id"] for number in range(5)]
    seen: list[str] = []
    after: dict[str, str] = {}

    while True:
        part = listed(world, limit=2, **after)
        seen += [one["id"] for one in part["data"]]
        if part["next"] is None:
            break
        after = {"after": part["next"]}

    assert seen == made[::-1]


def test_a_part_that_just_holds_the_rest_is_the_last(world: World) -> None:
    for number in range(2):
        add(world, f"p{number}@example.com")

    assert listed(world, limit=2)["next"] is None


def test_what_was_lifted_or_let_in_again_is_passed_over(world: World) -> None:
    gone = [add(world, f"p{number}@example.com")["id"] for number in range(5)]
    kept = add(world)
    for one in gone:
        world.post(f"/v1/suppressions/{one}/lift", {"source": "letter", "evidence": "Letter of 3 May"})
    topic = add(world, BEN, "sms", scope="topic:events")
    world.clock.forward(minutes=5)
    agreed = world.clock.at.isoformat()
    world.clock.forward(minutes=5)
    assert world.consent(occurred_at=agreed).status_code == 201

    found = listed(world, limit=1)

    assert [one["id"] for one in found["data"]] == [kept["id"]]
    assert found["next"] is None
    assert topic["id"] not in str(listed(world))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"channel": "email"}, ["topic", "mail"]),
        ({"channel": "sms"}, ["any", "text"]),
        ({"channel": "postal"}, []),
        ({"reason": "complaint"}, ["text"]),
        ({"scope": "topic:events"}, ["topic"]),
        ({"scope": "all", "reason": "unsubscribed"}, ["any", "mail"]),
    ],
)
def test_filters_narrow_the_list(world: World, query: dict[str, str], expected: list[str]) -> None:
    made = {
        "mail": add(world),
        "text": add(world, BEN, "sms", reason="complaint"),
        "any": add(world, "+14155550199", "any"),
        "topic": add(world, "cleo@example.com", scope="topic:events"),
    }

    assert [one["id"] for one in listed(world, **query)["data"]] == [made[name]["id"] for name in expected]


def test_a_contacts_own_stop_is_one_line_that_names_the_contact(world: World) -> None:
    world.know(("email", ADA), ("sms", BEN))
    made = world.post("/v1/suppressions", {"channel": "any", "contact": "ada"}).json

    (found,) = listed(world, channel="email")["data"]

    assert (found["id"], found["contact"], found["to"]) == (made["id"], "ada", None)


def test_the_list_of_one_address_comes_in_parts_too(world: World) -> None:
    older, newer = add(world, scope="topic:events"), add(world)

    first = listed(world, channel="email", to=ADA, limit=1)
    rest = listed(world, channel="email", to=ADA, limit=1, after=first["next"])

    assert [one["id"] for one in first["data"]] == [newer["id"]]
    assert [one["id"] for one in rest["data"]] == [older["id"]]
    assert rest["next"] is None


def test_a_bad_address_is_in_no_list(world: World) -> None:  # contract D13
    add(world, reason="hard_bounce")

    assert listed(world)["data"] == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"to": ADA}, "channel"),
        ({"channel": "fax"}, "channel"),
        ({"reason": "quiet_hours"}, "reason"),
        ({"scope": "topic:no-such"}, "scope"),
        ({"limit": "0"}, "limit"),
        ({"limit": "1001"}, "limit"),
        ({"after": "17"}, "after"),
        ({"after": "sup_x"}, "after"),
        ({"reasons": "complaint"}, "reasons"),
    ],
)
def test_a_filter_that_cannot_be_is_named(world: World, query: dict[str, str], field: str) -> None:
    headers = {"Authorization": f"Bearer {world.key}"}
    answer = world.client.get("/v1/suppressions", query_string=query, headers=headers)

    assert answer.status_code == 422
    assert answer.json["errors"][0]["field"] == field


def test_the_number_of_queries_does_not_grow_with_the_list(world: World) -> None:
    from sqlalchemy import event

    counted: list[int] = []
    event.listen(world.services.kit.store.engine, "before_cursor_execute", lambda *_: counted.append(1))

    def queries(number: int) -> int:
        for place in range(number):
            add(world, f"n{number}-{place}@example.com")
        listed(world)  # the key and the catalogue are known from here on
        counted.clear()
        listed(world)
        return len(counted)

    assert queries(1) == queries(20) > 0

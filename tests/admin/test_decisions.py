"""Decisions: our gateway's messages with the rule that decided, and any decision id worked out again (ux.md A6)."""

import re

import pytest

from prefs.domain.references import message_reference
from prefs.domain.roles import Role
from tests.make import ADA, World
from tests.staff import staff

MAIL = {"channel": "email", "to": ADA, "topic": "product-offers", "subject": "Spring", "text": "Hello"}


def send(world: World, **more: str) -> str:
    answer = world.post("/v1/messages", {**MAIL, **more})
    assert answer.status_code == 202, answer.text
    return message_reference(answer.json["id"])


def listed(page: str) -> list[str]:
    return re.findall(r'<a href="/admin/decisions/(DE-[0-9A-F]+)[^"]*#decision"', page)


def test_messages_are_listed_newest_first_with_the_deciding_rule(world: World) -> None:
    world.know()
    sent = send(world, campaign="Spring reminder")
    world.post("/v1/suppressions", {"channel": "email", "to": ADA})
    world.clock.forward(seconds=1)
    blocked = send(world)

    page = staff(world, Role.MARKETING).page("/admin/decisions")

    assert listed(page) == [blocked, sent]
    assert "Spring reminder" in page
    assert "Opted out" in page
    assert "Blocked" in page
    assert ADA not in page
    assert "a••@example.com" in page


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param({"person": ADA}, ["first", "second"], id="person"),
        pytest.param({"person": "nobody@example.com"}, [], id="nobody"),
        pytest.param({"campaign": "Spring"}, ["first"], id="campaign"),
        pytest.param({"campaign": "Spr%"}, [], id="a wildcard is a letter (V19)"),
        pytest.param({"channel": "sms"}, [], id="channel"),
        pytest.param({"outcome": "blocked"}, ["third"], id="blocked"),
        pytest.param({"outcome": "allowed", "channel": "email"}, ["first", "second"], id="allowed"),
        pytest.param({"time": "hour"}, ["second", "third"], id="time"),
    ],
)
def test_filters_leave_out_what_does_not_match(world: World, query: dict[str, str], expected: list[str]) -> None:
    world.know()
    made = {"first": send(world, campaign="Spring")}
    world.clock.forward(hours=2)
    made["second"] = send(world)
    world.post("/v1/suppressions", {"channel": "email", "to": "ben@example.com"})
    made["third"] = send(world, to="ben@example.com")

    page = staff(world, Role.PRIVACY).page("/admin/decisions", **query)

    assert sorted(listed(page)) == sorted(made[name] for name in expected)
    assert expected or "No decisions match." in page


def test_pages_go_older_and_newer_even_within_one_moment(world: World) -> None:
    made = {send(world, to=f"p{one}@example.com") for one in range(70)}
    privacy = staff(world, Role.PRIVACY)

    first = privacy.page("/admin/decisions", outcome="allowed")
    older_url = re.search(r'rel="next" href="([^"]+)"', first)[1].replace("&amp;", "&")  # type: ignore[index]
    older = privacy.page(older_url)
    newer_url = re.search(r'rel="prev" href="([^"]+)"', older)[1].replace("&amp;", "&")  # type: ignore[index]

    assert (len(listed(first)), len(listed(older))) == (50, 20)
    assert set(listed(first)) | set(listed(older)) == made
    assert listed(privacy.page(newer_url)) == listed(first)


def test_the_chosen_row_shows_the_ladder_beside_the_list(world: World) -> None:
    world.know()
    world.post("/v1/suppressions", {"channel": "email", "to": ADA, "source": "letter"})
    reference = send(world)

    page = staff(world, Role.PRIVACY).page(f"/admin/decisions/{reference}", outcome="blocked")

    assert listed(page) == [reference]
    assert "Blocked: opted out of the channel" in page
    assert "Opted out of this channel?" in page
    assert "Yes, block" in page
    assert "Our gateway" in page
    assert world.services.decisions.policy_version() in page


def test_what_is_shown_is_the_decision_at_hand_over_not_the_first(world: World) -> None:
    """A message queued before the stop is blocked by the worker; its row shows that decision."""
    world.know()
    reference = send(world)
    world.post("/v1/suppressions", {"channel": "email", "to": ADA})
    world.work()

    page = staff(world, Role.PRIVACY).page(f"/admin/decisions/{reference}")

    assert "Blocked: opted out of the channel" in page


def test_a_decision_is_worked_out_again_as_of_then(world: World) -> None:
    world.know()
    receipt = world.decide()["id"]
    world.post("/v1/suppressions", {"channel": "email", "to": ADA})
    privacy = staff(world, Role.PRIVACY)

    page = privacy.page(privacy.get("/admin/decisions", id=f" {receipt} ").location)

    assert "Allowed: no rule blocked it" in page
    assert "As of what was on record when it was asked." in page


def test_an_id_of_ours_is_needed(world: World) -> None:
    privacy = staff(world, Role.PRIVACY)
    receipt = world.decide()["id"]

    cut_off = privacy.get(f"/admin/decisions/{receipt[:-4]}")
    not_one = privacy.get("/admin/decisions", id="NW-1")

    assert cut_off.status_code == 404
    assert "This is no decision of ours" in cut_off.text
    assert not_one.status_code == 422
    assert "A decision id begins with dec_." in not_one.text


@pytest.mark.parametrize("reference", ["DE-000000000000000000000000", "DE-1", "msg_x", "x"])
def test_a_message_that_did_not_leave_through_us_is_said_to_be_none(world: World, reference: str) -> None:
    answer = staff(world, Role.PRIVACY).get(f"/admin/decisions/{reference}")

    assert answer.status_code == 404
    assert "This did not leave through us. If another system sent it, ask it for the decision id." in answer.text


def test_an_empty_list_says_so(world: World) -> None:
    assert "No message went through us in the last 7 days." in staff(world, Role.PRIVACY).page("/admin/decisions")


def test_questions_of_other_systems_are_counted_for_the_day(world: World) -> None:
    world.know()
    world.decide()
    world.services.upkeep.run_once()

    page = staff(world, Role.PRIVACY).page("/admin/decisions")

    assert "Asked today by every system: 1 allowed, 0 blocked" in page


@pytest.mark.parametrize("place", ["x", "1", "99999999999999999999.msg_x", "1.' OR 1=1 --", "."])
def test_a_made_up_place_in_the_list_is_harmless(world: World, place: str) -> None:
    send(world)

    assert staff(world, Role.PRIVACY).get("/admin/decisions", before=place).status_code == 200

"""The suppression list: filters, pages by place, adding, and ending by one or by two people (item 24)."""

import functools
import operator
import re
from typing import Any

import pytest

from prefs.domain.roles import Role
from tests.make import ADA, BEN, World
from tests.staff import staff

LIFT = {"why": "asked", "evidence": "Their letter of 20 November"}


def stop(world: World, to: str, channel: str = "email", **more: Any) -> int:
    answer = world.post("/v1/suppressions", {"channel": channel, "to": to, **more})
    assert answer.status_code in {200, 201}, answer.text
    return int(answer.json["id"].removeprefix("sup_"))


def listed(page: str) -> list[str]:
    return re.findall(r">(EV-\d+)</a>", page)


def test_what_stands_is_listed_newest_first_and_masked(world: World) -> None:
    first, second = stop(world, ADA), stop(world, BEN, "sms")

    page = staff(world, Role.PRIVACY).page("/admin/suppressions")

    assert listed(page) == [f"EV-{second}", f"EV-{first}"]
    assert ADA not in page
    assert "a••@example.com" in page


def test_bounces_and_ended_stops_are_not_listed(world: World) -> None:
    stop(world, ADA, reason="hard_bounce")
    ended = stop(world, "ben@example.com")
    world.post(f"/v1/suppressions/sup_{ended}/lift", {"evidence": "asked", "source": "letter"})

    assert "Nobody has opted out yet." in staff(world, Role.PRIVACY).page("/admin/suppressions")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param({"reason": "complaint"}, ["complaint"], id="reason"),
        pytest.param({"source": "letter"}, ["letter"], id="source"),
        pytest.param({"channel": "sms"}, ["sms"], id="channel"),
        pytest.param({"channel": "any"}, ["any"], id="every channel"),
        pytest.param({"reason": "unsubscribed", "source": "letter"}, ["letter"], id="reason and source"),
        pytest.param({"person": BEN}, ["sms"], id="person"),
        pytest.param({"reason": "complaint", "channel": "sms"}, [], id="nothing matches"),
        pytest.param({"source": "' OR 1=1 --"}, [], id="a quote is a letter (V19)"),
    ],
)
def test_filters_leave_out_what_does_not_match(world: World, query: dict[str, str], expected: list[str]) -> None:
    made = {
        "complaint": stop(world, ADA, reason="complaint"),
        "letter": stop(world, "ben@example.com", source="letter"),
        "sms": stop(world, BEN, "sms"),
        "any": stop(world, "cem@example.com", "any"),
    }

    page = staff(world, Role.PRIVACY).page("/admin/suppressions", **query)

    assert listed(page) == [f"EV-{made[name]}" for name in expected]
    assert expected or "No opt-outs match." in page


def test_pages_go_older_and_newer_without_a_gap(world: World) -> None:
    numbers = [stop(world, f"p{one}@example.com") for one in range(120)][::-1]
    privacy = staff(world, Role.PRIVACY)

    first = privacy.page("/admin/suppressions", channel="email")
    older = privacy.page(follow(first, "next"))
    oldest = privacy.page(follow(older, "next"))
    back = privacy.page(follow(oldest, "prev"))

    seen = [listed(page) for page in (first, older, oldest)]
    assert [len(one) for one in seen] == [50, 50, 20]
    assert functools.reduce(operator.iadd, seen, []) == [f"EV-{number}" for number in numbers]
    assert listed(back) == seen[1]
    assert "channel=email" in follow(back, "prev")
    assert 'rel="next"' not in oldest


def follow(page: str, rel: str) -> str:
    return re.search(rf'rel="{rel}" href="([^"]+)"', page)[1].replace("&amp;", "&")  # type: ignore[index]


def test_the_list_asks_as_often_for_fifty_as_for_one(world: World) -> None:
    from sqlalchemy import event

    asked: list[str] = []
    event.listen(world.services.kit.store.reader, "before_cursor_execute", lambda *args: asked.append(args[2]))
    privacy, counts = staff(world, Role.PRIVACY), []
    stop(world, ADA)
    privacy.page("/admin/suppressions")
    for more in (0, 49):
        for one in range(more):
            stop(world, f"p{one}@example.com")
        asked.clear()
        privacy.page("/admin/suppressions")
        counts.append(len(asked))

    assert counts[0] == counts[1]


def test_one_opt_out_is_ended_with_a_reason_and_evidence(world: World) -> None:
    number = stop(world, ADA, source="letter", occurred_at="2026-11-09T00:00:00Z")
    privacy = staff(world, Role.PRIVACY)

    asked = privacy.page("/admin/suppressions/lift", id=number)
    page = privacy.press("/admin/suppressions/lift", id=number, **LIFT)

    assert "This person asked us to stop on 9 November 2026" in asked
    assert "Start only if they asked you to." in asked
    assert f"EV-{number} is ended" in page
    assert world.decide()["allowed"] is True
    entry = world.entries()[-1]
    assert (entry.act, entry.source) == ("lift", "staff")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [({"why": ""}, "Choose why it is removed."), ({"evidence": " "}, "Say what shows that the person wants this")],
)
def test_without_reason_or_evidence_nothing_is_ended(world: World, change: dict[str, str], sentence: str) -> None:
    number = stop(world, ADA)

    answer = staff(world, Role.PRIVACY).post("/admin/suppressions/lift", id=number, **{**LIFT, **change})

    assert answer.status_code == 422
    assert sentence in answer.text
    assert world.decide()["allowed"] is False


def test_ending_asks_again_who_it_is_when_the_proof_is_old(world: World) -> None:
    number = stop(world, ADA)
    privacy = staff(world, Role.PRIVACY).later()

    answer = privacy.post("/admin/suppressions/lift", id=number, **LIFT)

    assert answer.status_code == 303
    assert "/admin/confirm" in answer.location
    assert world.decide()["allowed"] is False


def test_marketing_cannot_end_an_opt_out_and_reads_why(world: World) -> None:
    number = stop(world, ADA)
    marketing = staff(world, Role.MARKETING)

    assert "Only the privacy office removes an opt-out" in marketing.page("/admin/suppressions")
    assert marketing.post("/admin/suppressions/lift", id=number, **LIFT).status_code == 403
    assert world.decide()["allowed"] is False


def test_several_at_once_need_a_second_person(world: World) -> None:
    numbers = [stop(world, ADA), stop(world, "ben@example.com")]
    first, second = staff(world, Role.PRIVACY, "one@staff.example"), staff(world, Role.PRIVACY, "two@staff.example")

    waiting = first.post("/admin/suppressions/lift", id=numbers, **LIFT).location
    assert "It waits for a second person." in first.page(waiting)
    too_early = first.post(waiting)
    own_yes = first.post("/admin/approvals/1", answer="yes")
    second.post("/admin/approvals/1", answer="yes")
    assert "A second person said yes." in first.page(waiting)
    done = first.post(waiting)
    again = first.post(waiting)

    assert too_early.status_code >= 400
    assert own_yes.status_code >= 400
    assert again.status_code >= 400
    assert done.status_code == 303
    assert world.decide()["allowed"] is True
    assert world.decide(to="ben@example.com")["allowed"] is True


def test_nothing_of_several_is_ended_where_one_does_not_stand_any_more(world: World) -> None:
    numbers = [stop(world, ADA), stop(world, "ben@example.com")]
    first, second = staff(world, Role.PRIVACY, "one@staff.example"), staff(world, Role.PRIVACY, "two@staff.example")
    waiting = first.post("/admin/suppressions/lift", id=numbers, **LIFT).location
    second.post("/admin/approvals/1", answer="yes")
    world.post(f"/v1/suppressions/sup_{numbers[1]}/lift", {"evidence": "asked", "source": "letter"})

    assert first.post(waiting).status_code == 409
    assert world.decide()["allowed"] is False


def test_only_the_person_can_end_some(world: World) -> None:
    from tests.admin.test_people import erase

    erase(world, ADA)
    number = world.entries()[0].id
    privacy = staff(world, Role.PRIVACY)

    assert "Only they can" in privacy.page("/admin/suppressions")
    assert privacy.post("/admin/suppressions/lift", id=number, **LIFT).status_code == 409


@pytest.mark.parametrize("given", ["x", "-1", "9999", "9" * 30, ""])
def test_numbers_that_are_none_are_refused(world: World, given: str) -> None:
    assert staff(world, Role.PRIVACY).get("/admin/suppressions/lift", id=given).status_code == 404


def test_one_can_be_added_and_blocks_at_once(world: World) -> None:
    form = {"to": ADA, "channel": "email", "scope": "topic:surveys", "reason": "unsubscribed", "note": "Call of today"}

    page = staff(world, Role.MARKETING).press("/admin/suppressions/new", **form)

    assert "Added. It blocks sends from now on." in page
    assert world.decide(topic="surveys")["allowed"] is False
    assert world.decide(topic="events")["allowed"] is True


def test_do_not_contact_is_set_by_the_privacy_office_only(world: World) -> None:
    form = {"to": ADA, "channel": "email", "scope": "all", "reason": "do_not_contact", "note": "Court order"}

    refused = staff(world, Role.MARKETING).post("/admin/suppressions/new", **form)
    staff(world, Role.PRIVACY).press("/admin/suppressions/new", **form)

    assert refused.status_code == 422
    assert world.decide(topic=None, message_class="transactional")["reason"] == "do_not_contact"


def test_a_bad_address_is_refused_with_the_mend(world: World) -> None:
    form = {"to": "ada@", "channel": "email", "scope": "all", "reason": "unsubscribed", "note": "x"}

    answer = staff(world, Role.PRIVACY).post("/admin/suppressions/new", **form)

    assert answer.status_code == 422
    assert "not a domain name" in answer.text

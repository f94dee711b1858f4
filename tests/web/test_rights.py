"""Data rights on the web: ux.md P9; rules.md G-2, G-4."""

import re

import pytest

from tests.make import ADA, BEN, World


def ask(world: World, kind: str, address: str = ADA, about: str = "Please.") -> str:
    """Go through the three pages and return the address of the progress page."""
    answers = {"kind": kind, "address": address, "about": about}
    page = world.client.post("/rights", data={**answers, "step": "details"})
    token = world.form(page.text)["csrf_token"]
    answer = world.client.post("/rights", data={**answers, "step": "check", "csrf_token": token})
    assert answer.status_code == 303, answer.text
    return str(answer.headers["Location"])


def test_one_question_a_page_and_a_reference_at_the_end(world: World) -> None:
    world.know()
    first = world.client.get("/rights").text
    second = world.client.post("/rights", data={"kind": "access"}).text
    third = world.client.post("/rights", data={"kind": "access", "step": "details", "address": ADA, "about": "x"}).text
    done = world.client.get(ask(world, "access")).text

    assert "What would you like us to do?" in first
    assert "Do not include health details." in second
    assert "Do not send identity papers." in third
    assert "We have your request" in done
    assert "PR-0001" in done
    assert "24 December 2026" in done


def test_g2_only_a_press_behind_the_mailed_link_counts_and_staff_accept_it(world: World) -> None:
    world.know()
    progress = ask(world, "erasure").partition("?")[0]
    assert "We have not checked it is you yet" in world.client.get(progress).text
    world.client.post(f"{progress}/confirm")
    assert "We have not checked it is you yet" in world.client.get(progress).text
    world.work()

    mailed = world.link_in(world.mails()[0], "/rights/")
    world.client.get(mailed)
    assert "We have not checked it is you yet" in world.client.get(progress).text
    world.client.post(f"{mailed}/confirm")

    assert "Thank you. We check it next" in world.client.get(progress).text
    assert "Yes, this is my request" not in world.client.get(mailed).text
    world.services.requests.accept_press(1, "staff:1")
    assert "We are working on your request" in world.client.get(progress).text
    assert world.mails()[0].subject == "Your request PR-0001: we will answer by 24 December 2026"


def test_nobody_unknown_is_written_to_and_the_page_is_the_same(world: World) -> None:  # promise 6
    world.know()
    pages = [world.client.get(ask(world, "access", to)).text for to in (ADA, "stranger@example.com")]
    world.work()

    assert world.mails("stranger@example.com") == []
    first, second = (re.sub(r"PR-\d+|/rights/[\w-]+|rights%2F[\w%-]+", "", page) for page in pages)
    assert first == second


def test_g2_objecting_acts_at_once_without_a_check(world: World) -> None:
    world.know()

    page = world.client.get(ask(world, "objection")).text

    assert world.decide()["reason"] == "objection"
    assert world.decide(topic="account")["allowed"] is True
    assert "Not needed" in page


def test_g4_a_restriction_holds_marketing_from_receipt_and_service_goes_on(world: World) -> None:
    world.know()
    progress = ask(world, "restriction").partition("?")[0]
    assert world.decide()["reason"] == "restricted"
    assert world.decide(topic="activity")["allowed"] is True

    world.client.post(f"{progress}/withdraw")

    assert "You withdrew this request" in world.client.get(progress).text
    assert world.decide()["allowed"] is True


def test_g1_an_objection_on_the_page_reaches_every_channel_of_the_person(world: World) -> None:
    world.know(("email", ADA), ("sms", BEN))
    world.consent(topic="events")

    ask(world, "objection")

    assert world.decide("sms", BEN, "events")["reason"] == "objection"


def test_a_stale_form_comes_back_filled_in(world: World) -> None:
    answers = {"kind": "access", "address": ADA, "about": "words", "step": "check", "csrf_token": "stale"}

    answer = world.client.post("/rights", data=answers)

    assert answer.status_code == 400
    assert "This page was open for a long time" in answer.text
    assert 'value="words"' in answer.text


def test_only_stopping_marketing_leads_to_the_stop_page(world: World) -> None:
    assert world.client.post("/rights", data={"kind": "stop"}).headers["Location"] == "/stop"


@pytest.mark.parametrize("kind", ["", "nonsense"])
def test_no_choice_is_a_mistake_with_its_mend(world: World, kind: str) -> None:
    answer = world.client.post("/rights", data={"kind": kind})

    assert answer.status_code == 422
    assert "Choose what you want to do" in answer.text


def test_a_progress_link_opens_only_its_own_request(world: World) -> None:
    world.know()
    first, second = ask(world, "access"), ask(world, "erasure")

    assert "PR-0001" in world.client.get(first).text
    assert "PR-0001" not in world.client.get(second).text
    token = second.partition("?")[0]
    assert world.client.get(token[:-1] + ("A" if token[-1] != "A" else "B")).status_code == 404


def test_many_requests_are_refused_but_never_an_objection(world: World) -> None:  # D27
    world.know()
    for _ in range(10):
        ask(world, "access")
    page = world.client.post("/rights", data={"kind": "access", "address": ADA, "step": "details"})
    token = world.form(page.text)["csrf_token"]
    form = {"address": ADA, "step": "check", "csrf_token": token}

    assert world.client.post("/rights", data={"kind": "access", **form}).status_code == 429
    assert world.client.post("/rights", data={"kind": "objection", **form}).status_code == 303

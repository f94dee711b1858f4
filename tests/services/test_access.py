"""The copy of somebody's data: what is in it, and who gets it (rules.md G-5; ux.md P9)."""

import json
import re
from typing import Any

import pytest

from prefs.errors import InvalidLink
from prefs.services.access import CopyFormat
from prefs.services.casework import Did, Right
from tests.make import ADA, BEN, World
from tests.services.test_erasure import fill
from tests.services.test_requests import ROBIN, record


def answered(world: World, kind: Right = Right.ACCESS, **more: object) -> str:
    """Take a request down, check, answer, and return the path that was mailed with the answer."""
    item = record(world, kind, **more)
    world.services.requests.record_proof(item.number, ROBIN, "Known by voice.")
    world.services.requests.answer(item.number, ROBIN, "Here is your copy.")
    world.work()
    mail = next(one for one in world.mails() if "/rights/" in one.text)
    return world.link_in(mail, "/rights/")


def fetch(world: World, path: str, form: str = "json") -> Any:
    return world.client.post(f"{path}/copy", data={"form": form})


def test_g5_every_consent_and_stop_is_there_with_time_source_channel_and_the_version_of_the_words(
    world: World,
) -> None:
    fill(world)

    copy = json.loads(fetch(world, answered(world)).data)

    history = copy["history"]
    assert len(history) == len(world.entries())
    assert all(one["at"] and one["source"] and one["channel"] for one in history)
    (consent,) = [one for one in history if one["what"] == "opt_in"]
    assert consent["text_version"] == consent["evidence"]["wording_version"]
    assert consent["evidence"]["wording"] == "Yes, text me."
    pressed = next(one for one in history if one["source"] == "unsubscribe_page")
    assert re.fullmatch("[0-9a-f]{16}", pressed["text_version"])
    assert pressed["scope"] == "topic:surveys"
    assert pressed["evidence"]["ip"]


def test_the_rest_of_what_we_hold_is_there_too(world: World) -> None:
    fill(world)

    copy = json.loads(fetch(world, answered(world, about="Everything, please.")).data)

    assert [(one["kind"], one["address"]) for one in copy["addresses"]] == sorted(
        [("email", ADA), ("phone", BEN)], key=lambda pair: [a["address"] for a in copy["addresses"]].index(pair[1])
    )
    assert copy["contact"]["external_id"] == "ada"
    assert "Your receipt" in [one["subject"] for one in copy["messages"]]
    assert [one["text"] for one in copy["texts"]] == ["What time do you open?", "HELP"]
    assert [one["text"] for one in copy["mails"]] == ["Please stop."]
    assert copy["requests"][0]["about"] == "Everything, please."
    assert {one["kind"] for one in copy["now"]} >= {"express", "unsubscribed"}


def test_the_readable_copy_stands_alone_and_runs_nothing(world: World) -> None:
    fill(world)
    world.text("<script>alert(1)</script> when?")

    answer = fetch(world, answered(world), "html")

    page = answer.text
    assert answer.headers["Content-Disposition"] == 'attachment; filename="PR-0001.html"'
    assert "no-store" in answer.headers["Cache-Control"]
    assert not re.search(r"<script|src=|href=|@import|url\(|<form", page)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "A copy of your data" in page
    assert "Your receipt" in page
    assert page.count("<h1") == 1
    for said in ("Said yes", "Unsubscribed", "Text messages", "Surveys", "All marketing"):
        assert f">{said}<" in page


@pytest.mark.parametrize("language", ["es", "fr", "de", "pt", "ar"])
def test_the_readable_copy_speaks_the_persons_language(world: World, language: str) -> None:
    from prefs import words

    world.know()

    page = fetch(world, answered(world, language=language), "html").text

    assert f'lang="{language}" dir="{words.direction(language)}"' in page
    assert words.gettext(language, "A copy of your data") in page
    assert "A copy of your data" not in page


def test_portability_is_answered_with_the_same_copy(world: World) -> None:
    world.know()

    assert json.loads(fetch(world, answered(world, Right.PORTABILITY)).data)["format"] == "prefs-access/1"


def test_the_link_opens_it_for_two_weeks(world: World) -> None:
    world.know()
    path = answered(world)
    world.clock.forward(days=14, seconds=-1)
    assert fetch(world, path).status_code == 200

    world.clock.forward(seconds=1)

    assert fetch(world, path).status_code == 404
    assert "Download it to read" not in world.client.get(path).text


def test_opening_the_page_hands_nothing_out(world: World) -> None:
    world.know()
    path = answered(world)
    page = world.client.get(path)

    assert "Download it to read" in page.text
    assert ADA not in page.text
    assert world.client.get(f"{path}/copy").status_code in {404, 405}


def test_whoever_typed_the_address_gets_nothing_only_who_reads_its_mail(world: World) -> None:
    from tests.web.test_rights import ask

    world.know()
    typed = ask(world, "access").partition("?")[0]
    world.services.requests.record_proof(1, ROBIN, "Known by voice.")
    world.services.requests.answer(1, ROBIN, "Here.")

    assert fetch(world, typed).status_code == 404
    assert "Download it to read" not in world.client.get(typed).text


@pytest.mark.parametrize("kind", [Right.RECTIFICATION, Right.OBJECTION])
def test_other_requests_hand_out_no_copy(world: World, kind: Right) -> None:
    world.know()

    assert fetch(world, answered(world, kind)).status_code == 404


def test_a_refused_request_hands_out_no_copy(world: World) -> None:
    world.know()
    item = record(world, Right.ACCESS)
    world.services.requests.record_proof(item.number, ROBIN, "Voice.")
    world.services.requests.refuse(item.number, ROBIN, "Third time this month.")
    world.work()

    assert fetch(world, world.link_in(world.mails()[0], "/rights/")).status_code == 404


def test_each_download_is_in_the_log(world: World) -> None:
    world.know()
    fetch(world, answered(world))

    assert world.services.requests.get(1).log[-1].did is Did.DOWNLOADED


def test_after_erasure_the_old_link_hands_nothing_out(world: World) -> None:
    from tests.services.test_erasure import erase

    world.know()
    path = answered(world)
    erase(world)

    with pytest.raises(InvalidLink):
        world.services.rights.copy(path.rpartition("/")[2], CopyFormat.JSON)


@pytest.mark.parametrize("form", ["json", "html"])
def test_the_copy_hands_on_no_link_that_could_do_something(world: World, form: str) -> None:
    """Staff look through the copy too: it must not let anybody act as the person."""
    fill(world)
    path = answered(world)

    page = fetch(world, path, form).text

    assert "/rights/…" in page
    assert "/p/…" in page
    assert not re.search(r"/(u|p|confirm|rights)/[A-Za-z0-9_-]{20,}", page)

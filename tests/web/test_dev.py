"""The outbox of development: each message as programs show it, and what would be wrong with it."""

import re

from prefs.domain.terms import Channel, MessageClass
from prefs.providers.ports import OutgoingText
from prefs.services.sending import MessageRequest
from tests.make import ADA, BEN, World

MAIL = MessageRequest(
    channel=Channel.EMAIL, to=ADA, topic="product-offers", subject="Spring", text="Hello", html="<p>Hello</p>"
)


def handed_over(world: World) -> int:
    """Send a marketing mail and return its number in the outbox."""
    world.know()
    world.services.sending.accept(MAIL)
    world.work()
    return world.services.outbox.messages()[0].id


def test_a_mail_shows_whether_one_press_unsubscribes(world: World) -> None:
    page = world.client.get(f"/dev/outbox/{handed_over(world)}").text

    assert "List-Unsubscribe is right" in page


def test_the_html_part_has_its_own_styles_and_runs_nothing(world: World) -> None:
    answer = world.client.get(f"/dev/outbox/{handed_over(world)}/html")

    policy = answer.headers["Content-Security-Policy"]
    assert "<p>Hello</p>" in answer.text
    assert policy.startswith("default-src 'none'")
    assert policy.endswith("sandbox")
    assert "script-src" not in policy


def test_a_text_counts_its_parts_and_names_the_letters_that_cost_one(world: World) -> None:
    text = OutgoingText("msg_1", MessageClass.MARKETING, "+15550100001", BEN, "Ж" * 80, validity_seconds=3600)
    world.services.outbox.send_text(text)
    page = world.client.get(f"/dev/outbox/{world.services.outbox.messages()[0].id}").text

    assert "Characters: 80 of 70. Parts: 2." in page
    assert "<bdi>Ж</bdi>" in page


def test_clearing_forgets_every_message(world: World) -> None:
    handed_over(world)

    key = re.search(r'name="csrf_token" value="([^"]+)"', world.client.get("/dev/outbox").text)[1]  # type: ignore[index]
    answer = world.client.post("/dev/outbox/clear", data={"csrf_token": key})

    assert answer.status_code == 303
    assert world.services.outbox.messages() == []

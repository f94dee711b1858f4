"""Marketing and our own mails through a real SMTP server, read back; and a mailto unsubscribe sent by mail."""

import email
import email.policy
import re
import smtplib
import socket
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from tests.make import ADA, World
from tests.webhooks.test_inbound_mail import post


class Inbox:
    """Takes every mail and keeps its raw bytes and envelope."""

    def __init__(self) -> None:
        self.raw: list[bytes] = []
        self.recipients: list[list[str]] = []

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802  aiosmtpd's name
        self.raw.append(envelope.content)
        self.recipients.append(list(envelope.rcpt_tos))
        return "250 OK"

    def last(self) -> EmailMessage:
        """Return the newest mail, parsed."""
        parsed = email.message_from_bytes(self.raw[-1], policy=email.policy.default)
        assert isinstance(parsed, EmailMessage)
        return parsed


@pytest.fixture
def inbox() -> Iterator[tuple[Inbox, int]]:
    kept = Inbox()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = Controller(kept, hostname="127.0.0.1", port=port)
    server.start()
    yield kept, port
    server.stop()


@pytest.fixture
def mailing(build_world: Callable[..., World], inbox: tuple[Inbox, int]) -> tuple[World, Inbox]:
    kept, port = inbox
    world = build_world(PREFS_EMAIL_TRANSPORT="smtp", SMTP_URL=f"smtp://127.0.0.1:{port}")
    return world, kept


def part(message: EmailMessage, kind: str) -> str:
    found = message.get_body(preferencelist=(kind,))
    assert found is not None
    return str(found.get_content())


def offer(world: World) -> None:
    body = {"channel": "email", "to": ADA, "topic": "product-offers", "subject": "Angebote für Sie: schöne Grüße"}
    answer = world.post(
        "/v1/messages", {**body, "text": "Hello Ada.", "html": "<html><body><p>Hello</p></body></html>"}
    )
    assert answer.json["status"] == "queued"
    world.work()


def test_marketing_arrives_with_headers_both_parts_and_footer(mailing: tuple[World, Inbox]) -> None:
    world, inbox = mailing
    world.know(locale="en")
    offer(world)

    message, raw = inbox.last(), inbox.raw[-1]
    assert message["Subject"] == "Angebote für Sie: schöne Grüße"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert re.search(rb"^List-Id: <topic-\d+\.news\.northwind\.example>\r$", raw, re.MULTILINE)
    urls = re.findall(r"<([^>]+)>", str(message["List-Unsubscribe"]))
    assert [url.partition(":")[0] for url in urls] == ["http", "mailto"]
    assert b"=?" not in raw[raw.index(b"List-Unsubscribe:") : raw.index(b"List-Unsubscribe-Post")]
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998
    text, html = part(message, "plain"), part(message, "html")
    assert "Northwind Imaging, 1 Sample Street, Sampletown" in text
    assert "You get this because you are a customer of ours and have not said no to “Product offers”." in text
    for line in (urls[0], f"{world.services.base_url}/p/"):
        assert any(one.startswith(line) and " " not in one for one in text.splitlines())
    assert 'clicktracking="off"' in html
    assert html.index("Unsubscribe</a>") < html.index("Choose what we send you</a>")
    assert html.rstrip().endswith("</html>")


def test_the_footer_says_that_somebody_agreed_where_they_did(mailing: tuple[World, Inbox]) -> None:
    world, inbox = mailing
    world.know(country="DE", locale="en")
    world.consent("email", ADA, "product-offers")
    offer(world)

    assert "You get this because you said yes to “Product offers”." in part(inbox.last(), "plain")


def test_the_one_click_url_of_a_received_mail_unsubscribes(mailing: tuple[World, Inbox]) -> None:
    world, inbox = mailing
    offer(world)
    url = re.findall(r"<(http[^>]+)>", str(inbox.last()["List-Unsubscribe"]))[0]

    answer = world.client.post(url.removeprefix(world.services.base_url), data={"List-Unsubscribe": "One-Click"})

    assert answer.status_code == 200
    assert world.decide()["allowed"] is False


def test_a_mailto_unsubscribe_travels_by_mail_and_counts(mailing: tuple[World, Inbox]) -> None:
    world, inbox = mailing
    offer(world)
    mailto = re.findall(r"<mailto:([^>]+)>", str(inbox.last()["List-Unsubscribe"]))[0]
    note = EmailMessage()
    note["From"], note["To"], note["Subject"] = "somebody@else.example", mailto, "unsubscribe"
    note.set_content("This mail was written by a mail program.")
    host, port = world.services.settings.smtp_url.removeprefix("smtp://").split(":")  # type: ignore[union-attr]
    with smtplib.SMTP(host, int(port)) as connection:
        connection.send_message(note)

    # What SendGrid does with it: posts the raw mail with its envelope.
    envelope = {"to": inbox.recipients[-1], "from": "somebody@else.example"}
    assert post(world, envelope=envelope, email=inbox.raw[-1], dkim="none", SPF="none").status_code == 200

    assert world.decide()["reason"] == "unsubscribed"
    assert world.decide(topic="surveys")["allowed"] is True


def test_the_record_of_a_stop_arrives_as_a_service_mail(mailing: tuple[World, Inbox]) -> None:
    world, inbox = mailing
    world.know()
    world.client.post("/stop", data={"address": ADA, "want": "stop"})
    world.work()

    message = inbox.last()
    assert message["Subject"] == "We have stopped our marketing emails"
    assert message["List-Unsubscribe"] is None
    assert "service@northwind.example" in message["From"]
    text, html = part(message, "plain"), part(message, "html")
    assert "Email, text and push marketing to this address" in text
    assert re.search(r"Reference: NW-\w{4}-\w{4}", text)
    assert "We sent this because you asked us to stop. It is not marketing, and we send it once." in text
    assert 'role="presentation"' in html
    assert '<html lang="en" dir="ltr">' in html
    assert not re.search(r"<img|src=", html)


@pytest.mark.parametrize(("locale", "way"), [("ar", "rtl"), ("de", "ltr")])
def test_our_mails_are_in_the_persons_language_and_direction(
    mailing: tuple[World, Inbox], locale: str, way: str
) -> None:
    world, inbox = mailing
    world.know(locale=locale)
    world.client.post("/stop", data={"address": ADA, "want": "link"})
    world.work()

    assert f'<html lang="{locale}" dir="{way}">' in part(inbox.last(), "html")


def test_m7_no_personal_data_in_custom_args() -> None:
    from prefs.domain.terms import MessageClass
    from prefs.providers.ports import OutgoingEmail
    from prefs.providers.sendgrid import payload

    opaque = {"message_id": "msg_1"}
    mail = OutgoingEmail("msg_1", MessageClass.MARKETING, "N <n@x.example>", ADA, "S", "T", custom_args=opaque)

    person = payload(mail)["personalizations"][0]
    assert person["custom_args"] == {"message_id": "msg_1"}
    assert payload(mail)["tracking_settings"]["click_tracking"] == {"enable": False, "enable_text": False}

"""Mail through a real SMTP server, read back as bytes: rules.md E-9, 1.7."""

import socket
from collections.abc import Iterator
from email import message_from_bytes

import pytest
from aiosmtpd.controller import Controller

from prefs.domain.ledger import ALL
from prefs.domain.terms import Channel, MessageClass
from prefs.errors import ProviderError
from prefs.providers.smtp import SmtpEmail
from prefs.services.linking import Linking
from prefs.storage.base import utc_now
from tests.double.specs import _email
from tests.test_links import KEY, LINKS


class Inbox:
    """Keeps what it is given; refuses one recipient for good."""

    def __init__(self) -> None:
        self.raw: list[bytes] = []

    async def handle_RCPT(self, server, session, envelope, address, options) -> str:  # type: ignore[no-untyped-def]  # noqa: N802
        if address.startswith("gone@"):
            return "550 no such person"
        envelope.rcpt_tos.append(address)
        return "250 ok"

    async def handle_DATA(self, server, session, envelope) -> str:  # type: ignore[no-untyped-def]  # noqa: N802
        self.raw.append(envelope.content)
        return "250 ok"


@pytest.fixture
def inbox() -> Iterator[tuple[Inbox, SmtpEmail]]:
    kept = Inbox()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    controller = Controller(kept, hostname="127.0.0.1", port=port)
    controller.start()
    yield kept, SmtpEmail(f"smtp://127.0.0.1:{port}")
    controller.stop()


def test_e9_list_headers_survive_on_the_wire(inbox: tuple[Inbox, SmtpEmail]) -> None:
    from dataclasses import replace

    kept, smtp = inbox
    headers = (
        Linking(LINKS, "https://preferences.a-rather-long-name.example.com", "u.example.com", utc_now)
        .for_address(Channel.EMAIL, KEY, ALL)
        .headers
    )

    smtp.send_email(replace(_email(MessageClass.MARKETING, "<p>x</p>"), headers=headers))

    (raw,) = kept.raw
    assert b"=?" not in raw
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998
    found = message_from_bytes(raw)
    value = found["List-Unsubscribe"].replace("\r\n ", " ")
    assert value == headers["List-Unsubscribe"]
    assert found["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert [part.get_content_type() for part in found.walk()] == ["multipart/alternative", "text/plain", "text/html"]


def test_a_person_who_is_gone_is_a_refusal_for_good(inbox: tuple[Inbox, SmtpEmail]) -> None:
    from dataclasses import replace

    with pytest.raises(ProviderError) as refusal:
        inbox[1].send_email(replace(_email(MessageClass.MARKETING, None), to="gone@example.com"))

    assert (refusal.value.permanent, refusal.value.provider_code) == (True, "550")


def test_no_server_means_try_again(inbox: tuple[Inbox, SmtpEmail]) -> None:
    with pytest.raises(ProviderError) as refusal:
        SmtpEmail("smtp://127.0.0.1:9").send_email(_email(MessageClass.MARKETING, None))

    assert (refusal.value.permanent, refusal.value.unknown) == (False, False)

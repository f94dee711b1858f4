"""Inbound Parse: mailto unsubscribes and letters to the privacy office (rules.md E-10, 6.5, M-9)."""

import base64
import json
from email.message import EmailMessage
from typing import Any

import pytest
from urllib3 import encode_multipart_formdata
from werkzeug.test import TestResponse

from prefs import simulate
from prefs.storage import mails
from tests.make import ADA, SECRETS, World

PATH = "/webhooks/sendgrid/inbound"
PRIVACY = "privacy@u.northwind.example"


def post(world: World, password: str | None = "inbound-secret", **fields: Any) -> TestResponse:
    """Post a mail the way SendGrid does; ``envelope`` may be a dict."""
    raw, kind = encode(fields)
    headers = {}
    if password is not None:
        headers["Authorization"] = "Basic " + base64.b64encode(f"sendgrid:{password}".encode()).decode()
    return world.client.post(PATH, data=raw, headers=headers, content_type=kind)


def encode(fields: dict[str, Any]) -> tuple[bytes, str]:
    """Return a form as bytes, and its content type."""
    form = {name: json.dumps(value) if isinstance(value, dict) else value for name, value in fields.items()}
    return encode_multipart_formdata(form)


def letter(sender: str = ADA, to: str = PRIVACY, text: str = "Please stop.", **more: Any) -> dict[str, Any]:
    domain = sender.rpartition("@")[2]
    return {
        "envelope": {"to": [to], "from": sender},
        "from": f"Ada <{sender}>",
        "subject": "Hello",
        "text": text,
        "dkim": f"{{@{domain} : pass}}",
        "SPF": "pass",
        "headers": f"From: Ada <{sender}>\nMessage-ID: <{abs(hash((sender, to, text, str(more))))}@x>\n",
        "charsets": {"text": "UTF-8"},
        **more,
    }


def mailto(world: World, to: str = ADA) -> str:
    address: str = world.post("/v1/links", {"channel": "email", "to": to, "topic": "events"}).json["mailto"]
    return address.removeprefix("mailto:")


def waiting(world: World) -> list[dict[str, Any]]:
    kit = world.services.kit
    with kit.store.read() as connection:
        rows = mails.waiting(connection)
    keys = [row.sealed for row in rows]
    assert all(keys)
    return [{"subject": row.subject} for row in rows]


@pytest.mark.parametrize("case", [str.lower, str.upper, str])
def test_e10_the_token_stops_its_address_whoever_writes(world: World, case: Any) -> None:
    address = mailto(world)
    local_part, _, domain = address.partition("@")

    answer = post(world, **letter("somebody@else.example", f"{case(local_part)}@{domain}", dkim="", SPF="fail"))

    assert answer.status_code == 200
    assert world.decide(topic="events")["reason"] == "unsubscribed"
    assert world.decide(topic="surveys")["allowed"] is True


def test_an_unsubscribe_mail_marked_automatic_still_counts(world: World) -> None:
    """Mail programs send these by themselves; only mails without a token are judged by who wrote them."""
    headers = "From: a@b.example\nAuto-Submitted: auto-generated\n"

    post(world, **letter("a@b.example", mailto(world), headers=headers))

    assert world.decide(topic="events")["allowed"] is False


def test_m9_without_a_token_a_known_authentic_sender_is_believed(world: World) -> None:
    world.know()

    post(world, **letter(to="unsubscribe@u.northwind.example", text=""))

    assert world.decide()["reason"] == "unsubscribed"


@pytest.mark.parametrize(
    "proof",
    [
        pytest.param({"dkim": "{@example.com : fail}", "SPF": "fail"}, id="neither"),
        pytest.param({"dkim": "{@evil.example : pass}", "SPF": "none"}, id="signed by another domain"),
        pytest.param(
            {"dkim": "none", "envelope": {"to": ["unsub@u.x.example"], "from": "x@evil.example"}}, id="spf of another"
        ),
        pytest.param({"dkim": "", "SPF": ""}, id="nothing"),
        pytest.param({"from": f"Ada <{ADA}>, Eve <eve@evil.example>"}, id="two senders"),
    ],
)
def test_m9_a_sender_nobody_vouched_for_goes_to_the_queue(world: World, proof: dict[str, Any]) -> None:
    world.know()

    answer = post(world, **letter(to="unsub@u.northwind.example", **proof))

    assert answer.status_code == 200
    assert world.decide()["allowed"] is True
    assert len(waiting(world)) == 1


def test_m9_an_unknown_sender_goes_to_the_queue(world: World) -> None:
    post(world, **letter("stranger@example.com", "unsub@u.northwind.example"))

    assert world.decide(to="stranger@example.com")["allowed"] is True
    assert len(waiting(world)) == 1


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("Please stop.", False),
        ("Hello,\nplease take me off your list.\nAda", False),
        ("Unsubscribe", False),
        ("When is my appointment?\n\n> Reply STOP to end", True),
        ("I would like a copy of my data.", True),
    ],
)
def test_a_letter_to_the_privacy_office_is_read_and_a_person_reads_it_too(
    world: World, text: str, allowed: bool
) -> None:
    world.know()

    post(world, **letter(text=text))

    assert world.decide()["allowed"] is allowed
    assert len(waiting(world)) == 1


def test_g1_a_letter_from_europe_that_limits_nothing_stops_every_channel(world: World) -> None:
    world.know(("email", ADA), ("sms", "+4915112345678"), country="DE")
    world.consent("sms", "+4915112345678", "events")

    post(world, **letter(text="Please stop."))

    assert world.decide("sms", "+4915112345678", "events")["reason"] == "objection"


@pytest.mark.parametrize(
    "headers",
    [
        "Auto-Submitted: auto-replied\n",
        "Precedence: bulk\n",
        "List-Id: <x.example>\n",
        "X-Auto-Response-Suppress: All\n",
    ],
)
def test_no_loops_automatic_mail_changes_nothing_and_waits_for_nobody(world: World, headers: str) -> None:
    world.know()

    post(world, **letter(headers=f"From: {ADA}\n{headers}"))

    assert world.decide()["allowed"] is True
    assert waiting(world) == []


def test_no_loops_a_bounce_with_an_empty_return_path_is_automatic(world: World) -> None:
    post(world, **letter(envelope={"to": [PRIVACY], "from": ""}))

    assert waiting(world) == []


def test_nothing_is_ever_answered(world: World) -> None:
    world.know()
    post(world, **letter())
    post(world, **letter(to=mailto(world)))
    world.work()

    assert world.services.outbox.messages() == []


def test_the_same_mail_again_is_one_mail(world: World) -> None:
    world.know()
    for _ in range(3):
        post(world, **letter())

    assert len(waiting(world)) == 1
    assert len(world.entries()) == 1


def test_the_raw_mode_is_read_too(world: World) -> None:
    world.know()
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = f"Ada <{ADA}>", PRIVACY, "Bitte"
    message["Message-ID"] = "<raw@example.com>"
    message.set_content("Désabonner", charset="iso-8859-1")
    message.add_attachment(b"x" * 400_000, maintype="application", subtype="pdf", filename="scan.pdf")

    post(
        world,
        envelope={"to": [PRIVACY], "from": ADA},
        email=message.as_bytes(),
        dkim="{@example.com : pass}",
        SPF="pass",
        to=PRIVACY,
    )

    assert world.decide()["allowed"] is False
    assert len(waiting(world)) == 1


@pytest.mark.parametrize("charset", ["iso-8859-1", "windows-1252", "utf-16", "no-such-charset"])
def test_charsets_are_taken_as_the_form_says(world: World, charset: str) -> None:
    world.know()
    known = charset if charset != "no-such-charset" else "utf-8"

    post(
        world,
        **letter(text="Arrêter".encode(known), charsets={"text": charset}),
    )

    assert world.decide()["allowed"] is False


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"envelope": "not json"}, id="bad envelope"),
        pytest.param({"envelope": {"to": "text", "from": 7}}, id="odd envelope"),
        pytest.param({"envelope": {"to": ["unsub+xyz@u.x"], "from": "a@b.c"}, "charsets": "["}, id="bad token"),
        pytest.param({"email": b"\xff\xfe\x00not a mail"}, id="bad raw"),
        pytest.param({"from": "\x00\x01@@", "subject": "a\r\nBcc: x", "dkim": "{" * 1000}, id="control characters"),
    ],
)
def test_odd_mails_are_answered_200_and_lost_to_nobody(world: World, fields: dict[str, Any]) -> None:
    assert post(world, **fields).status_code == 200
    assert world.entries() == []


def test_a_body_that_is_no_form_is_answered_200(world: World) -> None:
    headers = {"Authorization": "Basic " + base64.b64encode(b"x:inbound-secret").decode()}
    for body, kind in ((b"{}", "application/json"), (b"--x", "multipart/form-data; boundary=x"), (b"", "text/plain")):
        assert world.client.post(PATH, data=body, headers=headers, content_type=kind).status_code == 200


@pytest.mark.parametrize("password", [None, "", "wrong", "inbound-secre"])
def test_v24_without_the_password_nothing_is_stored(world: World, password: str | None) -> None:
    world.know()

    assert post(world, password, **letter(to=mailto(world))).status_code == 403
    assert world.entries() == []
    assert waiting(world) == []


def test_v25_an_unconfigured_door_is_shut(build_world: Any) -> None:
    world = build_world(SENDGRID_INBOUND_SECRET="")

    assert post(world, "", **letter()).status_code == 403


def test_a_signed_mail_needs_no_password(world: World) -> None:
    raw, kind = encode(letter(to=mailto(world)))
    headers = simulate.sign_body(SECRETS["SENDGRID_WEBHOOK_PRIVATE_KEY"], raw)

    assert world.client.post(PATH, data=raw + b"x", headers=headers, content_type=kind).status_code == 403
    assert world.entries() == []
    assert world.client.post(PATH, data=raw, headers=headers, content_type=kind).status_code == 200
    assert world.decide(topic="events")["allowed"] is False


def test_a_store_that_is_away_is_answered_503_so_that_the_mail_comes_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from contextlib import contextmanager

    from prefs.errors import StoreUnavailable

    address = mailto(world)

    @contextmanager
    def away(_store: object):  # type: ignore[no-untyped-def]
        raise StoreUnavailable("away")
        yield

    with monkeypatch.context() as patched:
        patched.setattr(type(world.services.kit.store), "write", away)
        assert post(world, **letter(to=address)).status_code == 503
    assert post(world, **letter(to=address)).status_code == 200
    assert world.decide(topic="events")["allowed"] is False


def test_what_a_mail_says_lies_sealed(world: World) -> None:
    from sqlalchemy import select

    from prefs.storage.tables import inbound_mail

    post(world, **letter(text="very secret words"))
    with world.services.kit.store.read() as connection:
        sealed = connection.execute(select(inbound_mail.c.sealed)).scalar_one()

    assert b"secret" not in bytes(sealed)

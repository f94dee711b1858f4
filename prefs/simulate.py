"""Correctly signed webhooks, as the providers would post them: for development and for tests."""

import base64
import json
import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)

TEXTS_PATH, EVENTS_PATH = "/webhooks/twilio/messages", "/webhooks/sendgrid/events"


def new_webhook_secrets() -> dict[str, str]:
    """Return made-up provider credentials for development (contract D33)."""
    key = generate_private_key(SECP256R1())
    private = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return {
        "TWILIO_ACCOUNT_SID": "AC" + secrets.token_hex(16),
        "TWILIO_AUTH_TOKEN": secrets.token_hex(16),
        "SENDGRID_WEBHOOK_PUBLIC_KEY": base64.b64encode(public).decode(),
        "SENDGRID_WEBHOOK_PRIVATE_KEY": base64.b64encode(private).decode(),
    }


def text_form(account_sid: str, from_: str, to: str, body: str, **more: str) -> dict[str, str]:
    """Return the form of one inbound text."""
    sid = "SM" + secrets.token_hex(16)
    return {
        "MessageSid": sid,
        "SmsSid": sid,
        "AccountSid": account_sid,
        "From": from_,
        "To": to,
        "Body": body,
        "NumMedia": "0",
        "FromCity": "",
        "SmsStatus": "received",
        "ApiVersion": "2010-04-01",
        **more,
    }


def sign_text(auth_token: str, url: str, form: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that make a form Twilio's own for this URL."""
    from twilio.request_validator import RequestValidator  # noqa: PLC0415  the SDK loads only where it is used

    return {"X-Twilio-Signature": RequestValidator(auth_token).compute_signature(url, form)}


def event(name: str, email: str, **more: Any) -> dict[str, Any]:
    """Return one SendGrid event."""
    return {
        "email": email,
        "event": name,
        "timestamp": int(time.time()),
        "sg_event_id": secrets.token_urlsafe(24),
        "sg_message_id": secrets.token_urlsafe(16),
        **more,
    }


def sign_events(private_key: str, events: Sequence[Mapping[str, Any]]) -> tuple[bytes, dict[str, str]]:
    """Return the body and headers of a batch, ending in CRLF as the provider's do."""
    body = json.dumps(list(events), separators=(",", ":")).encode() + b"\r\n"
    return body, {**sign_body(private_key, body), "Content-Type": "application/json"}


def sign_body(private_key: str, body: bytes) -> dict[str, str]:
    """Return the headers that make a body SendGrid's own."""
    key = load_der_private_key(base64.b64decode(private_key), None)
    assert isinstance(key, EllipticCurvePrivateKey)  # the only kind ``new_webhook_secrets`` makes
    stamp = str(int(time.time()))
    signature = base64.b64encode(key.sign(stamp.encode() + body, ECDSA(SHA256()))).decode()
    return {
        "X-Twilio-Email-Event-Webhook-Signature": signature,
        "X-Twilio-Email-Event-Webhook-Timestamp": stamp,
    }

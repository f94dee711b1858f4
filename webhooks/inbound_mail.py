"""SendGrid's Inbound Parse: mails posted as a form, 30 MB at most, read as a stream (rules.md 6.5).

Only the beginning of what we use is kept in memory; attachments and the rest flow past. The
``email`` field of the raw mode is the whole message, of which the beginning is enough.
"""

import email
import email.policy
import hashlib
import hmac
import json
import logging
import re
from collections.abc import Iterator
from email.message import EmailMessage
from email.utils import getaddresses, parseaddr

from flask import Response, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder, NeedData

from prefs.edge import MB, body_limit, services
from prefs.errors import NotAuthentic, StoreUnavailable
from prefs.services.mailbox import InboundMail
from webhooks import sendgrid

log = logging.getLogger(__name__)

# How much of a field is kept, in bytes; a field that is not named here is not kept at all.
_KEPT = {
    "envelope": 20_000,
    "from": 2_000,
    "subject": 2_000,
    "headers": 100_000,
    "dkim": 2_000,
    "SPF": 200,
    "charsets": 2_000,
    "text": 50_000,
    "html": 50_000,
    "email": 300_000,
}
_CHUNK = 64 * 1024
_LONGEST_HEAD = 1024 * 1024
_AUTOMATIC = {"bulk", "list", "junk", "auto_reply"}
_DKIM_PASS = re.compile(r"@([A-Za-z0-9.-]+)\s*:\s*pass", re.IGNORECASE)


@body_limit(40 * MB)
def inbound() -> ResponseReturnValue:
    """Take one mail. 200 whatever it was, unless it could not be stored: SendGrid sends 5xx again."""
    by_password = _password_fits()
    if not by_password and sendgrid.SIGNATURE not in request.headers:
        raise NotAuthentic("The request is neither signed nor with the password.")
    digest = hashlib.sha256(request.headers.get(sendgrid.TIMESTAMP, "").encode())
    fields = _read_form(digest)
    if not by_password and not _signature_fits(digest.digest()):
        log.warning("inbound_mail_refused")
        raise NotAuthentic("The signature does not fit.")
    try:
        services().mailbox.take(read_mail(fields))
    except StoreUnavailable:
        log.exception("inbound_mail_not_stored")
        raise
    return Response(status=200)


def read_mail(fields: dict[str, bytes]) -> InboundMail:
    """Return the mail a form carries, in the parsed or the raw mode. Never raises for odd content."""
    raw = _raw_message(fields.get("email"))
    headers = raw or _raw_message(fields.get("headers", b"") + b"\r\n\r\n")
    envelope = _json(fields.get("envelope"))
    sender = _sender(_text(fields, "from") or str(headers.get("From", "") if headers else ""))
    envelope_from = str(envelope.get("from") or "")
    subject = _text(fields, "subject") or str(headers.get("Subject", "") if headers else "")
    text = _text(fields, "text") or (_body(raw) if raw else "") or _plain(_text(fields, "html"))
    mail_id = str(headers.get("Message-ID") or "").strip() if headers else ""
    recipients = envelope.get("to")
    return InboundMail(
        mail_id=mail_id or f"{envelope_from}|{sender}|{subject}|{text[:1000]}",
        to=tuple(str(one) for one in recipients) if isinstance(recipients, list) else (),
        from_=sender,
        subject=subject.replace("\n", " ").replace("\r", " "),
        text=text,
        authentic=_is_authentic(sender, envelope_from, _text(fields, "dkim"), _text(fields, "SPF")),
        automatic=_is_automatic(headers, envelope_from),
    )


def _password_fits() -> bool:
    secret, given = services().settings.sendgrid_inbound_secret, request.authorization
    if not secret or given is None or given.type != "basic":
        return False
    return hmac.compare_digest((given.password or "").encode(), secret.encode())


def _signature_fits(digest: bytes) -> bool:
    signature = request.headers.get(sendgrid.SIGNATURE, "")
    timestamp = request.headers.get(sendgrid.TIMESTAMP, "")
    keys = services().settings.sendgrid_webhook_public_keys
    return any(sendgrid.is_authentic_digest(key, signature, timestamp, digest) for key in keys)


def _read_form(digest: "hashlib._Hash") -> dict[str, bytes]:
    """Return the beginnings of the fields we use, while everything runs through the digest once."""
    boundary = request.mimetype_params.get("boundary", "")
    if request.mimetype != "multipart/form-data" or not boundary:
        for chunk in _chunks():
            digest.update(chunk)
        return {}
    decoder = MultipartDecoder(boundary.encode("ascii", "replace"), max_parts=200)
    found: dict[str, bytearray] = {}
    current: str | None = ""
    for chunk in _chunks():
        digest.update(chunk)
        if current is not None:
            decoder.receive_data(chunk)
            current = _drain(decoder, found, current)
    return {name: bytes(value) for name, value in found.items()}


def _drain(decoder: MultipartDecoder, found: dict[str, bytearray], current: str) -> str | None:
    """Take what the decoder has ready and return the field it is in; None once the form is not one."""
    try:
        while not isinstance(event := decoder.next_event(), NeedData | Epilogue):
            if isinstance(event, Field):
                current = event.name if event.name in _KEPT else ""
            elif isinstance(event, File):
                current = ""
            elif isinstance(event, Data) and current:
                kept = found.setdefault(current, bytearray())
                kept += event.data[: max(_KEPT[current] - len(kept), 0)]
    except (ValueError, RequestEntityTooLarge):
        return None
    return current if len(decoder.buffer) < _LONGEST_HEAD else None


def _chunks() -> Iterator[bytes]:
    while chunk := request.stream.read(_CHUNK):
        yield chunk


def _text(fields: dict[str, bytes], name: str) -> str:
    """Return a field as text, in the charset that the form says it is in."""
    value = fields.get(name, b"")
    charset = str(_json(fields.get("charsets")).get(name) or "utf-8")
    try:
        return value.decode(charset, "replace")
    except LookupError:
        return value.decode("utf-8", "replace")


def _json(value: bytes | None) -> dict[str, object]:
    try:
        found = json.loads(value or b"{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _raw_message(value: bytes | None) -> EmailMessage | None:
    if not value:
        return None
    parsed = email.message_from_bytes(value, policy=email.policy.default)
    return parsed if isinstance(parsed, EmailMessage) else None


def _body(message: EmailMessage) -> str:
    part = message.get_body(preferencelist=("plain", "html"))
    if part is None:
        return ""
    try:
        content = str(part.get_content())
    except (LookupError, ValueError, KeyError):
        # An unknown charset, or a part that was cut off: its bytes as they are.
        content = str(part.get_payload())
    return _plain(content) if part.get_content_subtype() == "html" else content


def _plain(html: str) -> str:
    """Return the words of an HTML part, roughly: only to see what the person wants."""
    without = re.sub(r"(?is)<(script|style|blockquote).*?(</\1>|$)", " ", html)
    return re.sub(r"[ \t]+", " ", re.sub(r"(?s)<[^>]*>", "\n", without)).strip()


def _sender(header: str) -> str | None:
    """Return the one address of a From header; a header that names several names nobody."""
    found = [address for _, address in getaddresses([header]) if "@" in address]
    return found[0] if len(found) == 1 else None


def _is_authentic(sender: str | None, envelope_from: str, dkim: str, spf: str) -> bool:
    """True where the sender's own domain signed the mail, or sent it (rules.md M-9)."""
    domain = (sender or "").rpartition("@")[2].lower()
    if not domain:
        return False
    signers = [one.lower() for one in _DKIM_PASS.findall(dkim)]
    if any(domain == signer or domain.endswith("." + signer) for signer in signers):
        return True
    return spf.strip().lower() == "pass" and parseaddr(envelope_from)[1].rpartition("@")[2].lower() == domain


def _is_automatic(headers: EmailMessage | None, envelope_from: str) -> bool:
    """True for bounces, auto-replies and list mail (RFC 3834 section 2)."""
    if headers is None:
        return not envelope_from
    submitted = str(headers.get("Auto-Submitted", "no")).partition(";")[0].strip().lower()
    precedence = str(headers.get("Precedence", "")).strip().lower()
    listed = any(name in headers for name in ("List-Id", "List-Unsubscribe", "X-Auto-Response-Suppress"))
    return not envelope_from or submitted != "no" or precedence in _AUTOMATIC or listed

"""SendGrid's Event Webhook: a signature over the raw bytes, then each item for itself (rules.md 6.1, 6.2)."""

import base64
import binascii
import json
import logging
from functools import lru_cache
from hashlib import sha256
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key
from flask import Response, request
from flask.typing import ResponseReturnValue

from prefs.domain.events import ProviderEvent, looks_like_opt_out, read_event
from prefs.edge import MB, body_limit, services
from prefs.errors import InvalidInput, NotAuthentic

log = logging.getLogger(__name__)

SIGNATURE = "X-Twilio-Email-Event-Webhook-Signature"
TIMESTAMP = "X-Twilio-Email-Event-Webhook-Timestamp"
_LONGEST_HEADER = 500


@body_limit(16 * MB)
def events() -> ResponseReturnValue:
    """Take a batch of events. One bad item never loses the rest; a batch is stored whole or answered 5xx."""
    raw = request.get_data()  # before anything touches the form, or the bytes are gone (rules.md M-10)
    _check(raw)
    found, spoilt = _read(raw)
    recorded = services().mail_events.record(found, spoilt)
    log.info(
        "events_recorded",
        extra={"applied": recorded.applied, "ignored": recorded.ignored, "set_aside": recorded.set_aside},
    )
    return Response(status=204)


def is_authentic(public_key: str, signature: str, timestamp: str, raw: bytes) -> bool:
    """True where the key made this signature over timestamp and raw body. Never raises.

    There is no age limit: SendGrid repeats for a day, and an old opt-out is still an opt-out.
    """
    return is_authentic_digest(public_key, signature, timestamp, sha256(timestamp.encode() + raw).digest())


def is_authentic_digest(public_key: str, signature: str, timestamp: str, digest: bytes) -> bool:
    """True where the key signed what has this SHA-256: for bodies that flowed past. Never raises."""
    key = _load(public_key)
    if key is None or not signature or not timestamp or len(signature) + len(timestamp) > _LONGEST_HEADER:
        return False
    try:
        key.verify(base64.b64decode(signature, validate=True), digest, ECDSA(Prehashed(SHA256())))
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def _check(raw: bytes) -> None:
    signature, timestamp = request.headers.get(SIGNATURE, ""), request.headers.get(TIMESTAMP, "")
    keys = services().settings.sendgrid_webhook_public_keys
    if not any(is_authentic(key, signature, timestamp, raw) for key in keys):
        log.warning("sendgrid_signature_refused")
        raise NotAuthentic("The signature is missing or does not fit.")


@lru_cache(maxsize=8)
def _load(public_key: str) -> EllipticCurvePublicKey | None:
    try:
        key = load_der_public_key(base64.b64decode(public_key, validate=True))
    except (binascii.Error, ValueError):
        log.exception("sendgrid_key_unreadable")
        return None
    return key if isinstance(key, EllipticCurvePublicKey) else None


def _read(raw: bytes) -> tuple[list[ProviderEvent], list[tuple[Any, str]]]:
    try:
        items = json.loads(raw)
    except (ValueError, RecursionError):
        return [], [({"raw": raw[:10_000].decode("utf-8", "replace")}, "not_json")]
    found: list[ProviderEvent] = []
    spoilt: list[tuple[Any, str]] = []
    for item in items if isinstance(items, list) else [items]:
        try:
            found.append(read_event(item))
        except (InvalidInput, OverflowError) as error:
            spoilt.append((item, getattr(error, "code", "bad_value")))
            if looks_like_opt_out(item):
                log.exception("possible_opt_out_unreadable")
    return found, spoilt

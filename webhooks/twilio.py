"""Twilio: inbound texts and delivery reports (rules.md sections 5.1 to 5.5).

The signature has no clear edges (``Body=STOP`` signs like ``BodySTOP=``), so what it covers is
read strictly: the fields we use, each once, in their known forms (reliability.md V28).
"""

import logging
import re
from collections.abc import Mapping

from flask import Response, request
from flask.typing import ResponseReturnValue
from twilio.request_validator import RequestValidator
from twilio.twiml.messaging_response import MessagingResponse
from werkzeug.datastructures import MultiDict

from prefs.domain.terms import Channel
from prefs.edge import services
from prefs.errors import InvalidAddress, NotAuthentic, StoreUnavailable
from prefs.services.inbound import InboundText

log = logging.getLogger(__name__)

_SID = re.compile(r"(SM|MM)[0-9a-fA-F]{32}")
_NUMBER = re.compile(r"(whatsapp:|rcs:)?\+?[0-9A-Za-z_.:-]{1,60}")
_PREFIXES = {"whatsapp:": Channel.WHATSAPP, "rcs:": Channel.SMS}
_USED_ONCE = ("MessageSid", "AccountSid", "From", "To", "Body", "MessagingServiceSid", "OptOutType")


def incoming_text() -> ResponseReturnValue:
    """Take one inbound text; the answer is TwiML, empty where nothing is to be said.

    ::

        MessageSid=SM…&AccountSid=AC…&From=%2B14155550123&To=%2B15550100001&Body=Stop.&NumMedia=0
    """
    form = _authentic_form()
    text = _read_text(form)
    try:
        outcome = services().inbound.handle_text(text)
    except StoreUnavailable:
        # Twilio does not try an inbound text again by itself: keep it before saying 503 (W-6).
        services().journal.keep("text", text.to_json())
        raise
    except InvalidAddress:
        log.warning("text_from_no_address", extra={"sid": text.provider_id})
        return _twiml(None)
    return _twiml(outcome.reply)


def status() -> ResponseReturnValue:
    """Take one delivery report; reports may come twice and out of order (rules.md W-8)."""
    form = _authentic_form()
    services().sending.report(form["MessageSid"], form.get("MessageStatus", ""), form.get("ErrorCode") or None)
    return Response(status=204)


def signed_url(base_url: str, environ: Mapping[str, object], path_and_query: str) -> str:
    """Return the URL Twilio signed: our configured origin and the raw request target, no fragment (W-2)."""
    raw = str(environ.get("RAW_URI") or environ.get("REQUEST_URI") or path_and_query)
    target = raw if raw.startswith("/") else "/" + raw.split("://", 1)[-1].partition("/")[2]
    return base_url + target.partition("#")[0]


def _authentic_form() -> "MultiDict[str, str]":
    """Return the form if Twilio signed it for our account.

    Raises:
        NotAuthentic: Missing, wrong, odd or unconfigured; nothing was read from it.
    """
    settings = services().settings
    signature = request.headers.get("X-Twilio-Signature", "")
    if not signature or not signature.isascii() or request.mimetype != "application/x-www-form-urlencoded":
        raise NotAuthentic("The request is not signed.")
    url = signed_url(settings.base_url, request.environ, request.full_path.rstrip("?"))
    form = request.form
    if not any(RequestValidator(token).validate(url, form, signature) for token in settings.twilio_auth_tokens):
        log.warning("twilio_signature_refused")
        raise NotAuthentic("The signature does not fit.")
    several = any(len(form.getlist(name)) > 1 for name in _USED_ONCE)
    ours = settings.twilio_account_sid is None or form.get("AccountSid") == settings.twilio_account_sid
    if several or not ours or not _SID.fullmatch(form.get("MessageSid", "")):
        log.warning("twilio_request_refused")
        raise NotAuthentic("The request is not one of ours.")
    return form


def _read_text(form: "MultiDict[str, str]") -> InboundText:
    sender, to = form.get("From", ""), form.get("To", "")
    if not _NUMBER.fullmatch(sender) or not _NUMBER.fullmatch(to) or "Body" not in form:
        raise NotAuthentic("The request is not one of ours.")
    prefix = sender.partition(":")[0] + ":"
    return InboundText(
        provider_id=form["MessageSid"],
        channel=_PREFIXES.get(prefix, Channel.SMS),
        from_=sender.removeprefix(prefix),
        to=to.removeprefix(prefix),
        body=form["Body"],
        received_at=services().kit.now(),
        service_sid=form.get("MessagingServiceSid") or None,
        opt_out_type=form.get("OptOutType") or None,
    )


def _twiml(reply: str | None) -> Response:
    answer = MessagingResponse()
    if reply:
        answer.message(reply)
    return Response(str(answer), mimetype="text/xml")

"""Keys and webhooks: keys shown once, scopes in words, revoke; what comes in and what was given up."""

from flask import request
from flask.typing import ResponseReturnValue

from prefs.admin.access import allowed, me
from prefs.admin.forms import Form
from prefs.admin.frame import bp, go, say, show
from prefs.domain.roles import Right
from prefs.edge import services
from prefs.errors import NotFound
from prefs.services.keys import SCOPES
from prefs.storage.keys import KeyRow

SCOPE_WORDS: dict[str, str] = {
    "decide": "Ask whether a message may be sent, make links",
    "suppress": "Record opt-outs, import them",
    "consent": "Record consents",
    "send": "Send messages through us",
    "contacts": "Create and change contacts",
    "read": "Read opt-outs, old decisions and the feed of changes",
    "admin": "Everything, and removing opt-outs and changing topics",
}


@bp.get("/keys")
@allowed(Right.KEYS)
def keys() -> ResponseReturnValue:
    """List the API keys and say where webhooks come in."""
    return _page(Form())


@bp.post("/keys")
@allowed(post=Right.KEYS, fresh=True)
def make_key() -> ResponseReturnValue:
    """Make a key and show it, once."""
    form = Form()
    name = form.required("name", say("Say what the key is for."))
    scopes = form.several("scopes", SCOPES)
    if not scopes:
        form.problem("scopes", say("Tick what the key may do."))
    if len(name) > 100:
        form.problem("name", say("Use 100 characters at most."))
    if form:
        return _page(form, 422)
    made = services().keys.create(name, scopes, by=me().actor)
    return show("keys/made.html", made=made, name=name, scopes=[say(SCOPE_WORDS[one]) for one in scopes])


@bp.get("/keys/<key_id>/revoke")
@allowed(Right.KEYS)
def revoke_page(key_id: str) -> ResponseReturnValue:
    """Say what revoking does before it is done."""
    return show("keys/revoke.html", one=_key(key_id))


@bp.post("/keys/<key_id>/revoke")
@allowed(post=Right.KEYS, fresh=True)
def revoke_key(key_id: str) -> ResponseReturnValue:
    """End a key."""
    services().keys.revoke(key_id, by=me().actor)
    return go("admin.keys", said="revoked")


def _key(key_id: str) -> KeyRow:
    for one in services().keys.every():
        if one.id == key_id:
            return one
    raise NotFound("There is no key with this id.")


def _page(form: Form, status: int = 200) -> ResponseReturnValue:
    settings = services().settings
    doors = [
        ("Twilio: texts", "/webhooks/twilio/messages", bool(settings.twilio_auth_tokens)),
        ("Twilio: delivery reports", "/webhooks/twilio/status", bool(settings.twilio_auth_tokens)),
        ("SendGrid: events", "/webhooks/sendgrid/events", bool(settings.sendgrid_webhook_public_keys)),
        ("SendGrid: mail to us", "/webhooks/sendgrid/inbound", bool(settings.sendgrid_inbound_secret)),
    ]
    return show(
        "keys/list.html",
        status,
        form=form,
        keys=services().keys.every(),
        scopes=[(one, say(SCOPE_WORDS[one]), one) for one in SCOPES],
        words={one: say(text) for one, text in SCOPE_WORDS.items()},
        ticked=request.form.getlist("scopes"),
        typed=request.form.get("name", ""),
        doors=doors,
        base=settings.base_url,
        dead=services().backlog.given_up(),
        quarantined=services().backlog.unreadable(),
        said=request.args.get("said"),
    )

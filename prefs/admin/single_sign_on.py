"""Signing in with the organisation's account: out to the identity provider, and back."""

import hmac
from dataclasses import asdict

from flask import Response, redirect, request
from flask import session as flask_session
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import NotFound

from prefs.admin import access
from prefs.admin.access import open_to_all
from prefs.admin.frame import bp, local_page, refuse
from prefs.admin.sign_in import after_proof, enter
from prefs.edge import services
from prefs.errors import ProviderError
from prefs.providers.oidc import Begun
from prefs.services.sessions import FULL, SignInRefused
from prefs.services.single_sign_on import NotVouchedFor, SingleSignOn

_BEGUN = "oidc"


@bp.get("/sign-in/single")
@open_to_all
def single_sign_on() -> ResponseReturnValue:
    """Send the browser to the identity provider."""
    again = bool(request.args.get("again"))
    try:
        begun = _service().begin(again=again)
    except ProviderError as error:
        return refuse(502, "Your organisation’s sign-in does not answer", str(error))
    wanted = local_page(request.args.get("next"))
    act = request.args.get("act", "") if again else ""
    flask_session[_BEGUN] = {**asdict(begun), "next": wanted, "again": again, "act": act if len(act) < 1_500 else ""}
    return redirect(begun.url, 303)


@bp.get("/sign-in/single/back")
@open_to_all
def single_sign_on_answer() -> ResponseReturnValue:
    """Take the identity provider's answer: once, and only in the browser that asked."""
    kept = flask_session.pop(_BEGUN, None)
    state, code = request.args.get("state", ""), request.args.get("code", "")
    if kept is None or not code or not hmac.compare_digest(kept["state"].encode(), state.encode()):
        text = "It was not begun in this browser, was used, or was given up. Start again from the sign-in page."
        return refuse(400, "This sign-in does not work", text)
    begun = Begun(kept["url"], kept["state"], kept["nonce"], kept["verifier"])
    try:
        return (
            _confirmed(begun, code, kept["next"], kept["act"]) if kept["again"] else _entered(begun, code, kept["next"])
        )
    except ProviderError as error:
        return refuse(502, "This sign-in does not work", str(error))
    except (NotVouchedFor, SignInRefused) as error:
        return refuse(403, "You cannot come in this way", str(error))


def _entered(begun: Begun, code: str, wanted: str) -> Response:
    return enter(_service().finish(begun, code=code), wanted)


def _confirmed(begun: Begun, code: str, wanted: str, act: str) -> ResponseReturnValue:
    found = access.session()
    if found is None or found.stage != FULL:
        return _entered(begun, code, wanted)
    _service().confirm(found, begun, code=code)
    return after_proof(wanted, act)


def _service() -> SingleSignOn:
    found = services().single_sign_on
    if found is None:
        raise NotFound
    return found

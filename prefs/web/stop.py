"""``/stop``: stop or change messages without a link (ux.md P4 to P6), and what a dead link shows (P7).

Known and unknown addresses get the same status, bytes and time (reliability.md V13).
"""

from datetime import timedelta
from typing import Any

from flask import Blueprint, Response, redirect, request, url_for
from flask.typing import ResponseReturnValue

from prefs.domain.address import Address, masked
from prefs.domain.terms import AddressKind
from prefs.edge import csrf_exempt, services
from prefs.errors import InvalidAddress, StoreUnavailable
from prefs.links import Purpose
from prefs.services.kit import read_slip as _read_slip
from prefs.services.kit import write_slip as _write_slip
from prefs.services.stop_page import TooManyLinks
from prefs.services.stopping import reference_of
from prefs.web import pages

bp = Blueprint("stop", __name__)

FORM, SENT, STOPPED = "stop/form.html", "stop/sent.html", "stop/stopped.html"
TRAP = "website"
_GOOD_FOR = timedelta(hours=1)


@bp.get("/stop")
def ask() -> ResponseReturnValue:
    """Show the form; an address in the link is filled in."""
    return pages.show(FORM, typed=request.args.get("to", "")[:320], want="", problems=[])


@bp.post("/stop")
@csrf_exempt
def answer() -> ResponseReturnValue:
    """Stop marketing to an address, or send it a link; the answer never tells whether we know it."""
    return pages.level_time(_answer)


@bp.get("/stop/sent")
def sent() -> ResponseReturnValue:
    """Say what was done; what was typed comes back sealed in the address of this page (contract D21)."""
    said = read_slip("stop", request.args.get("r", ""))
    if said is None:
        return redirect(url_for(".ask"), 303)
    template = STOPPED if said["did"] == "stop" else SENT
    return pages.show(template, **said)


def link_of_token(token: str, purpose: Purpose) -> ResponseReturnValue:
    """Queue a fresh link to a token's own address and show P5 with the address masked."""

    def send() -> ResponseReturnValue:
        made = services()
        try:
            key = made.stop_page.send_link_of_token(token, pages.language(), _client(), purpose)
        except TooManyLinks:
            return too_many()
        shown, is_phone = made.stop_page.shown(key)
        note = {"did": "link", "typed": "", "masked": shown, "is_phone": is_phone, "reference": ""}
        return redirect(url_for("stop.sent", r=write_slip("stop", note)), 303)

    return pages.level_time(send)


def too_many() -> Response:
    """Return the page for somebody who asked for many links; stopping stays open to them."""
    return pages.show(FORM, 429, typed="", want="link", problems=[("want", "too_many")])


def dead_link() -> ResponseReturnValue:
    """Return P7: the same for every dead link, with the form that stops without one."""
    return pages.show("link_invalid.html", 404, here=url_for("stop.ask"))


def write_slip(what: str, values: dict[str, Any]) -> str:
    """Return a sealed note for the next page, good for an hour."""
    return _write_slip(services().kit, what, values, good_for=_GOOD_FOR)


def read_slip(what: str, slip: str) -> dict[str, Any] | None:
    """Return what a note of ours says, or None."""
    return _read_slip(services().kit, what, slip)


def _answer() -> ResponseReturnValue:
    typed, want = request.form.get("address", "").strip()[:320], request.form.get("want", "")
    problems: list[tuple[str, str]] = []
    address: Address | None = None
    try:
        address = services().stop_page.read(typed)
    except InvalidAddress as error:
        problems.append(("address", "no_country_code" if error.code == "no_country_code" else "not_an_address"))
    if want not in {"stop", "link"}:
        problems.append(("want", "no_choice"))
    if problems or address is None:
        return pages.show(FORM, 422, typed=typed, want=want, problems=problems)
    # A program that fills in every field fills this one too; a person cannot see it.
    if want == "link" and request.form.get(TRAP):
        return _said("link", typed, address)
    return _stop(typed, address) if want == "stop" else _link(typed, address)


def _stop(typed: str, address: Address) -> ResponseReturnValue:
    seen = pages.seen("P4", FORM)
    try:
        reference = services().stop_page.stop(address, pages.language(), seen=seen)
    except StoreUnavailable:
        note = {"typed": address.value, "language": pages.language(), **pages.as_journal(seen)}
        services().journal.keep("typed_stop", note)
        return pages.kept_for_later(reference_of(seen))
    pages.remember_wording("P4", FORM)
    return _said("stop", typed, address, reference)


def _link(typed: str, address: Address) -> ResponseReturnValue:
    try:
        services().stop_page.send_link(address, pages.language(), _client())
    except TooManyLinks:
        return pages.show(FORM, 429, typed=typed, want="link", problems=[("want", "too_many")])
    return _said("link", typed, address)


def _said(did: str, typed: str, address: Address, reference: str = "") -> ResponseReturnValue:
    note = {
        "did": did,
        "typed": typed,
        "masked": masked(address),
        "is_phone": address.kind is AddressKind.PHONE,
        "reference": reference,
    }
    return redirect(url_for("stop.sent", r=write_slip("stop", note)), 303)


def _client() -> str:
    return request.remote_addr or ""

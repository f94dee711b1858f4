"""``/u/<token>``: the page, the one-click POST, the page's own buttons, the list, and the way back.

Nothing here needs a cookie, a Referer or a fresh page: the signed token is the proof
(rules.md E-1 to E-6, reliability.md item 6).
"""

from typing import Any

from flask import Blueprint, Response, redirect, request, url_for
from flask.typing import ResponseReturnValue

from prefs.edge import csrf_exempt, services
from prefs.errors import InvalidLink, StoreUnavailable
from prefs.links import Purpose
from prefs.services.stopping import EVERY_CHANNEL, reference_of
from prefs.services.unsubscribe import LinkView, Unsubscribe
from prefs.web import pages, stop

bp = Blueprint("unsubscribe", __name__)

BEFORE, DONE, ALREADY, CHOOSE = (f"unsubscribe/{name}.html" for name in ("before", "done", "already", "choose"))


@bp.get("/u/<token>", strict_slashes=False)
def before(token: str) -> ResponseReturnValue:
    """Show the page; opening it changes nothing."""
    view = _view(token)
    pages.hear_signals(token, "P1", BEFORE)
    return _page(ALREADY if view.stopped else BEFORE, token, view)


@bp.post("/u/<token>", strict_slashes=False)
@csrf_exempt
def one_click(token: str) -> ResponseReturnValue:
    """Stop what the token names, whatever the body says (RFC 8058 section 3.2, rules.md E-2)."""
    seen = pages.seen("one_click", BEFORE)
    try:
        _service().by_link(token, seen=seen)
    except StoreUnavailable:
        services().journal.keep("one_click", {"token": token, **pages.as_journal(seen)})
        raise
    return Response("You are unsubscribed.\n", 200, mimetype="text/plain")


@bp.post("/u/<token>/stop")
@csrf_exempt
def stop_now(token: str) -> ResponseReturnValue:
    """Stop what a button says, then show the result at an address that can be reloaded."""
    scope = request.form.get("scope", "all")
    _service().check(token, scope)
    seen = pages.seen("P1", BEFORE)
    try:
        _service().by_page(token, scope, seen=seen)
    except StoreUnavailable:
        services().journal.keep("page_stop", {"token": token, "scope": scope, **pages.as_journal(seen)})
        return pages.kept_for_later(reference_of(seen, token))
    pages.remember_wording("P1", BEFORE)
    everywhere = "1" if scope == EVERY_CHANNEL else None
    return redirect(url_for(".done", token=token, all=everywhere), 303)


@bp.post("/u/<token>/undo")
@csrf_exempt
def undo(token: str) -> ResponseReturnValue:
    """Take back what the last press took, if that is still possible (contract D19)."""
    _service().undo(token)
    return redirect(url_for(".done", token=token), 303)


@bp.get("/u/<token>/done")
def done(token: str) -> ResponseReturnValue:
    """Show what is true now; reloading repeats nothing."""
    view = _view(token)
    everywhere = request.args.get("all") == "1"
    if not view.undone and not view.stopped and not view.topic_stopped and not view.just_pressed:
        return _page(BEFORE, token, view)
    return _page(DONE, token, view, everywhere=everywhere)


@bp.post("/u/<token>/record")
@csrf_exempt
def record(token: str) -> ResponseReturnValue:
    """Mail the record of the last press to the link's own address, once."""
    _view(token)
    _service().send_record(token, pages.language())
    return redirect(url_for(".done", token=token), 303)


@bp.get("/u/<token>/choose")
def choose(token: str) -> ResponseReturnValue:
    """Show the list that is the same for everybody: what to stop, and no current choice (contract D18)."""
    view = _view(token)
    topics = services().kit.catalogue.marketing_topics(view.channel)
    return _page(CHOOSE, token, view, topics=topics)


@bp.post("/u/<token>/choose")
@csrf_exempt
def stop_ticked(token: str) -> ResponseReturnValue:
    """Stop the topics that were ticked."""
    known = {topic.slug for topic in services().kit.catalogue.topics}
    ticked = [slug for slug in request.form.getlist("topic") if slug in known]
    if not ticked:
        view = _view(token)
        topics = services().kit.catalogue.marketing_topics(view.channel)
        return _page(CHOOSE, token, view, topics=topics, nothing=True)
    seen = pages.seen("P1-choose", CHOOSE)
    try:
        _service().by_ticks(token, ticked, seen=seen)
    except StoreUnavailable:
        services().journal.keep("ticks_stop", {"token": token, "topics": ticked, **pages.as_journal(seen)})
        return pages.kept_for_later(reference_of(seen, token))
    pages.remember_wording("P1-choose", CHOOSE)
    slip = stop.write_slip("ticks", {"topics": ticked})
    return redirect(url_for(".ticked", token=token, r=slip), 303)


@bp.get("/u/<token>/choose/done")
def ticked(token: str) -> ResponseReturnValue:
    """Say which topics were stopped; what is shown comes from the note alone."""
    view = _view(token)
    said = stop.read_slip("ticks", request.args.get("r", "")) or {}
    catalogue = services().kit.catalogue
    topics = [catalogue.topic(slug) for slug in said.get("topics", ())]
    if not topics:
        return redirect(url_for(".choose", token=token), 303)
    return _page("unsubscribe/ticked.html", token, view, topics=topics)


@bp.post("/u/<token>/link")
@csrf_exempt
def link(token: str) -> ResponseReturnValue:
    """Send a fresh link to the token's own address; what comes back tells nothing about it."""
    return stop.link_of_token(token, Purpose.UNSUBSCRIBE)


@bp.errorhandler(InvalidLink)
def invalid_link(_error: InvalidLink) -> ResponseReturnValue:
    """Answer a dead link: never a dead end, and the same for every way of being dead (rules.md E-7)."""
    if request.method == "POST" and request.endpoint == "unsubscribe.one_click":
        return Response("This link does not work.\n", 404, mimetype="text/plain")
    return stop.dead_link()


def _service() -> Unsubscribe:
    return services().unsubscribe


def _view(token: str) -> LinkView:
    view = _service().view(token)
    pages.speak_to(view.language)
    return view


def _page(template: str, token: str, view: LinkView, **values: Any) -> Response:
    topic = services().kit.catalogue.topic(view.topic_slug) if view.topic_slug else None
    return pages.show(template, token=token, view=view, topic=pages.topic_words(topic)["name"], **values)

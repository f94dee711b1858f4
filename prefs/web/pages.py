"""What every recipient page shares: its language, what it shows, and what is kept of who saw it."""

import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any

from flask import Blueprint, Flask, Response, current_app, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import Babel
from flask_wtf.csrf import CSRFError, validate_csrf
from jinja2 import meta
from markupsafe import Markup
from werkzeug.datastructures import LanguageAccept
from wtforms import ValidationError

from prefs import words
from prefs.domain.catalogue import Topic
from prefs.edge import page, services
from prefs.services.stopping import Seen
from prefs.services.wordings import Wording

LANGUAGE_COOKIE = "prefs_language"
ANSWER_AFTER_SECONDS = 0.06

bp = Blueprint("pages", __name__)


def install(app: Flask) -> None:
    """Give templates the texts of the reader's language, dates in it, and the organisation's facts."""
    Babel(app, default_locale=words.DEFAULT)
    app.jinja_env.install_gettext_callables(  # type: ignore[attr-defined]  # comes with the i18n extension
        lambda text: words.translations(language()).ugettext(text),
        lambda one, many, number: words.translations(language()).ungettext(one, many, number),
        newstyle=True,
    )
    app.jinja_env.filters.update(
        in_words=in_words,
        listed=lambda items: words.listed(items, language()),
        bold_list=lambda names: _marked_list(names, "<b>{}</b>"),
        quoted_list=lambda names: _marked_list(names, "“{}”"),
        topic_name=lambda topic: topic_words(topic)["name"],
    )
    app.context_processor(_context)


def language() -> str:
    """Return the language of this answer: menu, link, person, browser, English (ux.md section 12)."""
    if "language" not in g:
        asked = [request.cookies.get(LANGUAGE_COOKIE), request.args.get("lang"), g.get("stored_language")]
        accepted: LanguageAccept = request.accept_languages
        known = [words.spoken(one) for one in (*asked, *accepted.values())]
        allowed = [one for one in known if one != words.PSEUDO or services().settings.is_development]
        g.language = next((one for one in allowed if one), words.DEFAULT)
    spoken: str = g.language
    return spoken


def speak_to(person: str | None) -> None:
    """Say which language the person behind the link has on record, before the page is made."""
    g.stored_language = person
    g.pop("language", None)


def in_words(moment: date) -> str:
    """Return a date in words, in the reader's language."""
    return words.day(moment, language())


def _marked_list(names: Iterable[str], mark: str) -> Markup:
    """Return names as a list in words, each in its mark; the names are escaped, the marks are ours."""
    return Markup(words.listed([str(Markup(mark).format(name)) for name in names], language()))  # noqa: S704


def topic_words(topic: Topic | None) -> dict[str, str]:
    """Return a topic as templates say it."""
    name, description = topic.said(language()) if topic else ("", "")
    return {"slug": topic.slug if topic else "", "name": name, "description": description}


def show(template: str, status: int = 200, **values: Any) -> Response:
    """Return a page."""
    return Response(render_template(template, **values), status, mimetype="text/html")


def seen(page_id: str, template: str) -> Seen:
    """Return what shows later what the person saw, and from where they acted (rules.md G-7, D32)."""
    shown = wording(page_id, template, language())
    device = {"ip": request.remote_addr, "user_agent": request.headers.get("User-Agent", "")[:200]}
    return Seen(
        {
            "page": page_id,
            "wording": shown.version,
            "language": shown.language,
            "at": datetime.now(UTC).isoformat(),
        },
        device,
        secrets.token_hex(12),
    )


def remember_wording(page_id: str, template: str) -> None:
    """Keep the words of a page that somebody acted on; called after the act, never before it."""
    services().wordings.keep(wording(page_id, template, language()))


def as_journal(what: Seen) -> dict[str, Any]:
    """Return what was seen as the journal keeps it."""
    return asdict(what)


def hear_signals(token: str, page_id: str, template: str) -> None:
    """Record Global Privacy Control for the person behind a token (rules.md G-8); other values mean nothing."""
    if request.headers.get("Sec-GPC") == "1":
        services().signals.opt_out_of_sale(token, seen(page_id, template))


def form_is_ours() -> bool:
    """True where the form was made for this browser: needed for starting, never for stopping."""
    try:
        validate_csrf(request.form.get("csrf_token"))
    except (ValidationError, CSRFError):
        return False
    return True


def level_time(answer: Callable[[], ResponseReturnValue]) -> ResponseReturnValue:
    """Answer no sooner than others would have been answered, so that time tells nothing (V13)."""
    started = time.monotonic()
    try:
        return answer()
    finally:
        # Whole steps, so that a slow answer does not show by how much it was slower.
        passed = time.monotonic() - started
        time.sleep(-(-passed // ANSWER_AFTER_SECONDS) * ANSWER_AFTER_SECONDS - passed)


def kept_for_later(reference: str) -> Response:
    """Return the page of a stop that lies in the journal: not done yet, and not lost (ux.md P10)."""
    answer = show("not_finished.html", 503, reference=reference)
    answer.headers["Retry-After"] = "60"
    return answer


@lru_cache(maxsize=256)
def _texts_of(template: str, spoken: str) -> tuple[str, ...]:
    """Return every text of a template, and of those it extends or imports, in a language."""
    environment = current_app.jinja_env
    found: list[str] = []
    waiting, done = [template], set()
    while waiting:
        name = waiting.pop(0)
        if name in done:
            continue
        done.add(name)
        source, _, _ = environment.loader.get_source(environment, name)  # type: ignore[union-attr]
        waiting += [one for one in meta.find_referenced_templates(environment.parse(source)) if one]
        found += [text for _, _, text in environment.extract_translations(source) if isinstance(text, str)]  # type: ignore[attr-defined]
    catalogue = words.translations(spoken)
    return tuple(dict.fromkeys(str(catalogue.ugettext(text)) for text in found))


def wording(page_id: str, template: str, spoken: str) -> Wording:
    """Return the words of a page in a language."""
    return Wording(page_id, spoken, _texts_of(template, spoken))


@bp.get("/lang")
def choose_language() -> ResponseReturnValue:
    """Set the language the reader chose in the menu, and go back where they were."""
    wanted = words.spoken(request.args.get("to"))
    answer = redirect(local_path(request.args.get("next", "")), 303)
    if wanted:
        answer.set_cookie(
            LANGUAGE_COOKIE,
            wanted,
            max_age=365 * 24 * 3600,
            samesite="Lax",
            httponly=True,
            secure=services().base_url.startswith("https://"),
        )
    return answer


def local_path(wanted: str) -> str:
    """Return a path of our own site, or the page without a link where it is anything else (V15)."""
    ours = wanted.startswith("/") and not wanted.startswith(("//", "/\\"))
    plain = all(32 < ord(letter) < 127 and letter != "\\" for letter in wanted)
    return wanted if ours and plain else url_for("stop.ask")


@bp.get("/accessibility")
def accessibility() -> ResponseReturnValue:
    """Say what these pages do for people who read or press differently, and whom to tell."""
    return show("accessibility.html")


def planned_work() -> Response | None:
    """Return the page of announced work, or None. ``planned-work`` in the data directory announces it."""
    try:
        until = (services().settings.data_dir / "planned-work").read_text().strip()[:40]
    except OSError:
        return None
    spoken, email = language(), services().settings.privacy_email
    return page(
        503,
        words.gettext(spoken, "We are working on this page until %(time)s", time=until or "…"),
        words.gettext(spoken, "You can still stop marketing: reply STOP to a text, or email %(email)s.", email=email),
    )


def _context() -> dict[str, Any]:
    settings = services().settings
    spoken = language()
    return {
        "org": {
            "name": settings.org_name,
            "postal_address": settings.org_postal_address,
            "phone": settings.org_phone,
            "privacy_email": settings.privacy_email,
            "privacy_notice_url": settings.privacy_notice_url,
        },
        "lang": spoken,
        "text_dir": words.direction(spoken),
        "languages": [(code, name, words.direction(code)) for code, name in words.LANGUAGES.items()],
        "here": _here(),
        "topic_words": topic_words,
        "csrf_field": _csrf_field,
    }


def _here() -> str:
    """Return where the language menu leads back to: this page, or the one its form stands on."""
    if request.method in {"GET", "HEAD"}:
        return request.full_path.rstrip("?")
    rule = request.url_rule
    readable = rule is not None and "GET" in (rule.methods or ())
    return request.path if readable else request.path.rpartition("/")[0]


def _csrf_field() -> Markup:
    from flask_wtf.csrf import generate_csrf  # noqa: PLC0415  makes a session, so only where a form needs one

    return Markup('<input type="hidden" name="csrf_token" value="{}">').format(generate_csrf())

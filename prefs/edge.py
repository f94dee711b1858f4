"""What the Flask edges share: services, error answers, request ids, headers and limits."""

import logging
import os
import re
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from flask import Flask, Request, Response, current_app, g, render_template, request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from flask_wtf.csrf import CSRFProtect
from jinja2 import TemplateNotFound
from werkzeug.exceptions import HTTPException
from werkzeug.middleware.proxy_fix import ProxyFix

from prefs import errors, logs, words

if TYPE_CHECKING:
    from prefs.services.metrics import Metrics
    from prefs.wiring import Services

log = logging.getLogger(__name__)

MB = 1024 * 1024
View = TypeVar("View", bound=Callable[..., Any])

# Narrowest class first: the first that fits decides.
STATUSES: tuple[tuple[type[errors.PrefsError], int], ...] = (
    (errors.InvalidInput, 422),
    (errors.NotFound, 404),
    (errors.InvalidLink, 404),
    (errors.NotAuthentic, 403),
    (errors.NotAllowed, 403),
    (errors.Conflict, 409),
    (errors.StoreUnavailable, 503),
    (errors.ProviderError, 502),
    (errors.PrefsError, 500),
)
RETRY_AFTER_SECONDS = 10
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_LOCAL_HOSTS = {"localhost", "127.0.0.1", "[::1]", "testserver"}

csrf = CSRFProtect()


def services() -> "Services":
    """Return the services of the running app."""
    return cast("Services", current_app.extensions["prefs"])


def csrf_exempt(view: View) -> View:
    """Mark a view whose caller proves itself otherwise: by a signed token, a signature, or an API key."""
    return cast(View, csrf.exempt(view))


def body_limit(number: int) -> Callable[[View], View]:
    """Let one view take bodies of this many bytes instead of 1 MB."""

    def mark(view: View) -> View:
        view.body_limit = number  # type: ignore[attr-defined]  # read by ``_limit_body``
        return view

    return mark


def problem(status: int, code: str, detail: str, field_errors: Sequence[dict[str, str]] = ()) -> Response:
    """Return an RFC 9457 problem."""
    body: dict[str, Any] = {
        "type": f"/v1/docs#error-{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": g.get("request_id"),
    }
    if field_errors:
        body["errors"] = list(field_errors)
    answer = cast(Response, current_app.json.response(body))
    answer.status_code = status
    answer.mimetype = "application/problem+json"
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        answer.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return answer


class _Sessions(SecureCookieSessionInterface):
    """Flask's sessions; who brings no cookie gets an empty one at once: one-click posts and webhooks never do."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        if self.get_cookie_name(app) in request.cookies:
            return super().open_session(app, request)
        return SecureCookieSession()


def install(app: Flask, *, base_url: str, proxy_hops: int, development: bool) -> None:
    """Put limits, ids, headers and error answers around an app."""
    app.session_interface = _Sessions()
    app.config.update(MAX_CONTENT_LENGTH=MB, MAX_FORM_MEMORY_SIZE=MB, MAX_FORM_PARTS=100)
    if proxy_hops:
        # Only the client's address is taken from proxies; links come from the base URL alone.
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=proxy_hops, x_proto=0, x_host=0, x_port=0, x_prefix=0
        )
    hosts = Hosts.of(base_url, development=development)
    headers = fixed_headers(https=base_url.startswith("https://"))

    @app.before_request
    def begin() -> Response | None:
        g.started = time.perf_counter()
        g.request_id = request_id_of(request.environ)
        g.csp_nonce = secrets.token_urlsafe(16)
        logs.request_id.set(g.request_id)
        _limit_body(app)
        return None if hosts.accept(request.environ) else problem(400, "bad_host", "Unknown host.")

    @app.after_request
    def finish(answer: Response) -> Response:
        named = g.get("request_id", "")
        answer.headers["X-Request-Id"] = named
        secure(answer, headers)
        route = request.url_rule.rule if request.url_rule else "(none)"
        passed = time.perf_counter() - g.get("started", 0.0)
        record(services().metrics, request.method, route, answer.status_code, passed, named)
        return answer

    # Behind ``begin``: it reads the form, and must know by then how large the form may be.
    csrf.init_app(app)
    app.register_error_handler(errors.PrefsError, _prefs_error)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _unexpected)


def record(metrics: "Metrics", method: str, route: str, status: int, seconds: float, request_id: str) -> None:
    """Count and log one request: the only place that does either."""
    if method not in _METHODS:
        method = "OTHER"
    metrics.observe(method, route, status, seconds)
    logs.request_line(method, route, status, seconds, request_id)


def request_id_of(environ: Mapping[str, Any]) -> str:
    """Return the caller's request id where it is a sensible one, else a new one."""
    given = environ.get("HTTP_X_REQUEST_ID")
    return given if given and _REQUEST_ID.fullmatch(given) else os.urandom(8).hex()


@dataclass(frozen=True, slots=True)
class Hosts:
    """The names this service answers to."""

    names: frozenset[str]
    development: bool

    @classmethod
    def of(cls, base_url: str, *, development: bool) -> Self:
        """Return the host of the base URL, and this machine's own names in development."""
        ours = {re.sub(r"^https?://", "", base_url)}
        return cls(frozenset(ours | (_LOCAL_HOSTS if development else set())), development)

    def accept(self, environ: Mapping[str, Any]) -> bool:
        """True where a request was meant for us."""
        host = environ.get("HTTP_HOST", "")
        if host in self.names or environ.get("PATH_INFO") in {"/healthz", "/readyz"}:
            return True
        return self.development and re.sub(r":\d+$", "", host) in self.names


def fixed_headers(*, https: bool) -> tuple[tuple[str, str], ...]:
    """Return the headers of reliability.md item 27 that every answer has alike."""
    always = (
        ("Referrer-Policy", "strict-origin"),
        ("X-Robots-Tag", "noindex"),
        ("X-Content-Type-Options", "nosniff"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
        ("Permissions-Policy", "camera=(), geolocation=(), microphone=()"),
    )
    return (*always, ("Strict-Transport-Security", "max-age=31536000")) if https else always


NO_CONTENT_POLICY = (
    "Content-Security-Policy",
    "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
)
_MAIL_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; sandbox"
"""For the HTML part of a mail in the outbox of development: its styles, no script, nothing from elsewhere."""

NO_STORE = ("Cache-Control", "no-store")


def secure(answer: Response, headers: Iterable[tuple[str, str]]) -> None:
    """Set the headers of reliability.md item 27; only pages have scripts and styles that need a nonce."""
    named = answer.headers
    named.extend(headers)
    named["Cache-Control"] = "public, max-age=3600" if request.endpoint == "static" else NO_STORE[1]
    if answer.mimetype != "text/html":
        named.add(*NO_CONTENT_POLICY)
        return
    if request.endpoint == "dev.html_part":
        named["Content-Security-Policy"] = _MAIL_POLICY
        return
    nonce = g.get("csp_nonce", "")
    named["Content-Security-Policy"] = (
        f"default-src 'none'; style-src 'self' 'nonce-{nonce}'; script-src 'nonce-{nonce}'; "
        "img-src 'self' data:; font-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'; object-src 'none'"
    )


def page(status: int, heading: str, text: str) -> Response:
    """Return an error page in the recipient's design, or its words alone where templates are missing."""
    try:
        body = render_template("error.html", status=status, heading=heading, text=text)
    except TemplateNotFound:
        return Response(f"{heading}\n{text}\n", status, mimetype="text/plain")
    return Response(body, status, mimetype="text/html")


def _limit_body(app: Flask) -> None:
    view = app.view_functions.get(request.endpoint or "")
    limit = getattr(view, "body_limit", None)
    if limit is not None:
        request.max_content_length = limit
        request.max_form_memory_size = limit


def _wants_json() -> bool:
    return request.path.startswith(("/v1/", "/healthz", "/readyz"))


def _answer(status: int, code: str, detail: str, heading: str, field_errors: Sequence[dict[str, str]] = ()) -> Response:
    if _wants_json():
        return problem(status, code, detail, field_errors)
    if request.path.startswith("/webhooks/") or (
        request.method == "POST" and re.fullmatch(r"/u/[^/]+/?", request.path)
    ):
        answer = Response(f"{detail}\n", status, mimetype="text/plain")
    else:
        answer = page(status, heading, detail)
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        answer.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return answer


def _say(text: str) -> str:
    """Return a text in the reader's language."""
    from prefs.web.pages import language  # noqa: PLC0415  pages are built on this module

    return words.gettext(language(), text)


def _prefs_error(error: errors.PrefsError) -> Response:
    status = next(status for kind, status in STATUSES if isinstance(error, kind))
    if status >= 500:
        log.error("request_failed", extra={"code": error.code, "status": status})
    field_errors = []
    if isinstance(error, errors.InvalidInput):
        field_errors = [{"field": error.field, "code": error.code, "detail": str(error)}]
    if status >= 500 and not _wants_json():
        return _failed(status, error.code, str(error))
    return _answer(status, error.code, str(error), "Sorry, that did not work", field_errors)


def _http_error(error: HTTPException) -> Response:
    status = error.code or 500
    code = re.sub(r"\W+", "_", HTTPStatus(status).phrase.lower())
    detail, heading = _WORDS.get(status, HTTPStatus(status).phrase + "."), _HEADINGS.get(status, "Sorry")
    plain = _wants_json() or request.path.startswith("/webhooks/")
    answer = _answer(status, code, detail if plain else _say(detail), heading if plain else _say(heading))
    for name, value in error.get_headers():
        if name in {"Allow", "Retry-After"}:
            answer.headers[name] = value
    return answer


def _unexpected(error: Exception) -> Response:
    log.exception("request_crashed", extra={"path": request.url_rule.rule if request.url_rule else "?"})
    detail = f"Something went wrong on our side. Reference {g.get('request_id', '')}."
    return _failed(500, "internal_error", detail)


def _failed(status: int, code: str, detail: str) -> Response:
    """Answer what went wrong on our side: a person reads what it means for them (ux.md P10)."""
    if _wants_json() or request.path.startswith("/webhooks/"):
        return _answer(status, code, detail, "Sorry")
    from prefs.web.pages import planned_work  # noqa: PLC0415  pages are built on this module

    announced = planned_work() if status == HTTPStatus.SERVICE_UNAVAILABLE else None
    email = services().settings.privacy_email
    text = _say("We did not change anything. Try again, or email %(email)s and we will do it for you.")
    return announced or _answer(status, code, text % {"email": email}, _say("Sorry, that did not work"))


def _(text: str) -> str:
    """Mark a text for the catalogues; it is looked up when it is said."""
    return text


_HEADINGS = {
    404: _("This page does not exist"),
    405: _("This cannot be done here"),
}
_WORDS = {
    400: _("The request cannot be read."),
    404: _("There is nothing at this address."),
    405: _("This address does not take that method."),
    413: _("The body is too large."),
    415: _("The body is of the wrong type."),
}

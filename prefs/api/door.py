"""The short way in for the question that is asked all day: ``POST /v1/decisions`` in its plain form.

It answers what it surely understands: a live key with the scope, a body that is as it should be,
an address and no extras. Everything else, and whatever goes wrong, is handed on untouched to the
view in ``routes``, which has the words for every refusal; both use the same functions for key,
JSON, body and answer. What it saves is a framework's request, which costs as much as all the
rest together (docs/decisions/0009).
"""

import io
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prefs import edge
from prefs.api.http import JSON_TYPE, encode_json, key_of, may, read_object
from prefs.api.routes import answer_fields, plain_answer
from prefs.api.schemas import DecisionBody

if TYPE_CHECKING:
    from prefs.wiring import Services

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

PATH, SCOPE = "/v1/decisions", "decide"
_LONGEST = 4_096


@dataclass(frozen=True, slots=True)
class Door:
    """A WSGI app around the app: answers plain questions itself and passes on the rest."""

    app: Wsgi
    services: "Services"
    hosts: edge.Hosts
    headers: tuple[tuple[str, str], ...]

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request."""
        if environ["PATH_INFO"] != PATH or environ["REQUEST_METHOD"] != "POST":
            return self.app(environ, start_response)
        started = time.perf_counter()
        raw = _short_body(environ)
        if raw is None:
            return self.app(environ, start_response)
        try:
            answer = self._answer(environ, raw)
        except Exception:  # noqa: BLE001  whatever it was, the view meets it again and words it
            answer = None
        if answer is None:
            environ["wsgi.input"] = io.BytesIO(raw)
            return self.app(environ, start_response)
        request_id = edge.request_id_of(environ)
        start_response("200 OK", [*self.headers, ("Content-Length", str(len(answer))), ("X-Request-Id", request_id)])
        edge.record(self.services.metrics, "POST", PATH, 200, time.perf_counter() - started, request_id)
        return [answer]

    def _answer(self, environ: dict[str, Any], raw: bytes) -> bytes | None:
        """Return the answer, or None where the view has to look at it."""
        cut = len(raw) != int(environ["CONTENT_LENGTH"])
        if cut or not self.hosts.accept(environ) or environ.get("CONTENT_TYPE") != JSON_TYPE:
            return None
        key = key_of(self.services.keys, environ.get("HTTP_AUTHORIZATION", ""))
        if key is None or not may(key, SCOPE):
            return None
        body = DecisionBody.model_validate(read_object(raw))
        if body.to is None or body.contact is not None or body.explain or body.links:
            return None
        return encode_json(answer_fields(plain_answer(self.services, body)))


def _short_body(environ: dict[str, Any]) -> bytes | None:
    """Return the whole body of a request that says how short it is, or None without touching it."""
    length = environ.get("CONTENT_LENGTH") or ""
    if not (length.isascii() and length.isdigit()) or len(length) > 4 or int(length) > _LONGEST:
        return None
    raw: bytes = environ["wsgi.input"].read(int(length))
    return raw

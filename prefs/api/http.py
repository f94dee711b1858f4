"""One shape for every endpoint: key and scope, strict JSON, one model, idempotency, problem answers."""

import hashlib
import json
import mimetypes
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

from flask import Response, g, request, send_file
from pydantic import BaseModel, ValidationError

from prefs.edge import problem, services
from prefs.errors import InvalidInput, PrefsError
from prefs.storage import idempotency
from prefs.storage.keys import KeyRow

MOST_DEPTH = 32
LONGEST_TEXT = 10_000
_HIGHEST = 2**63 - 1
_CRASHED_AFTER = timedelta(seconds=60)

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Reply:
    """What an endpoint answers; ``text`` is JSON already where that is quicker, ``file`` a file instead."""

    body: Any = None
    status: int = 200
    text: str | None = None
    file: Path | None = None

    def encoded(self) -> str:
        """Return the JSON to send."""
        return self.text if self.text is not None else json.dumps(self.body, separators=(",", ":"), ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What the OpenAPI document is made from: one entry per view (see ``openapi``)."""

    name: str
    scope: str
    summary: str
    body: type[BaseModel] | None
    answer: str
    changes: bool
    upload: bool = False


@dataclass(frozen=True, slots=True)
class Upload:
    """An uploaded file under a name of ours, and the fields sent with it."""

    path: Path
    fields: dict[str, str]
    digest: bytes


ENDPOINTS: dict[str, Endpoint] = {}


class _Malformed(ValueError):
    """JSON that is not ours to guess at; the message says what is wrong."""


def endpoint(
    scope: str,
    *,
    body: type[Model] | None = None,
    answer: str = "An object",
    changes: bool = False,
    long_texts: bool = False,
    upload: frozenset[str] | None = None,
) -> Callable[[Callable[..., Reply]], Callable[..., Response]]:
    """Turn a function into a view: it gets the checked body (if any) and path values, and returns a ``Reply``.

    ``changes`` views honour ``Idempotency-Key``; ``long_texts`` lifts the limit of one text to the
    body's limit. ``upload`` takes ``multipart/form-data`` with a ``file`` and these other fields
    instead of JSON, and hands the view an ``Upload``. Refusals are RFC 9457 problems with the
    statuses of contract section 6.
    """

    def wrap(view: Callable[..., Reply]) -> Callable[..., Response]:
        summary = (view.__doc__ or view.__name__).strip().splitlines()[0]
        ENDPOINTS[view.__name__] = Endpoint(view.__name__, scope, summary, body, answer, changes, upload is not None)

        @wraps(view)
        def run(**path: Any) -> Response:
            refusal = _authorise(scope)
            if refusal is not None:
                return refusal
            if upload is not None:
                return _uploaded(upload, lambda taken: view(taken, **path))
            if body is None:
                return _send(view(**path))
            raw = request.get_data()
            try:
                given = body.model_validate(read_json(raw, long_texts=long_texts))
            except _Malformed as error:
                return problem(400, "malformed", str(error))
            except _WrongType as error:
                return problem(415, "unsupported_media_type", str(error))
            except ValidationError as error:
                return problem(422, "invalid", "Some fields cannot be as they are.", _field_errors(error))
            return _once(raw, lambda: view(given, **path)) if changes else _send(view(given, **path))

        return run

    return wrap


class _WrongType(ValueError):
    """A body that does not say it is JSON."""


def caller() -> KeyRow:
    """Return the API key of this request."""
    key: KeyRow = g.api_key
    return key


def entry_key() -> str | None:
    """Return what makes this request's effect the same effect: its key, under the caller's name."""
    given = request.headers.get("Idempotency-Key")
    return f"idem:{caller().id}:{given}" if given else None


def read_json(raw: bytes, *, long_texts: bool = False) -> Any:
    """Return the JSON of a request, or raise: a name twice, NaN, too deep, too long are all refused."""
    if request.mimetype != "application/json":
        raise _WrongType("Send JSON with the header `Content-Type: application/json`.")
    try:
        found = json.loads(
            raw.decode("utf-8"), object_pairs_hook=_object, parse_constant=_no_constant, parse_int=_integer
        )
        _check(found, MOST_DEPTH, len(raw) if long_texts else LONGEST_TEXT)
    except _Malformed:
        raise
    except (ValueError, RecursionError) as error:
        raise _Malformed("The body is not JSON in UTF-8.") from error
    if not isinstance(found, dict):
        raise _Malformed("The body must be a JSON object.")
    return found


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Malformed("A name stands twice in one object.")
    return found


def _no_constant(word: str) -> Any:
    raise _Malformed(f"{word} is not a JSON value.")


def _integer(digits: str) -> int:
    if len(digits) > 20 or abs(int(digits)) > _HIGHEST:
        raise _Malformed("A number is too large.")
    return int(digits)


def _check(value: Any, depth: int, longest: int) -> None:
    if isinstance(value, str):
        if len(value) > longest:
            raise _Malformed(f"A text is longer than {longest} characters.")
        if "\x00" in value or (not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value)):
            raise _Malformed("A text holds a character that cannot be stored.")
    elif isinstance(value, dict | list):
        if depth == 0:
            raise _Malformed(f"The body is nested more than {MOST_DEPTH} deep.")
        for item in (*value, *value.values()) if isinstance(value, dict) else value:
            _check(item, depth - 1, longest)


def _authorise(scope: str) -> Response | None:
    header = request.headers.get("Authorization", "")
    kind, _, text = header.partition(" ")
    key = services().keys.check(text.strip()) if kind.lower() == "bearer" else None
    if key is None:
        answer = problem(401, "unauthorized", "Send a live API key: `Authorization: Bearer prf_…`.")
        answer.headers["WWW-Authenticate"] = 'Bearer realm="prefs"'
        return answer
    if scope not in key.scopes and "admin" not in key.scopes:
        return problem(403, "forbidden", f"This key lacks the scope `{scope}`.")
    g.api_key = key
    return None


def _field_errors(error: ValidationError) -> list[dict[str, str]]:
    return [
        {
            "field": ".".join(str(part) for part in one["loc"]),
            "code": {"extra_forbidden": "unknown_field", "missing": "missing"}.get(one["type"], "invalid"),
            "detail": one["msg"],
        }
        for one in error.errors(include_url=False, include_input=False, include_context=False)
    ]


_LONGEST_FIELD = 10_000


def _uploaded(fields: frozenset[str], run: Callable[[Upload], Reply]) -> Response:
    """Store an uploaded file outside the web root under a name of ours, hand it over, and clear it away."""
    if request.mimetype != "multipart/form-data":
        return problem(415, "unsupported_media_type", "Send `multipart/form-data` with the list in `file`.")
    request.max_form_memory_size = _LONGEST_FIELD
    given = request.files.getlist("file")
    if len(given) != 1 or len(request.files) != 1:
        raise InvalidInput("Send exactly one file, in `file`.", field="file", code="missing")
    for name, values in request.form.lists():
        if name not in fields:
            raise InvalidInput(f"There is no field `{name}`.", field=name, code="unknown_field")
        if len(values) > 1:
            raise InvalidInput(f"`{name}` stands twice.", field=name)
    folder = services().settings.data_dir / "uploads"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"incoming-{secrets.token_hex(12)}"
    try:
        path.touch(mode=0o600)
        given[0].save(path)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").digest()
        taken = Upload(path, request.form.to_dict(), digest)
        sent = digest + json.dumps(taken.fields, sort_keys=True).encode()
        return _once(sent, lambda: run(taken))
    finally:
        path.unlink(missing_ok=True)


def _send(reply: Reply) -> Response:
    if reply.file is not None:
        kind = mimetypes.guess_type(reply.file.name)[0] or "application/octet-stream"
        return send_file(reply.file.absolute(), kind, as_attachment=True, download_name=reply.file.name)
    return Response(reply.encoded(), reply.status, mimetype="application/json")


def _once(raw: bytes, run: Callable[[], Reply]) -> Response:
    """Run a change once per ``Idempotency-Key``: same body, same answer; other body, 409 (contract D26)."""
    key = request.headers.get("Idempotency-Key")
    if not key:
        return _send(run())
    if len(key) > 255 or not key.isprintable():
        raise InvalidInput("An Idempotency-Key is up to 255 printable characters.", field="Idempotency-Key")
    kit, route = services().kit, f"{request.method} {request.path}"
    body_hash = hashlib.sha256(raw).digest()
    with kit.store.write() as connection:
        kept = idempotency.claim(connection, caller().id, key, route, body_hash, kit.now())
    context = f"idempotency:{caller().id}:{key}".encode()
    if kept is not None:
        if (kept.route, kept.body_hash) != (route, body_hash):
            return problem(409, "idempotency_mismatch", "This Idempotency-Key was used with another request.")
        if kept.status is not None and kept.sealed is not None:
            return _send(Reply(status=kept.status, text=kit.vault.open_text(kept.sealed, context=context)))
        if kit.now() - kept.created_at < _CRASHED_AFTER:
            answer = problem(409, "still_running", "A request with this Idempotency-Key is still running.")
            answer.headers["Retry-After"] = "5"
            return answer
    try:
        reply = run()
    except PrefsError:
        with kit.store.write() as connection:
            idempotency.release(connection, caller().id, key)
        raise
    with kit.store.write() as connection:
        sealed = kit.vault.seal_text(reply.encoded(), context=context)
        idempotency.finish(connection, caller().id, key, reply.status, sealed)
    return _send(reply)

"""One shape for every endpoint: key and scope, strict JSON, one model, idempotency, problem answers."""

import hashlib
import json
import mimetypes
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from flask import Response, g, request, send_file
from pydantic import BaseModel, ValidationError

from prefs.edge import MB, problem, services
from prefs.errors import InvalidInput, PrefsError
from prefs.services.keys import ApiKeys
from prefs.storage import idempotency
from prefs.storage.keys import KeyRow

JSON_TYPE = "application/json"
MOST_DEPTH = 32
LONGEST_TEXT = 10_000
_HIGHEST = 2**63 - 1
_CRASHED_AFTER = timedelta(seconds=60)

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Reply:
    """What an endpoint answers; ``text`` is JSON already where that is quicker.

    ``parts`` are its pieces to be streamed, ``file`` is a file instead.
    """

    body: Any = None
    status: int = 200
    text: str | None = None
    parts: Iterable[str] | None = None
    file: Path | None = None

    def encoded(self) -> str:
        """Return the JSON to send."""
        if self.parts is not None:
            return "".join(self.parts)
        return self.text if self.text is not None else encode_json(self.body).decode()


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
    lines: str | None = None


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
    lines: str | None = None,
) -> Callable[[Callable[..., Reply]], Callable[..., Response]]:
    """Turn a function into a view: it gets the checked body (if any) and path values, and returns a ``Reply``.

    ``lines`` says how the same may be sent as ``application/x-ndjson``. ``changes`` views honour
    ``Idempotency-Key``; ``long_texts`` lifts the limit of one text to the body's limit. ``upload``
    takes ``multipart/form-data`` with a ``file`` and these other fields instead of JSON, and hands
    the view an ``Upload``. Refusals are RFC 9457 problems with the statuses of contract section 6.
    """

    def wrap(view: Callable[..., Reply]) -> Callable[..., Response]:
        summary = (view.__doc__ or view.__name__).strip().splitlines()[0]
        ENDPOINTS[view.__name__] = Endpoint(
            view.__name__, scope, summary, body, answer, changes, upload is not None, lines
        )

        @wraps(view)
        def run(**path: Any) -> Response:
            refusal = refusal_of(request.headers.get("Authorization", ""), scope)
            if refusal is not None:
                return refusal
            if upload is not None:
                return _uploaded(upload, lambda taken: view(taken, **path))
            if body is None:
                return _send(view(**path))
            raw = request.get_data()
            if request.mimetype != JSON_TYPE:
                return problem(415, "unsupported_media_type", _SEND_JSON)
            given = read_body(body, raw, long_texts=long_texts)
            if isinstance(given, Response):
                return given
            return _once(raw, lambda: view(given, **path)) if changes else _send(view(given, **path))

        return run

    return wrap


_SEND_JSON = "Send JSON with the header `Content-Type: application/json`."


def caller() -> KeyRow:
    """Return the API key of this request."""
    key: KeyRow = g.api_key
    return key


def entry_key() -> str | None:
    """Return what makes this request's effect the same effect: its key, under the caller's name."""
    given = request.headers.get("Idempotency-Key")
    return f"idem:{caller().id}:{given}" if given else None


def read_body(model: type[Model], raw: bytes, *, long_texts: bool = False) -> Model | Response:
    """Return a body that was checked, or the refusal that says what is wrong with it."""
    try:
        return model.model_validate(read_object(raw, long_texts=long_texts))
    except _Malformed as error:
        return problem(400, "malformed", str(error))
    except ValidationError as error:
        return problem(422, "invalid", "Some fields cannot be as they are.", _field_errors(error))


def read_object(raw: bytes, *, long_texts: bool = False) -> dict[str, Any]:
    """Return a JSON object, or raise: a name twice, NaN, too deep, too long are all refused.

    Raises:
        ValueError: The message says what is wrong.
    """
    try:
        found = _DECODER.decode(raw.decode("utf-8"))
        longest = len(raw) if long_texts else LONGEST_TEXT
        if not _is_plain(raw):
            _check(found, MOST_DEPTH, longest)
        elif len(raw) > longest:
            _check_lengths(found, longest)
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


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_no_constant, parse_int=_integer)


def _is_plain(raw: bytes) -> bool:
    """True for JSON so flat and plain that of what ``_check`` looks for only a text's length is left."""
    return raw.isascii() and b"\\" not in raw and raw.count(b"{") + raw.count(b"[") <= MOST_DEPTH


def _check_lengths(value: Any, longest: int) -> None:
    if isinstance(value, str):
        if len(value) > longest:
            raise _too_long(longest)
    elif isinstance(value, dict):
        for item in (*value, *value.values()):
            _check_lengths(item, longest)
    elif isinstance(value, list):
        texts = [item for item in value if type(item) is str]
        if max(map(len, texts), default=0) > longest:
            raise _too_long(longest)
        for item in value if len(texts) < len(value) else ():
            if type(item) is not str:
                _check_lengths(item, longest)


def _too_long(longest: int) -> _Malformed:
    return _Malformed(f"A text is longer than {longest} characters.")


def _check(value: Any, depth: int, longest: int) -> None:
    if isinstance(value, str):
        if len(value) > longest:
            raise _too_long(longest)
        if "\x00" in value or (not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value)):
            raise _Malformed("A text holds a character that cannot be stored.")
    elif isinstance(value, dict | list):
        if depth == 0:
            raise _Malformed(f"The body is nested more than {MOST_DEPTH} deep.")
        for item in (*value, *value.values()) if isinstance(value, dict) else value:
            _check(item, depth - 1, longest)


def key_of(keys: ApiKeys, authorization: str) -> KeyRow | None:
    """Return the live key a header names, or None. Raises ``StoreUnavailable``."""
    kind, _, text = authorization.partition(" ")
    return keys.check(text.strip()) if kind.lower() == "bearer" else None


def may(key: KeyRow, scope: str) -> bool:
    """True where a key may do what needs this scope."""
    return scope in key.scopes or "admin" in key.scopes


def encode_json(value: Any) -> bytes:
    """Return JSON as it is sent: UTF-8, no blanks."""
    return _encode(value)


_encode = msgspec.json.Encoder().encode


def refusal_of(authorization: str, scope: str) -> Response | None:
    """Return the refusal of a request without a fitting key, or None; the key is then ``caller()``."""
    key = key_of(services().keys, authorization)
    if key is None:
        answer = problem(401, "unauthorized", "Send a live API key: `Authorization: Bearer prf_…`.")
        answer.headers["WWW-Authenticate"] = 'Bearer realm="prefs"'
        return answer
    if not may(key, scope):
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
    request.max_form_memory_size = MB  # of fields; the file itself goes to disk as it comes
    given = request.files.getlist("file")
    if len(given) != 1 or len(request.files) != 1:
        raise InvalidInput("Send exactly one file, in `file`.", field="file", code="missing")
    for name, values in request.form.lists():
        if name not in fields:
            raise InvalidInput(f"There is no field `{name}`.", field=name, code="unknown_field")
        if len(values) > 1 or len(values[0]) > _LONGEST_FIELD:
            raise InvalidInput(f"`{name}` stands twice or is too long.", field=name)
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
        given[0].close()
        path.unlink(missing_ok=True)


def _send(reply: Reply) -> Response:
    if reply.file is not None:
        kind = mimetypes.guess_type(reply.file.name)[0] or "application/octet-stream"
        return send_file(reply.file.absolute(), kind, as_attachment=True, download_name=reply.file.name)
    return Response(reply.parts or reply.encoded(), reply.status, mimetype=JSON_TYPE)


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

"""How the service is asked, without asking: calls, what their answers mean, and when to try again.

Nothing here opens a connection. Generators yield what is to be done and are told how it went, so
the blocking and the asynchronous client share every line (docs/decisions/0012).
"""

import json
import math
import random
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

from prefs.client.answers import read_field_error
from prefs.client.errors import (
    REFUSALS,
    ClientError,
    Conflict,
    OddAnswer,
    Problem,
    Refused,
    ServerFailed,
    TimedOut,
    TooManyRequests,
    Unavailable,
    Unreachable,
)
from prefs.client.reading import Fields, read_object

MB = 1024 * 1024
MOST_BYTES, MOST_BULK_BYTES = 4 * MB, 64 * MB
_TRY_AGAIN = frozenset({500, 502, 503, 504})

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a call may take. One attempt ends after ``answer`` seconds, whatever the other side does.

    ``bulk`` is the same for batches. Between attempts it waits ``first_wait`` seconds, then twice
    that, never over ``longest_wait``; where the service asks for more (``Retry-After``), the call
    ends with the error instead of trying sooner.
    """

    connect: float = 2.0
    answer: float = 3.0
    bulk: float = 60.0
    attempts: int = 3
    first_wait: float = 0.1
    longest_wait: float = 2.0

    @property
    def longest(self) -> float:
        """The most seconds one decision may take, all attempts together."""
        return self.attempts * self.answer + (self.attempts - 1) * self.longest_wait

    def wait(self, failures: int, asked: float | None) -> float | None:
        """Return the seconds to wait after so many failures, or None to give up."""
        if failures >= self.attempts or (asked is not None and asked > self.longest_wait):
            return None
        own: float = min(self.first_wait * 2 ** (failures - 1), self.longest_wait) * random.uniform(0.5, 1)  # noqa: S311
        return max(own, asked or 0)


@dataclass(frozen=True, slots=True)
class Call:
    """One question or wish. ``repeatable`` says that a second arrival changes nothing more than the first."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    expect: frozenset[int] = frozenset({200})
    repeatable: bool = True
    key: str | None = None
    bulk: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """One attempt, ready for the wire."""

    method: str
    path: str
    query: Mapping[str, str] = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(repr=False)
    connect: float
    seconds: float
    most_bytes: int


@dataclass(frozen=True, slots=True)
class Response:
    """What came back, whole; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait this many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Found:
    """A good answer: its status and its object."""

    status: int
    fields: Fields


Operation = Generator[Call, Found, T]
Work = Generator[Request | Pause, Response | None, T]


def carried_out(operation: Operation[T], patience: Patience) -> Work[T]:
    """Turn an operation into attempts and pauses; its value or error is the operation's."""
    try:
        call = next(operation)
        while True:
            try:
                found = yield from _answered(call, patience)
            except ClientError as error:
                call = operation.throw(error)
            else:
                call = operation.send(found)
    except StopIteration as done:
        value: T = done.value
        return value


def _answered(call: Call, patience: Patience) -> Work[Found]:
    """Try until there is an answer or no sense in trying. Only what is repeatable is ever tried twice."""
    request = _request(call, patience)
    failures = 0
    while True:
        try:
            response = yield request
            assert response is not None  # the driver answers a request with a response
            return _checked(call, response)
        except (Unavailable, Conflict) as error:
            failures += 1
            wait = patience.wait(failures, error.retry_after) if call.repeatable and _may_pass(error) else None
            if wait is None:
                raise
        yield Pause(wait)


def _may_pass(error: Unavailable | Conflict) -> bool:
    """True where the same request may well succeed in a moment."""
    if isinstance(error, ServerFailed):
        return error.problem is None or error.problem.status in _TRY_AGAIN
    if isinstance(error, Conflict):  # our own first attempt is still being carried out
        return error.problem.code == "still_running"
    return isinstance(error, Unreachable | TimedOut | TooManyRequests)


def _request(call: Call, patience: Patience) -> Request:
    headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
    content = b""
    if call.body is not None:
        content = json.dumps(call.body, separators=(",", ":"), allow_nan=False).encode()
        headers["Content-Type"] = "application/json"
    if call.key is not None:
        headers["Idempotency-Key"] = call.key
    seconds = patience.bulk if call.bulk else patience.answer
    most = MOST_BULK_BYTES if call.bulk else MOST_BYTES
    return Request(call.method, call.path, call.query, headers, content, min(patience.connect, seconds), seconds, most)


def _checked(call: Call, response: Response) -> Found:
    """Return a good answer, or raise what it means."""
    status = response.status
    if status in call.expect:
        if _media_type(response) != "application/json" or response.headers.get("content-encoding"):
            raise OddAnswer(f"HTTP {status} is not plain JSON. Does the base URL lead to the service?")
        return Found(status, read_object(response.body))
    problem, retry_after = _problem(response), _retry_after(response)
    words = f"HTTP {status}: {problem.detail} ({problem.code})" if problem else f"HTTP {status} without an explanation."
    if status == 429:
        raise TooManyRequests(words, problem=problem, retry_after=retry_after)
    if status >= 500:
        problem = problem or Problem(status, "unknown")
        raise ServerFailed(words, problem=problem, retry_after=retry_after)
    if 300 <= status < 400:
        raise OddAnswer(f"HTTP {status} sends us elsewhere, which is never followed. Is the base URL right?")
    if status in REFUSALS and problem is not None:
        raise REFUSALS[status](words, problem=problem, retry_after=retry_after)
    if problem is not None and 400 <= status < 500:
        raise Refused(words, problem=problem)
    raise OddAnswer(f"HTTP {status} is no answer of the API. Does the base URL lead to the service?")


def _problem(response: Response) -> Problem | None:
    """Return the problem document of a refusal, or None where it is something else's page."""
    if _media_type(response) != "application/problem+json":
        return None
    try:
        found = read_object(response.body)
        return Problem(
            status=response.status,
            code=found.text("code"),
            title=found.maybe_text("title") or "",
            detail=found.maybe_text("detail") or "",
            type=found.maybe_text("type") or "about:blank",
            request_id=found.maybe_text("request_id"),
            errors=found.each("errors", read_field_error, absent=True),
        )
    except OddAnswer:
        return None


def _media_type(response: Response) -> str:
    return response.headers.get("content-type", "").partition(";")[0].strip().lower()


def _retry_after(response: Response) -> float | None:
    """Return the seconds of ``Retry-After``, which may also be a date (RFC 9110 section 10.2.3)."""
    text = response.headers.get("retry-after", "").strip()
    try:
        if text.isascii() and text.isdigit():
            return float(text)
        return max(0.0, math.ceil(parsedate_to_datetime(text).timestamp() - time.time()))
    except (ValueError, OverflowError):
        return None

"""What can go wrong when asking the service. No text here ever holds an address or the API key.

::

    ClientError
    ├── DoNotSend              what a guard raises: this message must not leave now
    │   ├── Blocked            decision
    │   ├── Deferred           decision, not_before
    │   └── Unanswered         nobody could say; ``__cause__`` is what happened
    ├── Unavailable            no usable answer, though the question was fine; problem, retry_after
    │   ├── Unreachable        no connection, or it was cut
    │   ├── TimedOut
    │   ├── OddAnswer          not what the API speaks: a redirect, HTML, bad JSON, wrong types
    │   ├── TooManyRequests    429
    │   └── ServerFailed       5xx
    └── Refused                the service understood and said no; problem
        ├── Unauthorized       401
        ├── Forbidden          403
        ├── NotFound           404
        ├── Conflict           409
        └── Invalid            400, 413, 415, 422

Every one survives pickling, so a task queue can hand it on.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prefs.client.answers import Decision


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field; ``field`` is a dotted path like ``suppressions.3.to``."""

    field: str
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem document (RFC 9457) as the service sent it; ``code`` is the stable machine word."""

    status: int
    code: str
    title: str = ""
    detail: str = ""
    type: str = "about:blank"
    request_id: str | None = None
    errors: tuple[FieldError, ...] = ()


class ClientError(Exception):
    """Base of everything this client raises on purpose. ``str(error)`` is a sentence for a person."""


class DoNotSend(ClientError):
    """This message must not leave now; ``reason`` is the service's word, ``unavailable`` if nobody could say."""

    reason: str = "unavailable"

    def __init__(self, message: str = "", *, reason: str = "unavailable", decision: "Decision | None" = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.decision = decision


class Blocked(DoNotSend):
    """It may not be sent at all."""


class Deferred(DoNotSend):
    """It may be asked again from ``not_before`` on; the service decides afresh then."""

    def __init__(self, message: str = "", *, not_before: datetime | None = None, **more: Any) -> None:
        super().__init__(message, **more)
        self.not_before = not_before


class Unanswered(DoNotSend):
    """Nobody could say whether it may be sent, so it may not; ``__cause__`` tells what happened."""


class Unavailable(ClientError):
    """There is no usable answer. ``retry_after`` is in seconds, where the service named a time."""

    def __init__(self, message: str = "", *, problem: Problem | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.problem = problem
        self.retry_after = retry_after


class Unreachable(Unavailable):
    """No connection, or it was cut before the answer was whole."""


class TimedOut(Unavailable):
    """The answer was not there in time."""


class OddAnswer(Unavailable):
    """Something answered that is not what the API says; trying again at once would not help."""


class TooManyRequests(Unavailable):
    """429: this key asks too often."""


class ServerFailed(Unavailable):
    """5xx: the service, or something in front of it, failed."""


class Refused(ClientError):
    """The service understood the request and will not do it; asking the same again will not help."""

    def __init__(self, message: str = "", *, problem: Problem | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.problem = problem or Problem(0, "unknown")
        self.retry_after = retry_after


class Unauthorized(Refused):
    """401: no key, or one that is not live."""


class Forbidden(Refused):
    """403: the key lacks the scope that is named."""


class NotFound(Refused):
    """404: nothing under that id."""


class Conflict(Refused):
    """409: it cannot be carried out as things stand, for example ``later_opt_out``."""


class Invalid(Refused):
    """400, 413, 415 or 422: ``problem.errors`` names the fields."""


REFUSALS: dict[int, type[Refused]] = {
    400: Invalid,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    413: Invalid,
    415: Invalid,
    422: Invalid,
}

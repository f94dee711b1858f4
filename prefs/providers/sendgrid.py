"""SendGrid v3 through its SDK: mail/send, one message to one person (rules.md 6.4, M-7, M-8), and its
lists of people: erasure, suppressions and unsubscribe groups (rules.md 6.3).
"""

import json
import logging
import time
import urllib.error
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parseaddr
from typing import Any

import sendgrid
from python_http_client.exceptions import HTTPError

from prefs.domain.terms import MessageClass
from prefs.errors import InvalidInput, ProviderError
from prefs.providers.ports import HeldByProvider, ListedEmail, OutgoingEmail, Receipt

TIMEOUT_SECONDS = 10
_SERVER_ERRORS = 500
_TOO_MANY = 429
PAGE = 500
"""Lines a page of a list, the most SendGrid gives."""

_PATIENCE, _LONGEST_PAUSE = 3, 60
_GLOBAL_LIST = "global"  # a word of Python, so it cannot be an attribute as the other parts of a path are
_MOST_ADDRESSES = 700
"""Of 320 octets each at most, so that a request stays below 256 kB."""

# The SDK's client logs payloads and the key at DEBUG.
logging.getLogger("python_http_client").setLevel(logging.WARNING)


@dataclass(frozen=True)
class SendGridEmail:
    """Hands emails to SendGrid; ``base_url`` replaces its origin."""

    api_key: str = field(repr=False)
    base_url: str | None = None

    def send_email(self, email: OutgoingEmail) -> Receipt:
        """Hand over one email. Raises ``ProviderError``, or ``InvalidInput`` for what must never be sent."""
        client = _client(self.api_key, self.base_url)
        with _translated():
            answer = client.mail.send.post(request_body=payload(email))
        return Receipt(answer.headers.get("X-Message-Id"))


@dataclass(frozen=True)
class SendGridRecipients:
    """Tells SendGrid about people: erases what it holds, and puts them on its global list.

    An account without the scope ``recipients.erasejob.create`` answers 403: SendGrid's support adds it.
    """

    api_key: str = field(repr=False)
    base_url: str | None = None

    def forget(self, held: HeldByProvider) -> str | None:
        """Start SendGrid's erasure of these addresses: 202, done later. Raises ``ProviderError``."""
        job: str | None = None
        for part in _parts(held.emails):
            with _translated():
                answer = _client(self.api_key, self.base_url).recipients.erasejob.post(
                    request_body={"email_addresses": part}
                )
            job = _job_id(answer.body)
        return job

    def suppress(self, held: HeldByProvider) -> None:
        """Put these addresses on the global list. Raises ``ProviderError``.

        They travel in the body: the SDK does not quote what stands in a path.
        """
        for part in _parts(held.emails):
            with _translated():
                _client(self.api_key, self.base_url).asm.suppressions._(_GLOBAL_LIST).post(
                    request_body={"recipient_emails": part}
                )


@dataclass(frozen=True)
class SendGridLists:
    """SendGrid's own lists of addresses, read page by page and added to (rules.md 6.3)."""

    api_key: str = field(repr=False)
    base_url: str | None = None

    def pages(self, name: str, since: datetime | None) -> Iterator[list[ListedEmail]]:
        """Yield ``/v3/suppression/NAME`` until a short page. Raises ``ProviderError``.

        A line that is none (no address, no time) raises too: better no comparison than half a one.
        """
        asked = {"limit": PAGE, "offset": 0, **({"start_time": int(since.timestamp())} if since else {})}
        client = _client(self.api_key, self.base_url)
        while True:
            with _translated():
                answer = _patiently(lambda: client.suppression._(name).get(query_params=asked))
            page = _lines(answer.body, "created")
            if page:
                yield page
            if len(page) < PAGE:
                return
            asked["offset"] += PAGE

    def left_groups(self) -> list[ListedEmail]:
        """Return who left which group; SendGrid gives all of them at once. Raises ``ProviderError``."""
        with _translated():
            answer = _patiently(_client(self.api_key, self.base_url).asm.suppressions.get)
        return _lines(answer.body, "created_at")

    def groups(self) -> set[int]:
        """Return the numbers of the unsubscribe groups. Raises ``ProviderError``."""
        with _translated():
            answer = _patiently(_client(self.api_key, self.base_url).asm.groups.get)
        return {int(one["id"]) for one in _json_list(answer.body)}

    def stop(self, emails: Sequence[str], group: int | None) -> None:
        """Put addresses on a group's list or the global one. Raises ``ProviderError``.

        The group has to exist: what is put into one that does not lands on the global list (rules.md 6.3).
        """
        for part in _parts(emails):
            asm = _client(self.api_key, self.base_url).asm
            here = asm.suppressions._(_GLOBAL_LIST) if group is None else asm.groups._(str(group)).suppressions
            with _translated():
                _patiently(lambda: here.post(request_body={"recipient_emails": part}))  # noqa: B023  called at once


def _patiently(ask: Callable[[], Any]) -> Any:
    """Ask, and again, as late as it says, where SendGrid says to slow down: a long list is thousands of pages."""
    for _ in range(_PATIENCE):
        try:
            return ask()
        except HTTPError as error:
            if int(error.status_code) != _TOO_MANY:
                raise
            time.sleep(_pause(error.headers))
    return ask()


def _pause(headers: Any) -> float:
    """Return the seconds until ``X-RateLimit-Reset`` (Unix time), between one and sixty."""
    try:
        return min(max(float(headers["X-RateLimit-Reset"]) - time.time(), 1), _LONGEST_PAUSE)
    except (KeyError, TypeError, ValueError):
        return 1


def _lines(body: bytes, created: str) -> list[ListedEmail]:
    try:
        return [
            ListedEmail(str(one["email"]), datetime.fromtimestamp(int(one[created]), UTC), one.get("group_id"))
            for one in _json_list(body)
        ]
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise ProviderError("SendGrid's list has a line we cannot read.", permanent=False, unknown=False) from error


def _json_list(body: bytes) -> list[Any]:
    try:
        found = json.loads(body)
    except ValueError as error:
        raise ProviderError("SendGrid's answer is no JSON.", permanent=False, unknown=False) from error
    if not isinstance(found, list):
        raise ProviderError("SendGrid's answer is no list.", permanent=False, unknown=False)
    return found


def _parts(emails: Sequence[str]) -> Iterator[list[str]]:
    """Yield the addresses in requests of a size that SendGrid takes: 5,000, or 256 kB."""
    for start in range(0, len(emails), _MOST_ADDRESSES):
        yield list(emails[start : start + _MOST_ADDRESSES])


def _job_id(body: bytes) -> str | None:
    try:
        return str(json.loads(body)["job_id"])[:100]
    except (ValueError, KeyError, TypeError):
        return None


def _client(api_key: str, base_url: str | None) -> Any:
    """Return a client of its own: the SDK's shares its headers between threads (stack of the SDK)."""
    made = sendgrid.SendGridAPIClient(api_key, host=base_url or "https://api.sendgrid.com")
    made.client.timeout = TIMEOUT_SECONDS
    return made.client


@contextmanager
def _translated() -> Iterator[None]:
    """Turn what the SDK raises into ``ProviderError``: may it help to try again, may it have been done?"""
    try:
        yield
    except HTTPError as error:
        status = int(error.status_code)
        raise ProviderError(
            f"SendGrid answered {status}.",
            permanent=status < _SERVER_ERRORS and status != _TOO_MANY,
            unknown=status >= _SERVER_ERRORS,
            provider_code=_field_of(error),
        ) from error
    except (urllib.error.URLError, OSError) as error:
        refused = isinstance(getattr(error, "reason", error), ConnectionRefusedError)
        raise ProviderError("SendGrid did not answer.", permanent=False, unknown=not refused) from error


def payload(email: OutgoingEmail) -> dict[str, Any]:
    """Return the request: headers and ids per person, tracking off, and the one bypass for service mail.

    Raises:
        InvalidInput: Marketing that would pass by an unsubscribe list (rules.md M-8).
    """
    if email.bypass_unsubscribes and email.message_class is MessageClass.MARKETING:
        raise InvalidInput("Marketing never bypasses unsubscribes.", field="message_class")
    name, address = parseaddr(email.sender)
    person: dict[str, Any] = {"to": [{"email": email.to}], "custom_args": dict(email.custom_args)}
    if email.headers:
        person["headers"] = dict(email.headers)
    parts = [("text/plain", email.text), ("text/html", email.html)]
    body: dict[str, Any] = {
        "personalizations": [person],
        "from": {"email": address, **({"name": name} if name else {})},
        "subject": email.subject,
        "content": [{"type": kind, "value": value} for kind, value in parts if value],
        "tracking_settings": {
            "subscription_tracking": {"enable": False},
            "click_tracking": {"enable": False, "enable_text": False},
        },
    }
    if email.bypass_unsubscribes:
        body["mail_settings"] = {"bypass_unsubscribe_management": {"enable": True}}
    return body


def _field_of(error: Any) -> str | None:
    """Return the field a refusal is about; the words may repeat the address and stay out."""
    try:
        problems = json.loads(error.body)["errors"]
        return str(problems[0].get("field") or "")[:100] or None
    except (ValueError, KeyError, IndexError, TypeError):
        return None

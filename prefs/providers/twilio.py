"""Twilio through its own SDK, with a time limit and a settable origin (rules.md 5.5, 5.6)."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import requests
from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from prefs.errors import ProviderError
from prefs.providers.ports import LoggedText, OutgoingText, ProviderTimes, Receipt

TIMEOUT_SECONDS = 10
_SERVER_ERRORS = 500
_TOO_MANY = 429

# The SDK logs parameters and answers, numbers and words included, at INFO.
logging.getLogger("twilio.http_client").setLevel(logging.WARNING)


class _Rerouted(TwilioHttpClient):  # type: ignore[misc]  # the SDK has no types
    """Sends every product's requests to one other origin: a test double, or an egress proxy."""

    def __init__(self, base_url: str | None) -> None:
        super().__init__(timeout=TIMEOUT_SECONDS)
        self._base_url = base_url

    def request(self, method: str, url: str, *arguments: Any, **named: Any) -> Any:
        if self._base_url:
            target = urlsplit(self._base_url)
            url = urlunsplit(urlsplit(url)._replace(scheme=target.scheme, netloc=target.netloc))
        return super().request(method, url, *arguments, **named)


@dataclass
class TwilioTexts:
    """Hands texts to Twilio; ``base_url`` replaces scheme and host of every call."""

    account_sid: str
    auth_token: str = field(repr=False)
    base_url: str | None = None
    _client: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._client = Client(self.account_sid, self.auth_token, http_client=_Rerouted(self.base_url))

    def send_text(self, text: OutgoingText) -> Receipt:
        """Hand over one text. Raises ``ProviderError``."""
        sender = "messaging_service_sid" if text.sender.startswith("MG") else "from_"
        wanted: dict[str, Any] = {sender: text.sender, "to": text.to, "body": text.body}
        if text.status_url and text.status_url.startswith("https://"):
            wanted["status_callback"] = text.status_url
        with _translated():
            made = self._client.messages.create(validity_period=text.validity_seconds, **wanted)
        return Receipt(made.sid)

    def message_times(self, sid: str) -> ProviderTimes:
        """Return when Twilio says a text was sent (invariant I01). Raises ``ProviderError``."""
        with _translated():
            sent = self._client.messages(sid).fetch().date_sent
        return ProviderTimes(sent.replace(tzinfo=sent.tzinfo or UTC) if sent else None)

    def texts_since(self, moment: datetime) -> Iterator[LoggedText]:
        """Yield Twilio's own log of texts after a moment, page by page. Raises ``ProviderError``."""
        with _translated():
            for one in self._client.messages.stream(date_sent_after=moment, page_size=500):
                sent = one.date_sent or one.date_created
                if sent is not None:
                    yield _logged(one, sent.replace(tzinfo=sent.tzinfo or UTC))

    def deactivated_on(self, day: date) -> Iterator[str]:
        """Yield the United States numbers deactivated on a day (rules.md 5.6, A-1). Raises ``ProviderError``."""
        with _translated():
            target = self._client.messaging.v1.deactivations().fetch(date=day).redirect_to
            answer = requests.get(target, timeout=TIMEOUT_SECONDS, stream=True)
            if answer.status_code != HTTPStatus.OK:
                raise ProviderError(f"Twilio's list answered {answer.status_code}.", permanent=False)
            for line in answer.iter_lines(decode_unicode=True):
                number = line.strip().strip('"')
                if number:
                    yield number if number.startswith("+") else f"+{number}"


def _logged(one: Any, sent: datetime) -> LoggedText:
    return LoggedText(
        provider_id=one.sid,
        inbound=one.direction == "inbound",
        from_=one.from_ or "",
        to=one.to or "",
        body=one.body or "",
        sent_at=sent,
        service_sid=one.messaging_service_sid,
        error=str(one.error_code) if one.error_code else None,
    )


class _translated:  # noqa: N801  reads as a word in a ``with``
    """Turns what the SDK raises into ``ProviderError``: may it help to try again, may it have gone out?"""

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, TwilioRestException):
            status = int(error.status)
            raise ProviderError(
                f"Twilio answered {status}.",
                permanent=status < _SERVER_ERRORS and status != _TOO_MANY,
                unknown=status >= _SERVER_ERRORS,
                provider_code=str(error.code) if error.code else None,
            ) from error
        if isinstance(error, TwilioException):
            # A page of the log that could not be fetched; its error would carry the page's texts.
            raise ProviderError("Twilio's answer could not be read.", permanent=False) from None
        if isinstance(error, requests.exceptions.ConnectTimeout):
            raise ProviderError("Twilio could not be reached.", permanent=False) from error
        if isinstance(error, requests.exceptions.RequestException):
            refused = "refused" in str(error).lower()
            raise ProviderError("Twilio did not answer.", permanent=False, unknown=not refused) from error

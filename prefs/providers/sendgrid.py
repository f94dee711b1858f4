"""SendGrid v3 mail/send through its SDK, one message to one person (rules.md 6.4, M-7, M-8)."""

import json
import logging
import urllib.error
from dataclasses import dataclass, field
from email.utils import parseaddr
from typing import Any

import sendgrid
from python_http_client.exceptions import HTTPError

from prefs.domain.terms import MessageClass
from prefs.errors import InvalidInput, ProviderError
from prefs.providers.ports import OutgoingEmail, Receipt

TIMEOUT_SECONDS = 10
_SERVER_ERRORS = 500
_TOO_MANY = 429

# The SDK's client logs payloads and the key at DEBUG.
logging.getLogger("python_http_client").setLevel(logging.WARNING)


@dataclass(frozen=True)
class SendGridEmail:
    """Hands emails to SendGrid; ``base_url`` replaces its origin."""

    api_key: str = field(repr=False)
    base_url: str | None = None

    def send_email(self, email: OutgoingEmail) -> Receipt:
        """Hand over one email. Raises ``ProviderError``, or ``InvalidInput`` for what must never be sent."""
        client = self._client()
        try:
            answer = client.client.mail.send.post(request_body=payload(email))
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
        return Receipt(answer.headers.get("X-Message-Id"))

    def _client(self) -> Any:
        """Return a client of its own: the SDK's shares its headers between threads (stack of the SDK)."""
        made = sendgrid.SendGridAPIClient(self.api_key, host=self.base_url or "https://api.sendgrid.com")
        made.client.timeout = TIMEOUT_SECONDS
        return made


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

"""Any SMTP server, with list headers that survive Python's own folding (rules.md 1.7, E-9)."""

import smtplib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP, EmailPolicy
from email.utils import format_datetime, make_msgid, parseaddr
from urllib.parse import unquote, urlsplit

from prefs.errors import ProviderError
from prefs.providers.ports import OutgoingEmail, Receipt

TIMEOUT_SECONDS = 10
_PERMANENT = 500


class _ListHeaders(EmailPolicy):
    """Writes ``List-*`` headers as they are, folded only between their URIs.

    The standard policy turns a long URI into an encoded word that no mail program reads.
    """

    def fold(self, name: str, value: str) -> str:
        return self._verbatim(name, value) or super().fold(name, value)

    def fold_binary(self, name: str, value: str) -> bytes:
        verbatim = self._verbatim(name, value)
        return verbatim.encode("ascii") if verbatim else super().fold_binary(name, value)

    def _verbatim(self, name: str, value: str) -> str | None:
        if not name.lower().startswith("list-"):
            return None
        return f"{name}: {str(value).replace(', ', f',{self.linesep} ')}{self.linesep}"


POLICY = _ListHeaders(linesep=SMTP.linesep)


@dataclass(frozen=True)
class SmtpEmail:
    """Hands emails to ``smtp://user:pass@host:port`` (STARTTLS where offered) or ``smtps://``."""

    url: str = field(repr=False)

    def send_email(self, email: OutgoingEmail) -> Receipt:
        """Hand over one email. Raises ``ProviderError``."""
        message = mime(email)
        handed_over = False
        try:
            with self._connect() as connection:
                handed_over = True
                connection.send_message(message)
        except smtplib.SMTPResponseException as error:
            permanent = error.smtp_code >= _PERMANENT
            raise ProviderError(
                f"The mail server answered {error.smtp_code}.", permanent=permanent, provider_code=str(error.smtp_code)
            ) from error
        except smtplib.SMTPRecipientsRefused as error:
            code = next(iter(error.recipients.values()))[0]
            raise ProviderError(
                f"The mail server answered {code}.", permanent=code >= _PERMANENT, provider_code=str(code)
            ) from error
        except (OSError, smtplib.SMTPException) as error:
            raise ProviderError("The mail server did not answer.", permanent=False, unknown=handed_over) from error
        return Receipt(message["Message-ID"])

    def _connect(self) -> smtplib.SMTP:
        parts = urlsplit(self.url)
        kind = smtplib.SMTP_SSL if parts.scheme == "smtps" else smtplib.SMTP
        connection = kind(parts.hostname or "localhost", parts.port or 0, timeout=TIMEOUT_SECONDS)
        if parts.scheme != "smtps":
            connection.ehlo()
            if connection.has_extn("starttls"):
                connection.starttls()
        if parts.username:
            connection.login(unquote(parts.username), unquote(parts.password or ""))
        return connection


def mime(email: OutgoingEmail) -> EmailMessage:
    """Return the email as a message; the same message id gives the same Message-ID."""
    message = EmailMessage(policy=POLICY)
    message["From"] = email.sender
    message["To"] = email.to
    message["Subject"] = email.subject
    message["Date"] = format_datetime(datetime.now(UTC))
    domain = parseaddr(email.sender)[1].rpartition("@")[2]
    message["Message-ID"] = f"<{email.message_id}@{domain}>" if domain else make_msgid(email.message_id)
    for name, value in email.headers.items():
        message[name] = value
    message.set_content(email.text or "")
    if email.html:
        message.add_alternative(email.html, subtype="html")
    return message

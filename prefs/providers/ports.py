"""What a provider looks like from inside: take one message, say what became of it."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Protocol

from prefs.domain.terms import MessageClass


@dataclass(frozen=True, slots=True)
class OutgoingEmail:
    """One email to one person, complete: headers and footer are already in it.

    ``headers`` holds only what goes beside From, To and Subject, for instance
    ``List-Unsubscribe``. ``custom_args`` are opaque ids, never personal data (rules.md M-7).
    """

    message_id: str
    message_class: MessageClass
    sender: str
    to: str
    subject: str
    text: str
    html: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    custom_args: Mapping[str, str] = field(default_factory=dict)
    bypass_unsubscribes: bool = False


@dataclass(frozen=True, slots=True)
class OutgoingText:
    """One text to one number.

    ``sender`` is a Messaging Service (``MG…``) or a number. ``validity_seconds`` bounds how long
    the provider may hold it back (rules.md 5.6); ``status_url`` is where delivery reports go.
    """

    message_id: str
    message_class: MessageClass
    sender: str
    to: str
    body: str
    validity_seconds: int
    status_url: str | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """The provider took the message; ``provider_id`` is its own name for it, if it gave one."""

    provider_id: str | None


@dataclass(frozen=True, slots=True)
class ProviderTimes:
    """When the provider itself says a text was sent (UTC), or None where it does not say."""

    sent_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedText:
    """One text of the provider's own log. ``sent_at`` is its clock (UTC); ``error`` its code, or None."""

    provider_id: str
    inbound: bool
    from_: str
    to: str
    body: str
    sent_at: datetime
    service_sid: str | None = None
    error: str | None = None


class TextLog(Protocol):
    """What the provider itself remembers. Raises ``ProviderError``."""

    def texts_since(self, moment: datetime) -> Iterable[LoggedText]:
        """Yield the texts of both directions sent after a moment."""
        ...

    def deactivated_on(self, day: date) -> Iterable[str]:
        """Yield the numbers that carriers reported as deactivated on a day."""
        ...


@dataclass(frozen=True, slots=True)
class HeldByProvider:
    """What a provider may hold about somebody: their email addresses, and its own ids of messages with them."""

    emails: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()


class Recipients(Protocol):
    """Tells a provider about a person (GDPR 19). Both calls may be repeated; both raise ``ProviderError``."""

    def forget(self, held: HeldByProvider) -> str | None:
        """Have the provider delete what it holds; return its own name for the task, if it gave one."""
        ...

    def suppress(self, held: HeldByProvider) -> None:
        """Put the addresses on the provider's own list of people who get nothing, where it has one."""
        ...


@dataclass(frozen=True, slots=True)
class ListedEmail:
    """One line of a list the email provider keeps. ``created`` is its clock (UTC); ``group`` its unsubscribe group."""

    email: str
    created: datetime
    group: int | None = None


class EmailLists(Protocol):
    """The lists of people an email provider keeps by itself. Every call raises ``ProviderError``."""

    def pages(self, name: str, since: datetime | None) -> Iterable[Sequence[ListedEmail]]:
        """Yield one list page by page: all of it, or what was added from a moment on."""
        ...

    def left_groups(self) -> Sequence[ListedEmail]:
        """Return who left which unsubscribe group."""
        ...

    def groups(self) -> Collection[int]:
        """Return the unsubscribe groups there are."""
        ...

    def stop(self, emails: Sequence[str], group: int | None) -> None:
        """Put addresses on the list of a group that exists, or on the global one."""
        ...


class EmailProvider(Protocol):
    """Raises ``ProviderError`` when the message was not taken (or may not have been)."""

    def send_email(self, email: OutgoingEmail) -> Receipt: ...


class TextProvider(Protocol):
    """Raises ``ProviderError`` when the message was not taken (or may not have been)."""

    def send_text(self, text: OutgoingText) -> Receipt: ...

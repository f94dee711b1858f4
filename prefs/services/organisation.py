"""Who we are, as footers, pages and texts say it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Organisation:
    """The organisation behind the messages."""

    name: str
    postal_address: str
    phone: str
    privacy_email: str

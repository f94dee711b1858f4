"""Links and headers for outgoing messages: making one writes nothing (contract section 4)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from prefs.domain.ledger import ALL
from prefs.domain.terms import Channel
from prefs.links import ASKED_FOR, IN_A_MESSAGE, Links, LinkTarget, Purpose


@dataclass(frozen=True, slots=True)
class MessageLinks:
    """What a message to one address carries; ``mailto`` and ``headers`` are for email only."""

    unsubscribe: str
    preferences: str
    mailto: str | None
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Linking:
    """Makes links under the configured public origin, never the Host header (reliability.md item 28)."""

    links: Links
    base_url: str
    inbound_mail_domain: str
    now: Callable[[], datetime]

    def for_address(self, channel: Channel, address_key: bytes, topic: int = ALL) -> MessageLinks:
        """Return the links and RFC 8058 headers for one address; ``topic`` is a scope number (rules.md E-9)."""
        target = LinkTarget(Purpose.UNSUBSCRIBE, channel, topic, address_key)
        url = f"{self.base_url}/u/{self.links.make(target)}"
        choices = self.to_choices(channel, address_key, kind=IN_A_MESSAGE, topic=topic)
        if channel is not Channel.EMAIL:
            return MessageLinks(url, choices, None, {})
        mailto = f"mailto:{self.links.make_local_part(target)}@{self.inbound_mail_domain}"
        headers = {
            "List-Unsubscribe": f"<{url}>, <{mailto}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        }
        return MessageLinks(url, choices, mailto, headers)

    def to_choices(self, channel: Channel, address_key: bytes, *, kind: int = ASKED_FOR, topic: int = ALL) -> str:
        """Return a link to the preference center: shows and lowers for 60 days, or raises for 24 hours."""
        target = LinkTarget(Purpose.MANAGE, channel, topic, address_key, self.now(), kind)
        return f"{self.base_url}/p/{self.links.make(target)}"

    def to_confirm(self, channel: Channel, address_key: bytes, choice: int) -> str:
        """Return the link that confirms one pending choice, for seven days (contract D20)."""
        target = LinkTarget(Purpose.CONFIRM, channel, ALL, address_key, self.now(), choice)
        return f"{self.base_url}/confirm/{self.links.make(target)}"

    def to_request(self, address_key: bytes, request: int, *, mailed: bool = False) -> str:
        """Return the link to the progress of one privacy request; a mailed one can prove the address."""
        target = LinkTarget(Purpose.RIGHTS, Channel.EMAIL, ALL, address_key, self.now(), request * 2 + mailed)
        return f"{self.base_url}/rights/{self.links.make(target)}"

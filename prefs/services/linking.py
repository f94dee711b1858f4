"""Links and headers for outgoing messages: making one writes nothing (contract section 4)."""

from dataclasses import dataclass

from prefs.domain.ledger import ALL
from prefs.domain.terms import Channel
from prefs.links import Links, LinkTarget, Purpose


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

    def for_address(self, channel: Channel, address_key: bytes, topic: int = ALL) -> MessageLinks:
        """Return the links and RFC 8058 headers for one address; ``topic`` is a scope number (rules.md E-9)."""
        target = LinkTarget(Purpose.UNSUBSCRIBE, channel, topic, address_key)
        url = f"{self.base_url}/u/{self.links.make(target)}"
        if channel is not Channel.EMAIL:
            return MessageLinks(url, url, None, {})
        mailto = f"mailto:{self.links.make_local_part(target)}@{self.inbound_mail_domain}"
        headers = {
            "List-Unsubscribe": f"<{url}>, <{mailto}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        }
        return MessageLinks(url, url, mailto, headers)

"""How an outgoing message is put together: marketing gets headers and footer, service mail neither."""

from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, select_autoescape

from prefs.domain.catalogue import Sender, Topic
from prefs.domain.regions import CANADA
from prefs.domain.terms import MessageClass
from prefs.errors import InvalidInput
from prefs.providers.ports import OutgoingEmail, OutgoingText
from prefs.services.linking import MessageLinks
from prefs.services.organisation import Organisation

MARKETING_VALIDITY_SECONDS = 900
SERVICE_VALIDITY_SECONDS = 14_400
UNSUBSCRIBE_MARK, PREFERENCES_MARK = "{{unsubscribe_url}}", "{{preferences_url}}"

_templates = Environment(
    loader=PackageLoader("prefs", "mail"), autoescape=select_autoescape(["html"]), trim_blocks=True, lstrip_blocks=True
)


@dataclass(frozen=True, slots=True)
class Content:
    """What a caller wants said, as it lies sealed in the queue."""

    to: str
    subject: str
    text: str
    html: str | None

    @classmethod
    def checked(cls, content: dict[str, Any]) -> "Content":
        """Return the content, refusing what could break out of a header (reliability.md V21)."""
        subject = content.get("subject") or ""
        if any(ord(letter) < 32 or letter in "\x7f\x85\u2028\u2029" for letter in subject):
            raise InvalidInput("A subject is one line.", field="subject")
        return cls(content["to"], subject, content.get("text") or "", content.get("html"))


def build_email(
    message_id: str,
    message_class: MessageClass,
    sender: Sender,
    topic: Topic | None,
    content: Content,
    links: MessageLinks,
    organisation: Organisation,
    country: str | None = None,
) -> OutgoingEmail:
    """Return the email complete; only marketing carries list headers and footer (rules.md E-9, M-7, M-8).

    Service mail goes out as given, but for one line with a stop link to Canada (rules.md K-3, contract D30).
    """
    marketing = message_class is MessageClass.MARKETING
    text, html = content.text, content.html
    if marketing:
        text, html = _with_footer(content, topic, links, organisation)
    elif country in CANADA:
        text, html = _with_end(content, links, "service")
    return OutgoingEmail(
        message_id=message_id,
        message_class=message_class,
        sender=sender.address,
        to=content.to,
        subject=content.subject,
        text=text,
        html=html,
        headers=links.headers if marketing else {},
        custom_args={"message_id": message_id},
        bypass_unsubscribes=not marketing,
    )


def build_text(
    message_id: str, message_class: MessageClass, sender: Sender, content: Content, status_url: str | None
) -> OutgoingText:
    """Return the text; a provider may hold marketing back for a quarter of an hour only (rules.md 5.6)."""
    marketing = message_class is MessageClass.MARKETING
    return OutgoingText(
        message_id=message_id,
        message_class=message_class,
        sender=sender.address,
        to=content.to,
        body=content.text,
        validity_seconds=MARKETING_VALIDITY_SECONDS if marketing else SERVICE_VALIDITY_SECONDS,
        status_url=status_url,
    )


def _with_end(content: Content, links: MessageLinks, name: str, **values: object) -> tuple[str, str | None]:
    """Put a block at the end of both parts, or the links where the caller marked the place."""
    values["unsubscribe_url"] = links.unsubscribe
    text, html = _filled(content.text, links), content.html
    if content.text and UNSUBSCRIBE_MARK not in content.text:
        text = f"{text}\n\n{_templates.get_template(f'{name}.txt').render(values)}"
    if html is not None:
        block = "" if UNSUBSCRIBE_MARK in html else _templates.get_template(f"{name}.html").render(values)
        html = _before_end(_filled(html, links), block)
    return text, html


def _with_footer(
    content: Content, topic: Topic | None, links: MessageLinks, organisation: Organisation
) -> tuple[str, str | None]:
    """Put the footer at the end, unless the caller marked a place for the links."""
    about = topic.name.lower() if topic else "news from us"
    return _with_end(content, links, "footer", org=organisation, topic=about)


def _filled(text: str, links: MessageLinks) -> str:
    """Replace the two marks and nothing else: no template language in what callers write (V18)."""
    return text.replace(UNSUBSCRIBE_MARK, links.unsubscribe).replace(PREFERENCES_MARK, links.preferences)


def _before_end(html: str, footer: str) -> str:
    at = html.lower().rfind("</body>")
    return html + footer if at < 0 else html[:at] + footer + html[at:]

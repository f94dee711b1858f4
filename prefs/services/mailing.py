"""How an outgoing message is put together: marketing gets headers and footer, service mail neither."""

from dataclasses import dataclass
from email.utils import parseaddr
from typing import Any

from prefs import words
from prefs.domain.catalogue import Sender, Topic
from prefs.domain.regions import CANADA
from prefs.domain.terms import MessageClass
from prefs.errors import InvalidInput
from prefs.providers.ports import OutgoingEmail, OutgoingText
from prefs.services.linking import MessageLinks
from prefs.services.organisation import Organisation
from prefs.services.rendering import mail_templates

MARKETING_VALIDITY_SECONDS = 900
SERVICE_VALIDITY_SECONDS = 14_400
UNSUBSCRIBE_MARK, PREFERENCES_MARK = "{{unsubscribe_url}}", "{{preferences_url}}"


@dataclass(frozen=True, slots=True)
class Recipient:
    """What the footer has to know: the contact's country and language, and whether they said yes."""

    country: str | None = None
    language: str = words.DEFAULT
    agreed: bool = False


@dataclass(frozen=True, slots=True)
class Content:
    """What is to be said, as it lies sealed in the queue; ``own`` marks our own notices.

    ``forget`` is the last mail to somebody who is erased: its row goes once it was handed over.
    """

    to: str
    subject: str
    text: str
    html: str | None
    own: bool = False
    forget: bool = False

    @classmethod
    def checked(cls, content: dict[str, Any]) -> "Content":
        """Return the content, refusing what could break out of a header (reliability.md V21)."""
        subject = content.get("subject") or ""
        if any(ord(letter) < 32 or letter in "\x7f\x85\u2028\u2029" for letter in subject):
            raise InvalidInput("A subject is one line.", field="subject")
        own, forget = bool(content.get("own")), bool(content.get("forget"))
        return cls(content["to"], subject, content.get("text") or "", content.get("html"), own, forget)


def build_email(
    message_id: str,
    message_class: MessageClass,
    sender: Sender,
    topic: Topic | None,
    content: Content,
    links: MessageLinks,
    organisation: Organisation,
    recipient: Recipient,
) -> OutgoingEmail:
    """Return the email complete; only marketing carries list headers and footer (rules.md E-9, M-7, M-8).

    Service mail goes out as given, but for one line with a stop link to Canada (rules.md K-3,
    contract D30); our own notices say that line in their own words.
    """
    marketing = message_class is MessageClass.MARKETING
    text, html = content.text, content.html
    if marketing:
        text, html = _with_footer(content, topic, links, organisation, recipient)
    elif recipient.country in CANADA and not content.own:
        text, html = _with_end(content, links, "service", recipient.language)
    return OutgoingEmail(
        message_id=message_id,
        message_class=message_class,
        sender=sender.address,
        to=content.to,
        subject=content.subject,
        text=text,
        html=html,
        headers={**links.headers, **_list_id(sender, topic)} if marketing else {},
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


def _list_id(sender: Sender, topic: Topic | None) -> dict[str, str]:
    """Name the list by its number: a topic's name may say something about health (RFC 2919, item 44)."""
    domain = parseaddr(sender.address)[1].rpartition("@")[2]
    return {"List-Id": f"<topic-{topic.number}.{domain}>"} if topic and domain else {}


def _with_end(
    content: Content, links: MessageLinks, name: str, language: str, **values: object
) -> tuple[str, str | None]:
    """Put a block at the end of both parts, or the links where the caller marked the place."""
    values |= {"unsubscribe_url": links.unsubscribe, "preferences_url": links.preferences}
    templates = mail_templates(language)
    text, html = _filled(content.text, links), content.html
    if content.text and UNSUBSCRIBE_MARK not in content.text:
        text = f"{text}\n\n{templates.get_template(f'{name}.txt').render(values)}"
    if html is not None:
        block = "" if UNSUBSCRIBE_MARK in html else templates.get_template(f"{name}.html").render(values)
        html = _before_end(_filled(html, links), block)
    return text, html


def _with_footer(
    content: Content, topic: Topic | None, links: MessageLinks, organisation: Organisation, recipient: Recipient
) -> tuple[str, str | None]:
    """Put the footer at the end, unless the caller marked a place for the links."""
    language = recipient.language
    name = topic.said(language)[0] if topic else ""
    if recipient.agreed:
        reason = words.gettext(language, "You get this because you said yes to “%(topic)s”.", topic=name)
    else:
        reason = words.gettext(
            language,
            "You get this because you are a customer of ours and have not said no to “%(topic)s”.",
            topic=name,
        )
    return _with_end(content, links, "footer", language, org=organisation, reason=reason)


def _filled(text: str, links: MessageLinks) -> str:
    """Replace the two marks and nothing else: no template language in what callers write (V18)."""
    return text.replace(UNSUBSCRIBE_MARK, links.unsubscribe).replace(PREFERENCES_MARK, links.preferences)


def _before_end(html: str, footer: str) -> str:
    at = html.lower().rfind("</body>")
    return html + footer if at < 0 else html[:at] + footer + html[at:]

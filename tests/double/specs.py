"""Do the providers' own descriptions accept what their SDKs send for us?

    python -m tests.double.specs FOLDER

FOLDER holds ``twilio_api_v2010.json``, ``tsg_mail_v3.json`` and ``tsg_suppressions_v3.json`` as the
providers publish them. Exit 1 where a request breaks its description, 2 where the folder lacks one.
SendGrid's ``tsg_recipients_data_erasure_v3.json`` is used where the folder has it.
"""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from openapi_core import OpenAPI
from openapi_core.datatypes import RequestParameters
from openapi_core.exceptions import OpenAPIError

from prefs.domain.terms import MessageClass
from prefs.providers.ports import HeldByProvider, OutgoingEmail, OutgoingText
from prefs.providers.sendgrid import SendGridEmail, SendGridLists, SendGridRecipients
from prefs.providers.twilio import TwilioTexts
from tests.double.provider import ACCOUNT, SENDGRID_KEY, TOKEN, ProviderDouble, Seen

FILES = {
    "/2010-04-01": ("twilio_api_v2010.json", "https://api.twilio.com"),
    "/v3/mail": ("tsg_mail_v3.json", "https://api.sendgrid.com"),
    "/v3/asm": ("tsg_suppressions_v3.json", "https://api.sendgrid.com"),
    "/v3/suppression": ("tsg_suppressions_v3.json", "https://api.sendgrid.com"),
    "/v3/recipients": ("tsg_recipients_data_erasure_v3.json", "https://api.sendgrid.com"),
}
OPTIONAL = {"tsg_recipients_data_erasure_v3.json"}


class SentRequest:
    """A request the double saw, as openapi-core wants it."""

    def __init__(self, seen: Seen, host: str) -> None:
        self.host_url = host
        self.path = urlsplit(seen.url).path
        self.method = seen.method.lower()
        self.content_type = seen.headers.get("Content-Type", "").partition(";")[0]
        self.body = seen.body
        self.parameters = RequestParameters(header=seen.headers, query=dict(parse_qsl(urlsplit(seen.url).query)))


def main(folder: Path) -> int:
    """Drive the providers against the double, then hold every request against its description."""
    missing = [name for name, _ in FILES.values() if name not in OPTIONAL and not (folder / name).exists()]
    if missing:
        print(f"{folder} lacks {', '.join(missing)}.")
        return 2
    described = {
        prefix: (OpenAPI.from_dict(json.loads((folder / name).read_text())), host)
        for prefix, (name, host) in FILES.items()
        if (folder / name).exists()
    }
    with ProviderDouble() as double:
        _drive(double)
        broken = 0
        for seen in double.requests:
            path = urlsplit(seen.url).path
            found = next((pair for prefix, pair in described.items() if path.startswith(prefix)), None)
            if found is None:
                print(f"unheld  {seen.method} {path}: no description in {folder.name}")
                continue
            problem = _problem(found[0], SentRequest(seen, found[1]))
            broken += problem is not None
            print(f"{'BROKEN' if problem else 'ok    '} {seen.method} {path}", problem or "")
    return 1 if broken else 0


def _problem(openapi: OpenAPI, sent: SentRequest) -> str | None:
    try:
        openapi.validate_request(sent)  # type: ignore[arg-type]
    except OpenAPIError as error:
        causes = getattr(error.__cause__, "schema_errors", None) or [error.__cause__ or error]
        return "; ".join(str(one).splitlines()[0] for one in causes)
    return None


def _drive(double: ProviderDouble) -> None:
    texts = TwilioTexts(ACCOUNT, TOKEN, base_url=double.url)
    for sender in ("MG" + "2" * 32, "+15005550006"):
        sid = texts.send_text(_text(sender)).provider_id
        texts.message_times(str(sid))
        texts.forget(HeldByProvider(messages=(str(sid),)))
    mails = SendGridEmail(SENDGRID_KEY, base_url=double.url)
    mails.send_email(_email(MessageClass.MARKETING, html=None))
    mails.send_email(_email(MessageClass.TRANSACTIONAL, html="<p>Hello</p>"))
    people = SendGridRecipients(SENDGRID_KEY, base_url=double.url)
    people.forget(HeldByProvider(emails=("a/b+c@example.com",)))
    people.suppress(HeldByProvider(emails=("a/b+c@example.com",)))
    _drive_lists(SendGridLists(SENDGRID_KEY, base_url=double.url), double)


def _drive_lists(lists: SendGridLists, double: ProviderDouble) -> None:
    since = datetime(2026, 11, 24, 17, tzinfo=UTC)
    for number in range(501):
        double.listed("bounces", f"gone{number}@example.com", since)
    double.left_group(7, "ada@example.com", since)
    for name in ("unsubscribes", "spam_reports", "bounces", "invalid_emails", "blocks"):
        for moment in (None, since):
            list(lists.pages(name, moment))
    lists.left_groups()
    lists.groups()
    lists.stop(["a/b+c@example.com"], None)
    lists.stop(["a/b+c@example.com"], 7)


def _text(sender: str) -> OutgoingText:
    return OutgoingText(
        "msg_1", MessageClass.MARKETING, sender, "+14155550123", "Hello", 900, "https://prefs.example/s"
    )


def _email(kind: MessageClass, html: str | None) -> OutgoingEmail:
    marketing = kind is MessageClass.MARKETING
    headers = {"List-Unsubscribe": "<https://prefs.example/u/x>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
    return OutgoingEmail(
        message_id="msg_1",
        message_class=kind,
        sender="Northwind <news@northwind.example>",
        to="ada@example.com",
        subject="Hello",
        text="Hello",
        html=html,
        headers=headers if marketing else {},
        custom_args={"message_id": "msg_1"},
        bypass_unsubscribes=not marketing,
    )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        print(__doc__)
        sys.exit(2)
    sys.exit(main(Path(sys.argv[1])))

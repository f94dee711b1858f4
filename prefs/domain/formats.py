"""Which tools' exports we read, and what a row of each means: one table, with the page each was taken from.

A format is recognised by its header. What could not be sourced stands in ``UNSUPPORTED`` with
the way around it, rather than being guessed. Nothing here ever means an opt-in: a row that
says somebody is subscribed is passed over (reliability.md R5, V49).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from prefs.domain.consent_words import names_consent
from prefs.domain.terms import Channel, Reason
from prefs.errors import InvalidInput

WHAT, HOW = "what_is_wrong", "how_to_fix"
"""The two columns a file of rejected rows has behind the caller's own."""

OWN = "prefs"
LIFTED = "lifted"
"""How the column of addresses begins in the second file of a delta of our own: who is to come off the list."""
PLAIN, MD5, SHA256, REGISTRY = "plain", "md5", "sha256", "dnc-registry"
CONSENTS = "consents"
NO_CONSENTS = "Consents are imported in the console only, with proof for each row and a second person."
HEX_DIGITS = {MD5: 32, SHA256: 64}


class Test(StrEnum):
    """How a cell is looked at; capitals and spaces around it never matter."""

    __test__ = False  # not a class of tests

    IS = "is"
    HAS = "has"
    FILLED = "filled"
    YES = "yes"


@dataclass(frozen=True, slots=True)
class When:
    """One rule: a cell that passes the test means this reason, or None for "nobody opted out"."""

    column: str
    test: Test
    value: str
    means: Reason | None


REST = "*"
"""As a column: any column that neither the address nor another rule has."""

REJECT = "reject"
IGNORE = "ignore"


class Shows(StrEnum):
    """What a format's source shows: an export itself, or only the names its tool gives the same fields."""

    EXPORT = "an export"
    UPLOAD = "a CSV of the same columns that the tool takes in"
    FIELDS = "names of the tool's fields, no export"


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One kind of file. ``needs`` are header names, lower-case; ``exact`` allows no others.

    ``rules`` are asked in order, the first that fits decides; ``otherwise`` is a reason for
    every row, or ``ignore``, or ``reject`` for words the table does not know. ``channel`` None
    asks the caller, except for the registry, which is about every channel of a number. ``shows``
    says how near ``source`` comes to the file itself.
    """

    name: str
    tool: str
    source: str
    needs: frozenset[str]
    rules: tuple[When, ...] = ()
    otherwise: Reason | str = Reason.UNSUBSCRIBED
    exact: bool = False
    address: tuple[str, ...] = ("email",)
    channel: Channel | None = Channel.EMAIL
    since: str | None = None
    note: str = ""
    shows: Shows = Shows.EXPORT


def _format(name: str, tool: str, source: str, needs: str, **more: object) -> Format:
    return Format(name=name, tool=tool, source=source, needs=frozenset(needs.split("|")), **more)  # type: ignore[arg-type]


_SENDGRID = "https://github.com/twilio/sendgrid-oai/blob/main/spec/json/tsg_suppressions_v3.json"
_MAILGUN = "https://documentation.mailgun.com/docs/mailgun/api-reference/send/mailgun/"
_MAILCHIMP = "https://kb.mailchimp.com/lists/managing-subscribers/view-unsubscribed-and-cleaned-addresses"
_HUBSPOT = "https://knowledge.hubspot.com/articles/kcs_article/contacts/"
_KLAVIYO = "https://help.klaviyo.com/hc/en-us/articles/115005246108-Understanding-suppressed-email-profiles"
_FTC = "https://webarchive.library.unt.edu/eot2008/20090118211551/http://www.ftc.gov/opa/2003/08/tmkraccessinfo.htm"
_HASHES = "docs/import-export.md"

FORMATS: tuple[Format, ...] = (
    _format(
        OWN,
        "prefs export",
        "docs/import-export.md",
        "channel|to|scope|reason|source|since",
        address=("to",),
        channel=None,
        since="since",
        note="Reads back what `prefs export` wrote, to the same facts.",
    ),
    _format(
        "sendgrid-unsubscribes",
        "SendGrid, global unsubscribes",
        _SENDGRID,
        "email|created",
        exact=True,
        since="created",
        shows=Shows.FIELDS,
    ),
    _format(
        "sendgrid-spam-reports",
        "SendGrid, spam reports",
        _SENDGRID,
        "created|email|ip",
        exact=True,
        otherwise=Reason.COMPLAINT,
        since="created",
        shows=Shows.FIELDS,
    ),
    _format(
        "sendgrid-invalid",
        "SendGrid, invalid emails",
        _SENDGRID,
        "created|email|reason",
        exact=True,
        otherwise=Reason.INVALID_ADDRESS,
        since="created",
        shows=Shows.FIELDS,
    ),
    _format(
        "sendgrid-bounces",
        "SendGrid, bounces",
        _SENDGRID,
        "created|email|reason|status",
        exact=True,
        otherwise=Reason.HARD_BOUNCE,
        since="created",
        note="Has the columns of blocks: always named, never guessed.",
        shows=Shows.FIELDS,
    ),
    _format(
        "sendgrid-blocks",
        "SendGrid, blocks",
        _SENDGRID,
        "created|email|reason|status",
        exact=True,
        otherwise=IGNORE,
        since="created",
        note="A receiving server refused one message: neither an opt-out nor a bounce. Rows are passed over.",
        shows=Shows.FIELDS,
    ),
    _format(
        "mailgun-unsubscribes",
        "Mailgun, unsubscribes",
        _MAILGUN + "unsubscribe",
        "address|tags|created_at",
        address=("address",),
        since="created_at",
        note="An unsubscribe from one tag is taken as one from everything, unless `--scope` says what the tag was.",
        shows=Shows.UPLOAD,
    ),
    _format(
        "mailgun-bounces",
        "Mailgun, bounces",
        _MAILGUN + "bounces",
        "address|code|error|created_at",
        address=("address",),
        otherwise=Reason.HARD_BOUNCE,
        since="created_at",
        note="Mailgun lists permanent failures only.",
        shows=Shows.UPLOAD,
    ),
    _format(
        "mailgun-complaints",
        "Mailgun, complaints",
        _MAILGUN + "complaints",
        "address|created_at",
        exact=True,
        address=("address",),
        otherwise=Reason.COMPLAINT,
        since="created_at",
        shows=Shows.UPLOAD,
    ),
    _format(
        "postmark",
        "Postmark, suppressions",
        "https://postmarkapp.com/developer/api/suppressions-api",
        "emailaddress|suppressionreason|origin|createdat",
        address=("emailaddress",),
        rules=(
            When("suppressionreason", Test.IS, "hardbounce", Reason.HARD_BOUNCE),
            When("suppressionreason", Test.IS, "spamcomplaint", Reason.COMPLAINT),
            When("suppressionreason", Test.IS, "manualsuppression", Reason.UNSUBSCRIBED),
        ),
        otherwise=REJECT,
        since="createdat",
        shows=Shows.FIELDS,
    ),
    _format(
        "amazon-ses",
        "Amazon SES, account suppression list",
        "https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SuppressedDestination.html",
        "emailaddress|reason|lastupdatetime",
        address=("emailaddress",),
        rules=(
            When("reason", Test.IS, "bounce", Reason.HARD_BOUNCE),
            When("reason", Test.IS, "complaint", Reason.COMPLAINT),
        ),
        otherwise=REJECT,
        since="lastupdatetime",
        shows=Shows.FIELDS,
    ),
    _format(
        "campaign-monitor",
        "Campaign Monitor, suppression list",
        "https://github.com/campaignmonitor/createsend-python/blob/master/test/fixtures/suppressionlist.json",
        "emailaddress|suppressionreason|date|state",
        address=("emailaddress",),
        rules=(When("suppressionreason", Test.IS, "unsubscribed", Reason.UNSUBSCRIBED),),
        otherwise=REJECT,
        since="date",
        shows=Shows.FIELDS,
    ),
    _format(
        "mailchimp-unsubscribed",
        "Mailchimp, unsubscribed",
        _MAILCHIMP,
        "email address|leid|euid|unsub_time",
        address=("email address",),
        rules=(When("unsub_time", Test.FILLED, "", Reason.UNSUBSCRIBED),),
        otherwise=IGNORE,
        since="unsub_time",
    ),
    _format(
        "mailchimp-cleaned",
        "Mailchimp, cleaned",
        _MAILCHIMP,
        "email address|leid|euid|clean_time",
        address=("email address",),
        rules=(When("clean_time", Test.FILLED, "", Reason.HARD_BOUNCE),),
        otherwise=IGNORE,
        since="clean_time",
        note="Mailchimp cleans addresses that cannot be delivered to; nobody opted out.",
    ),
    _format(
        "mailchimp-subscribed",
        "Mailchimp, subscribed",
        _MAILCHIMP,
        "email address|leid|euid",
        address=("email address",),
        otherwise=IGNORE,
        note="Subscribers: every row is passed over.",
    ),
    _format(
        "klaviyo-profiles",
        "Klaviyo, profiles or suppressed profiles",
        _KLAVIYO,
        "email|email marketing consent",
        rules=(
            When("email suppressions", Test.HAS, "spam_complaint", Reason.COMPLAINT),
            When("email marketing consent", Test.IS, "unsubscribed", Reason.UNSUBSCRIBED),
            When("email suppressions", Test.HAS, "unsubscribe", Reason.UNSUBSCRIBED),
            When("email suppressions", Test.HAS, "user_suppressed", Reason.UNSUBSCRIBED),
            When("email suppressions", Test.HAS, "invalid_email", Reason.INVALID_ADDRESS),
            When("email suppressions", Test.HAS, "hard_bounce", Reason.HARD_BOUNCE),
            When("email marketing consent", Test.IS, "subscribed", None),
            When("email marketing consent", Test.IS, "never_subscribed", None),
            When("email marketing consent", Test.IS, "", None),
        ),
        otherwise=REJECT,
        note="Email only: export people who left by text from your SMS provider.",
    ),
    _format(
        "hubspot-unsubscribes",
        "HubSpot, unsubscribes and bounces",
        _HUBSPOT + "what-do-the-columns-mean-in-csv-i-receive-when-i-export-unsubscribes-and-bounces",
        "portal bounce|portal unsubscribe|portal spam report|global bounce",
        address=("email", "email address", "recipient"),
        rules=(
            When("portal spam report", Test.YES, "", Reason.COMPLAINT),
            When("portal unsubscribe", Test.YES, "", Reason.UNSUBSCRIBED),
            When(REST, Test.YES, "", Reason.UNSUBSCRIBED),
            When("portal bounce", Test.YES, "", Reason.HARD_BOUNCE),
            When("global bounce", Test.YES, "", Reason.HARD_BOUNCE),
        ),
        otherwise=IGNORE,
        note="An unsubscribe from one email type is taken as one from everything, unless `--scope` says what it was.",
    ),
    _format(
        "hubspot-contacts",
        "HubSpot, contacts",
        "https://knowledge.hubspot.com/marketing-email/import-an-opt-out-list",
        "email|unsubscribed from all email",
        rules=(When("unsubscribed from all email", Test.YES, "", Reason.UNSUBSCRIBED),),
        otherwise=IGNORE,
        shows=Shows.FIELDS,
    ),
    _format(
        "braze",
        "Braze, segment export",
        "https://www.braze.com/docs/user_guide/data/distribution/export_braze_data/segment_data_to_csv",
        "email|unsubscribed_from_emails_at",
        rules=(When("unsubscribed_from_emails_at", Test.FILLED, "", Reason.UNSUBSCRIBED),),
        otherwise=IGNORE,
        since="unsubscribed_from_emails_at",
    ),
    _format(
        "iterable",
        "Iterable, users",
        "https://support.iterable.com/hc/en-us/articles/217744303-User-Profile-Fields-Used-by-Iterable-",
        "email|unsubscribedchannelids",
        rules=(
            When("unsubscribedchannelids", Test.FILLED, "", Reason.UNSUBSCRIBED),
            When("unsubscribedmessagetypeids", Test.FILLED, "", Reason.UNSUBSCRIBED),
        ),
        otherwise=IGNORE,
        note="An unsubscribe from one channel or message type is taken as one from everything.",
        shows=Shows.FIELDS,
    ),
    _format(
        "listmonk",
        "listmonk, subscribers",
        "https://github.com/knadh/listmonk/blob/master/cmd/subscribers.go",
        "uuid|email|name|attributes|status|created_at|updated_at",
        rules=(
            When("status", Test.IS, "blocklisted", Reason.UNSUBSCRIBED),
            When("status", Test.IS, "enabled", None),
            When("status", Test.IS, "disabled", None),
        ),
        otherwise=REJECT,
        note="listmonk leaves unsubscribes from single lists out of this export (issue 738): export those lists apart.",
    ),
    _format(
        "twilio-consents",
        "Twilio, consents",
        "https://www.twilio.com/docs/messaging/features/bulk-upsert-consents-api",
        "contact_id|sender_id|status",
        address=("contact_id",),
        channel=Channel.SMS,
        rules=(
            When("status", Test.IS, "opt-out", Reason.UNSUBSCRIBED),
            When("status", Test.IS, "opt-in", None),
            When("status", Test.IS, "re-opt-in", None),
        ),
        otherwise=REJECT,
        since="date_of_consent",
        note="What people texted to your own numbers comes in by `prefs sync twilio`.",
        shows=Shows.FIELDS,
    ),
    _format(
        REGISTRY,
        "National Do Not Call Registry, full list",
        _FTC,
        "area_code|number",
        address=("number",),
        channel=None,
        otherwise=Reason.DO_NOT_CALL,
        note="Area code and number, no header; counts for texts and calls. Change lists are not read.",
    ),
    _format(
        PLAIN,
        "any list of addresses, one a row",
        "docs/import-export.md",
        "",
        address=(),
        channel=None,
        note="Every row is an opt-out. A file with a column that may say otherwise is taken so only where it is named.",
    ),
    _format(MD5, "a list of MD5 hashes", _HASHES, "", address=(), channel=None),
    _format(SHA256, "a list of SHA-256 hashes", _HASHES, "", address=(), channel=None),
)

BY_NAME = {one.name: one for one in FORMATS}

AGREED = _format(CONSENTS, "people who agreed", _HASHES, "kind|agreed_at|source", otherwise=IGNORE, address=())
"""No list of stops, so no row of the table: ``domain.agreed`` reads it, and only the console asks for it (D31)."""

UNSUPPORTED: dict[str, str] = {
    "ActiveCampaign": "No page names its export's columns. Export the unsubscribed contacts alone and import the "
    "column of addresses with --format plain.",
    "Constant Contact": "Only a forum post and other people's code name the columns of its export. Export the contacts "
    "with the status unsubscribed alone and import the column of addresses with --format plain.",
    "Mautic": "Its contact export leaves do-not-contact out (github.com/mautic/mautic/issues/11679). Make a report of "
    "contacts with a do-not-contact reason and import its addresses with --format plain.",
    "SendGrid, unsubscribes of one group": "No page shows this export's columns, and the API gives addresses alone. "
    "Keep the column of addresses and add --format plain --scope topic:….",
    "Klaviyo, text consents": "No page names the columns. Export the people who left and use --format plain.",
    "National Do Not Call Registry, change list": "It also lists numbers that left the registry, which an import "
    "never acts on. Download the full list.",
    "Excel workbooks": "Save the sheet as CSV.",
}


def named(name: str) -> Format:
    """Return a format by name. Raises ``InvalidInput`` that lists the names."""
    if name == CONSENTS:
        raise InvalidInput(NO_CONSENTS, field="format", code="consents")
    if name not in BY_NAME:
        raise InvalidInput(f"Formats are: auto, {', '.join(BY_NAME)}.", field="format")
    return BY_NAME[name]


def of_import(name: str) -> Format:
    """Return the format an import was read in."""
    return AGREED if name == CONSENTS else BY_NAME[name]


def are_agreements(header: Iterable[str]) -> bool:
    """True where the columns (lower-case names) are those of people who agreed."""
    return AGREED.needs <= set(header)


def recognise(header: tuple[str, ...]) -> Format | None:
    """Return the format of a header (lower-case names), or None where it is a plain list.

    Raises:
        InvalidInput: The header fits several formats that mean different things, it has a column
            about consent that no format explains, or it is of what stands no more; the message says
            what to do.
    """
    names = frozenset(header)
    if are_agreements(names):
        raise InvalidInput(NO_CONSENTS, field="format", code="consents")
    if any(name.startswith(LIFTED) for name in names):
        raise InvalidInput(
            "These rows are to come off a list: `prefs export --since` wrote them beside those that are new. "
            "An import never removes; import the other file.",
            field="format",
            code="unknown_format",
        )
    fitting = [one for one in FORMATS if one.needs != {""} and _fits(one, names)]
    most = max((len(one.needs) for one in fitting), default=0)
    best = [one for one in fitting if len(one.needs) == most]
    if len(best) > 1:
        choice = " or ".join(f"--format {one.name}" for one in best)
        raise InvalidInput(
            f"These columns fit {' and '.join(one.tool for one in best)}, which mean different things. Add {choice}.",
            field="format",
            code="ambiguous_format",
        )
    if best:
        return best[0]
    telling = [name for name in header if names_consent(name)]
    if telling:
        raise InvalidInput(
            f"The column {telling[0]!r} may say who opted out, and no known format explains it. Keep only the rows of "
            "people who opted out and add --format plain, or name the format.",
            field="format",
            code="unknown_format",
        )
    return None


def _fits(one: Format, names: frozenset[str]) -> bool:
    if one.name == REGISTRY or not one.needs <= names:
        return False
    return not one.exact or one.needs == names

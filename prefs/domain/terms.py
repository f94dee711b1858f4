"""The vocabulary. Enum values are the words that are stored, sent and logged."""

from enum import StrEnum


class Channel(StrEnum):
    """How a message travels. ``sms`` covers MMS and RCS too (rules.md W-7)."""

    EMAIL = "email"
    SMS = "sms"
    VOICE = "voice"
    WHATSAPP = "whatsapp"
    PUSH = "push"
    POSTAL = "postal"


class AddressKind(StrEnum):
    """What an address is; one telephone number serves three channels."""

    EMAIL = "email"
    PHONE = "phone"
    PUSH = "push"
    POSTAL = "postal"


KIND_OF_CHANNEL: dict[Channel, AddressKind] = {
    Channel.EMAIL: AddressKind.EMAIL,
    Channel.SMS: AddressKind.PHONE,
    Channel.VOICE: AddressKind.PHONE,
    Channel.WHATSAPP: AddressKind.PHONE,
    Channel.PUSH: AddressKind.PUSH,
    Channel.POSTAL: AddressKind.POSTAL,
}

CHANNELS_OF_KIND: dict[AddressKind, tuple[Channel, ...]] = {
    kind: tuple(channel for channel, its_kind in KIND_OF_CHANNEL.items() if its_kind is kind) for kind in AddressKind
}


class MessageClass(StrEnum):
    """What a message is for; the class decides which rules are asked."""

    MARKETING = "marketing"
    TRANSACTIONAL = "transactional"
    EMERGENCY = "emergency"


class Need(StrEnum):
    """What must be on record before a topic may use a channel."""

    CONSENT = "consent"
    NO_OBJECTION = "no_objection"


class Act(StrEnum):
    """What an entry does to a person's standing (contract D6, D13).

    ``sale_opt_out`` is the right not to have data sold or shared (rules.md G-8): it stands on
    its own and says nothing about marketing.
    """

    OPT_OUT = "opt_out"
    OPT_IN = "opt_in"
    LIFT = "lift"
    UNREACHABLE = "unreachable"
    SALE_OPT_OUT = "sale_opt_out"


class ConsentKind(StrEnum):
    """How somebody agreed (contract D9, D12).

    ``own_act`` is the person's doing, proven through the address itself; ``express`` was
    recorded by a caller; ``pending`` waits for its confirmation.
    """

    OWN_ACT = "own_act"
    EXPRESS = "express"
    SOFT_OPT_IN = "soft_opt_in"
    IMPLIED = "implied"
    PENDING = "pending"


class Outcome(StrEnum):
    """The answer to "may this be sent now?"."""

    ALLOWED = "allowed"
    BLOCKED = "blocked"
    DEFERRED = "deferred"


class Reason(StrEnum):
    """Why something is blocked or deferred (contract section 6)."""

    UNSUBSCRIBED = "unsubscribed"
    COMPLAINT = "complaint"
    OBJECTION = "objection"
    DO_NOT_CALL = "do_not_call"
    DNC_SCRUB_STALE = "dnc_scrub_stale"
    SNOOZED = "snoozed"
    NO_CONSENT = "no_consent"
    CONSENT_PENDING = "consent_pending"
    CONSENT_EXPIRED = "consent_expired"
    NUMBER_REASSIGNED = "number_reassigned"
    HARD_BOUNCE = "hard_bounce"
    INVALID_ADDRESS = "invalid_address"
    NOT_SMS_CAPABLE = "not_sms_capable"
    PROVIDER_BLOCK = "provider_block"
    REVOKED_IN_REPLY = "revoked_in_reply"
    UNAVAILABLE = "unavailable"
    ERASED = "erased"
    RESTRICTED = "restricted"
    DO_NOT_CONTACT = "do_not_contact"
    QUIET_HOURS = "quiet_hours"
    FREQUENCY_CAP = "frequency_cap"


class Source(StrEnum):
    """The doors we built ourselves; callers may name others, any slug (contract D28)."""

    ONE_CLICK = "one_click"
    UNSUBSCRIBE_PAGE = "unsubscribe_page"
    PREFERENCE_PAGE = "preference_page"
    STOP_PAGE = "stop_page"
    CONFIRM_PAGE = "confirm_page"
    RIGHTS_PAGE = "rights_page"
    MAIL = "mail"
    BROWSER_SIGNAL = "browser_signal"
    SMS_KEYWORD = "sms_keyword"
    SENDGRID_EVENT = "sendgrid_event"
    PROVIDER_OPTOUT = "provider_optout"
    PROVIDER_TIMES = "provider_times"
    API = "api"
    CLI = "cli"
    CONTACT_JOIN = "contact_join"
    STAFF = "staff"


class TextClass(StrEnum):
    """What an inbound text asks for (rules.md section 4)."""

    STOP = "stop"
    START = "start"
    HELP = "help"
    UNCLEAR = "unclear"
    NONE = "none"

"""The engine's words as staff read them: one table each for channels, reasons and sources."""

from prefs.domain.terms import Channel, Reason, Source

CHANNEL_NAMES: dict[str, str] = {
    Channel.EMAIL: "Email",
    Channel.SMS: "Text",
    Channel.VOICE: "Phone call",
    Channel.WHATSAPP: "WhatsApp",
    Channel.PUSH: "Push",
    Channel.POSTAL: "Letter",
    "any": "Every channel",
}

REASON_NAMES: dict[str, str] = {
    Reason.UNSUBSCRIBED: "Opted out",
    Reason.COMPLAINT: "Complained",
    Reason.OBJECTION: "Objected to marketing",
    Reason.DO_NOT_CALL: "On a do-not-call list",
    Reason.DNC_SCRUB_STALE: "Do-not-call list too old",
    Reason.SNOOZED: "Paused by the person",
    Reason.NO_CONSENT: "No consent on record",
    Reason.CONSENT_PENDING: "Consent not confirmed yet",
    Reason.CONSENT_EXPIRED: "Consent ran out",
    Reason.NUMBER_REASSIGNED: "Number changed hands",
    Reason.HARD_BOUNCE: "Address bounced",
    Reason.INVALID_ADDRESS: "Address cannot exist",
    Reason.NOT_SMS_CAPABLE: "Number takes no texts",
    Reason.PROVIDER_BLOCK: "Blocked at the provider",
    Reason.REVOKED_IN_REPLY: "Stopped every text",
    Reason.UNAVAILABLE: "Could not be told, so not sent",
    Reason.ERASED: "Data deleted",
    Reason.RESTRICTED: "Privacy request open",
    Reason.DO_NOT_CONTACT: "Never to be contacted",
    Reason.QUIET_HOURS: "Waits for the morning",
    Reason.FREQUENCY_CAP: "Had enough messages lately",
}

SOURCE_NAMES: dict[str, str] = {
    Source.ONE_CLICK: "Unsubscribe button in the mail app",
    Source.UNSUBSCRIBE_PAGE: "Unsubscribe page",
    Source.PREFERENCE_PAGE: "Preference page",
    Source.STOP_PAGE: "Page without a link",
    Source.CONFIRM_PAGE: "Confirmation page",
    Source.RIGHTS_PAGE: "Data rights page",
    Source.MAIL: "Email to us",
    Source.BROWSER_SIGNAL: "Browser signal",
    Source.SMS_KEYWORD: "STOP by text",
    Source.SENDGRID_EVENT: "SendGrid",
    Source.PROVIDER_OPTOUT: "Found at a provider",
    Source.PROVIDER_TIMES: "Times at the provider",
    Source.API: "Another system",
    Source.CLI: "Command line",
    Source.CONTACT_JOIN: "Joined with a person",
    "letter": "Letter",
    "phone": "Phone",
    "email": "Email to us",
    "in_person": "In person",
    "console": "Recorded by staff",
    "import": "Import",
    "import-consents": "Import of consents",
}

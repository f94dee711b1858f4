"""What we say by text: one table, GSM-7, one part each (rules.md T-7, S-2; 160 characters at most).

Translations are in the catalogues like everything else; those with letters outside GSM-7 have
70 characters, because one such letter makes every part that short.
"""

from prefs import words
from prefs.services.organisation import Organisation

STOPPED = "stopped"
STOPPED_EVERYWHERE = "stopped_everywhere"
STOPPED_EVERYTHING = "stopped_everything"
STOPPED_MARKETING = "stopped_marketing"
ALREADY = "already"
ASK_WHAT = "ask_what"
KEPT = "kept"
HELP = "help"
ASK_FOR_YES = "ask_for_yes"
STARTED = "started"
UNCLEAR = "unclear"
RECORDED = "recorded"
LINK = "link"

# The GSM 7-bit default alphabet (3GPP TS 23.038 table 6.2.1); any other letter halves a part.
GSM_7 = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
LONGEST = 160
LONGEST_UNICODE = 70


def _(text: str) -> str:
    """Mark a text for the catalogues; it is looked up when it is said."""
    return text


SITUATIONS = {
    STOPPED: _("{org}: you will get no more marketing texts from us. You still get appointment texts. Help: {phone}."),
    STOPPED_EVERYWHERE: _(
        "{org}: you will get no more marketing from us. You still get appointment texts. Help: {phone}."
    ),
    STOPPED_EVERYTHING: _(
        "{org}: you will get no more texts from us. We will use email or letters instead. Help: {phone}."
    ),
    STOPPED_MARKETING: _("{org}: you will get no more marketing texts from us. Help: {phone}."),
    ALREADY: _("{org}: your marketing texts were already stopped. Nothing more to do. Reply HELP for help."),
    ASK_WHAT: _(
        "{org}: you will get no more texts from us. To keep appointment texts only, reply KEEP. Help: {phone}."
    ),
    KEPT: _("{org}: done. You keep appointment texts and get no marketing texts. Reply STOP to end. Help: {phone}."),
    HELP: _("{org} texts. Help: {phone} or {email}. Reply STOP to end. Msg&data rates may apply."),
    ASK_FOR_YES: _(
        "{org}: reply YES to get texts about offers and events. Reply STOP to end. Msg&data rates may apply."
    ),
    STARTED: _(
        "{org}: done. You will get our texts again. Reply STOP to end, HELP for help. Msg&data rates may apply."
    ),
    UNCLEAR: _("{org}: we did not understand. Reply STOP to end marketing texts or HELP for help."),
    RECORDED: _(
        "{org}: as you asked, we have stopped all marketing to this number. You still get appointment texts. "
        "Ref {reference}. Help: {phone}"
    ),
    LINK: _("{org}: your choices, for 24 hours: {link} Did not ask? Ignore this."),
}


def word(situation: str, organisation: Organisation, language: str = words.DEFAULT, **more: str) -> str:
    """Return the text for a situation. A long organisation name is shortened rather than the message."""
    template = words.gettext(language, SITUATIONS[situation])
    values = {"phone": organisation.phone, "email": organisation.privacy_email, **more}
    frame = template.format(org="", **values)
    longest = LONGEST_UNICODE if not_gsm_7(frame) else LONGEST
    return template.format(org=organisation.name[: max(longest - len(frame), 1)], **values)


def problems(organisation: Organisation) -> list[str]:
    """Return what is wrong with our answers for this organisation, each with the letter at fault and the mend.

    A translation may be of the short kind by itself; what a setting adds must not make it so.
    """
    found: dict[str, None] = {}
    for name, value in (
        ("PREFS_ORG_NAME", organisation.name),
        ("PREFS_ORG_PHONE", organisation.phone),
        ("PREFS_PRIVACY_EMAIL", organisation.privacy_email),
    ):
        for letter in not_gsm_7(value):
            found[f"{name} holds “{letter}” (U+{ord(letter):04X}), which halves every text: use plain letters."] = None
    if found:
        return list(found)
    for language in words.LANGUAGES:
        for situation in SITUATIONS.keys() - {LINK}:
            said = word(situation, organisation, language, reference="NW-7K3M-92QD")
            longest = LONGEST_UNICODE if not_gsm_7(said) else LONGEST
            if len(said) > longest:
                why = f"The text `{situation}` in {language} has {len(said)} letters and {longest} fit"
                found[f"{why}: shorten PREFS_ORG_PHONE or PREFS_PRIVACY_EMAIL."] = None
    return list(found)


def not_gsm_7(text: str) -> list[str]:
    """Return the letters that would turn a text into the short 70-letter kind."""
    return [letter for letter in text if letter not in GSM_7]

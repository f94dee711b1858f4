"""What we answer to texts: one table, GSM-7, one part each (rules.md T-7, S-2; 160 characters at most)."""

from prefs.services.organisation import Organisation

STOPPED = "stopped"
STOPPED_EVERYWHERE = "stopped_everywhere"
STOPPED_EVERYTHING = "stopped_everything"
HELP = "help"
ASK_FOR_YES = "ask_for_yes"
STARTED = "started"
UNCLEAR = "unclear"

# The GSM 7-bit default alphabet (3GPP TS 23.038 table 6.2.1); any other letter halves a part.
GSM_7 = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
LONGEST = 160

_TEXTS = {
    STOPPED: "{org}: you will get no more marketing texts from us. You still get appointment texts. Help: {phone}.",
    STOPPED_EVERYWHERE: (
        "{org}: you will get no more marketing from us. You still get appointment texts. Help: {phone}."
    ),
    STOPPED_EVERYTHING: (
        "{org}: you will get no more texts from us. We will use email or letters instead. Help: {phone}."
    ),
    HELP: "{org} texts. Help: {phone} or {email}. Reply STOP to end. Msg&data rates may apply.",
    ASK_FOR_YES: (
        "{org}: reply YES to get texts about offers and events. Reply STOP to end. Msg&data rates may apply."
    ),
    STARTED: "{org}: done. You will get our texts again. Reply STOP to end, HELP for help. Msg&data rates may apply.",
    UNCLEAR: "{org}: we did not understand. Reply STOP to end marketing texts or HELP for help.",
}


def word(situation: str, organisation: Organisation) -> str:
    """Return the text for a situation. A long organisation name is shortened rather than the message."""
    values = {"phone": organisation.phone, "email": organisation.privacy_email}
    frame = len(_TEXTS[situation].format(org="", **values))
    return _TEXTS[situation].format(org=organisation.name[: max(LONGEST - frame, 1)], **values)


def not_gsm_7(text: str) -> list[str]:
    """Return the letters that would turn a text into the short 70-letter kind."""
    return [letter for letter in text if letter not in GSM_7]

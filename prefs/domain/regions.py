"""Where consent must come first, as data (rules.md sections 2.2-2.5; contract section 1, D11, D12)."""

from prefs.domain.terms import Channel, ConsentKind, Need
from prefs.errors import InvalidInput

# ISO 3166-1 alpha-2, as tzdata lists it (a test compares).
_ISO_3166 = (
    "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT "
    "BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH "
    "ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT "
    "HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS "
    "LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI "
    "NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG "
    "SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG "
    "UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW"
)
COUNTRIES = frozenset(_ISO_3166.split()) | {"XK"}
"""ISO's, and what the EU and CLDR write for Kosovo."""

_EEA = "AT BE BG HR CY CZ DK EE FI FR DE GR HU IE IT LV LT LU MT NL PL PT RO SK SI ES SE IS LI NO"
_UNION_TERRITORY = "GF GP MF MQ RE YT AX"
"""Codes of their own, and EU law all the same: the outermost regions (TFEU 355(1)) and Aland (TFEU 355(4))."""
EEA = frozenset([*_EEA.split(), *_UNION_TERRITORY.split()])
"""EU member states and the three EEA states, ISO 3166-1 alpha-2."""
UK = frozenset({"GB"})
CANADA = frozenset({"CA"})

_MISTAKEN = {"UK": "GB", "EL": "GR"}
_CONSENT_FIRST = EEA | UK | CANADA
_EXPRESS = frozenset({ConsentKind.OWN_ACT, ConsentKind.EXPRESS})
_NEVER_SOFT = frozenset({Channel.SMS, Channel.VOICE, Channel.PUSH})


def parse_country(text: str) -> str:
    """Return a country's code in capitals. A country nobody knows would ask for no consent: it is refused.

    Raises:
        InvalidInput: It is not an ISO 3166-1 alpha-2 code; the message says the mend.
    """
    code = text.strip().upper()
    if code in _MISTAKEN:
        raise InvalidInput(f"{code} is no ISO 3166-1 code: write {_MISTAKEN[code]}.", field="country")
    if code not in COUNTRIES:
        raise InvalidInput("A country has the two letters of ISO 3166-1, like DE, GB or US.", field="country")
    return code


def region_need(country: str | None, channel: Channel) -> Need:
    """Return what the law of a country asks for before marketing on a channel; where no law is known, consent.

    None is not knowing the country (contract D11): then only the topic asks.
    """
    if channel is Channel.EMAIL and country is not None and (country in _CONSENT_FIRST or country not in COUNTRIES):
        return Need.CONSENT
    return Need.NO_OBJECTION


def counting_kinds(country: str | None, channel: Channel) -> frozenset[ConsentKind]:
    """Return the kinds of consent that count there (contract D12)."""
    if channel in _NEVER_SOFT:
        return _EXPRESS
    if country in EEA | UK:
        return _EXPRESS | {ConsentKind.SOFT_OPT_IN}
    if country in CANADA:
        return _EXPRESS | {ConsentKind.IMPLIED}
    return _EXPRESS

"""Where consent must come first, as data (rules.md sections 2.2-2.5; contract section 1, D11, D12)."""

from prefs.domain.terms import Channel, ConsentKind, Need

# EU member states and the three EEA states, ISO 3166-1 alpha-2.
EEA = frozenset(
    "AT BE BG HR CY CZ DK EE FI FR DE GR HU IE IT LV LT LU MT NL PL PT RO SK SI ES SE IS LI NO".split()  # noqa: SIM905
)
UK = frozenset({"GB"})
CANADA = frozenset({"CA"})

_CONSENT_FIRST = EEA | UK | CANADA
_EXPRESS = frozenset({ConsentKind.OWN_ACT, ConsentKind.EXPRESS})
_NEVER_SOFT = frozenset({Channel.SMS, Channel.VOICE, Channel.PUSH})


def region_need(country: str | None, channel: Channel) -> Need:
    """Return what the law of a known country asks for before marketing on a channel."""
    if channel is Channel.EMAIL and country in _CONSENT_FIRST:
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

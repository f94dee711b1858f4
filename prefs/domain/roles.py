"""Who of the staff may do what: one table of rights (contract D31).

A right belongs to roles; a page of the console asks for a right (``prefs.admin.access``). Every
right has the sentence that somebody without it reads: no grey buttons (ux.md section 6).
"""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """The four roles; a person has one."""

    PRIVACY = "privacy"
    MARKETING = "marketing"
    ENGINEER = "engineer"
    ADMIN = "admin"


ROLE_NAMES: dict[Role, str] = {
    Role.PRIVACY: "Privacy office",
    Role.MARKETING: "Marketing operations",
    Role.ENGINEER: "Engineer",
    Role.ADMIN: "Admin",
}


class Right(StrEnum):
    """What a role may be allowed to do."""

    OWN_ACCOUNT = "own_account"
    OVERVIEW = "overview"
    FIND_PEOPLE = "find_people"
    SEE_ADDRESSES = "see_addresses"
    RECORD_STOPS = "record_stops"
    LIFT_STOPS = "lift_stops"
    REQUESTS = "requests"
    DECISIONS = "decisions"
    SUPPRESSIONS = "suppressions"
    IMPORT_STOPS = "import_stops"
    IMPORT_CONSENTS = "import_consents"
    EXPORT_MASKED = "export_masked"
    EXPORT_FULL = "export_full"
    SEE_PROVIDERS = "see_providers"
    RUN_PROVIDERS = "run_providers"
    SEE_CATALOGUE = "see_catalogue"
    CHANGE_CATALOGUE = "change_catalogue"
    SEE_WORDS = "see_words"
    TEAM = "team"
    AUDIT = "audit"
    KEYS = "keys"


@dataclass(frozen=True, slots=True)
class RightRow:
    """One row: what the right is, who has it, and what the others are told."""

    does: str
    roles: frozenset[Role]
    refusal: str


_P, _M, _E, _A = Role.PRIVACY, Role.MARKETING, Role.ENGINEER, Role.ADMIN


def _row(does: str, refusal: str, *roles: Role) -> RightRow:
    # An admin may do all (ux.md section 6).
    return RightRow(does, frozenset({*roles, _A}), refusal)


_PEOPLE = "Engineers see no people. Ask the privacy office."
_PRIVACY = "Only the privacy office does this. Ask them, or send them the reference."

RIGHTS: dict[Right, RightRow] = {
    Right.OWN_ACCOUNT: _row("Sign in and look after one’s own account", "Sign in first.", _P, _M, _E),
    Right.OVERVIEW: _row("See the overview and its figures", "Sign in first.", _P, _M, _E),
    Right.FIND_PEOPLE: _row("Find a person, address masked", _PEOPLE, _P, _M),
    Right.SEE_ADDRESSES: _row("See an address in full, logged", _PRIVACY, _P),
    Right.RECORD_STOPS: _row("Record an opt-out somebody asked for", _PEOPLE, _P, _M),
    Right.LIFT_STOPS: _row("Remove an opt-out, with evidence", _PRIVACY, _P),
    Right.REQUESTS: _row(
        "Read and answer privacy requests", "Privacy requests are read by the privacy office only.", _P
    ),
    Right.DECISIONS: _row("Look through decisions, addresses masked", _PEOPLE, _P, _M),
    Right.SUPPRESSIONS: _row("Look through the suppression list, masked", _PEOPLE, _P, _M),
    Right.IMPORT_STOPS: _row(
        "Import opt-outs", "Opt-outs are imported by marketing operations or the privacy office.", _P, _M
    ),
    Right.IMPORT_CONSENTS: _row("Import consents, with proof and a second person", _PRIVACY, _P),
    Right.EXPORT_MASKED: _row("Export with addresses masked", _PEOPLE, _P, _M),
    Right.EXPORT_FULL: _row("Export with addresses in full", _PRIVACY, _P),
    Right.SEE_PROVIDERS: _row("See how providers keep up", "Sign in first.", _P, _M, _E),
    Right.RUN_PROVIDERS: _row(
        "Try a provider now, compare lists, hold sends", "Providers are run by engineers. Ask one of them.", _E
    ),
    Right.SEE_CATALOGUE: _row("See topics, channels and senders", "Sign in first.", _P, _M, _E),
    Right.CHANGE_CATALOGUE: _row(
        "Change topics and senders", "Topics and senders are changed by marketing operations.", _M
    ),
    Right.SEE_WORDS: _row("Read every text recipients get", "Sign in first.", _P, _M, _E),
    Right.TEAM: _row("Look after the team and its roles", "The team is looked after by admins. Ask one of them."),
    Right.AUDIT: _row("Read and export the audit log", "The audit log is read by admins and the privacy office.", _P),
    Right.KEYS: _row("Make and revoke API keys, see webhooks", "API keys are made by engineers. Ask one of them.", _E),
}

# Item 19: whoever can export, import or opt somebody in proves a second factor, or comes by single sign-on.
_NEEDS_SECOND_FACTOR = (
    Right.IMPORT_STOPS,
    Right.IMPORT_CONSENTS,
    Right.EXPORT_MASKED,
    Right.EXPORT_FULL,
)


def may(role: Role, right: Right) -> bool:
    """True where the role has the right."""
    return role in RIGHTS[right].roles


def needs_second_factor(role: Role) -> bool:
    """True for roles that can export, import or opt in (reliability.md item 19)."""
    return any(may(role, right) for right in _NEEDS_SECOND_FACTOR)

"""Addresses: one canonical form at the edge, and nothing folded that could be two people.

Rules: rules.md section 7, A-5 and A-6; reliability.md item 36. A number that libphonenumber
calls invalid is kept: an opt-out for it must be honoured all the same.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import idna

from prefs.domain.terms import KIND_OF_CHANNEL, AddressKind, Channel
from prefs.errors import InvalidAddress, InvalidInput

LONGEST = 320
_LONGEST_REFERENCE = 512
_PLAIN_EMAIL = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@([A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63}"
)
_E164 = re.compile(r"\+[1-9][0-9]{7,14}")
_IN_TEXT_EMAIL = re.compile(r"([^\s@,;<>\"'])[^\s@,;<>\"']*@")
_IN_TEXT_HASH = re.compile(r"\b([0-9a-fA-F]{6})[0-9a-fA-F]{26,}\b")
_IN_TEXT_DAY = re.compile(r"(19|20)[0-9]{2}-[01][0-9]-[0-3][0-9]( [0-2][0-9])?")
_IN_TEXT_NUMBER = re.compile(r"\+?[0-9](?:[ ().-]{0,2}[0-9]){6,}")
_TWO_FORMS = ("+52", "+54")
_SHORT_CODE = re.compile(r"[0-9]{3,6}")
_PREFIXES = ("whatsapp:", "rcs:", "tel:", "sms:")

# Calling codes of the EEA and the United Kingdom (ITU-T E.164 assignments).
_EEA_UK_CODES = tuple(
    f"+{code}"
    for code in (
        *(30, 31, 32, 33, 34, 36, 39, 40, 43, 44, 45, 46, 47, 48, 49),
        *(351, 352, 353, 354, 356, 357, 358, 359, 370, 371, 372, 385, 386, 420, 421, 423),
        *(262, 590, 594, 596),  # the outermost regions (TFEU 355(1))
    )
)

_MENDS = {
    "empty": "Enter an address.",
    "wrong_type": "An address is text.",
    "too_long": "This is too long for an address.",
    "control_character": "Remove the line breaks and control characters.",
    "no_at_sign": "An email address has an @ sign, like name@example.com.",
    "two_at_signs": "An email address has one @ sign; remove the others.",
    "bad_domain": "The part after the @ sign is not a domain name.",
    "no_local_part": "The part before the @ sign is missing or not usable.",
    "no_digits": "A telephone number has digits, like +14155550123.",
    "no_country_code": "Add the country code, like +49.",
    "too_short": "This number is too short.",
}


@dataclass(frozen=True, slots=True)
class Address:
    """Where a channel reaches somebody; ``value`` is canonical, ``original`` is what to send to."""

    kind: AddressKind
    value: str
    original: str

    @property
    def lookup_values(self) -> tuple[str, ...]:
        """The canonical form first, then other forms known to reach the same telephone (rules.md 7.2)."""
        return (self.value, *_phone_variants(self.value)) if self.kind is AddressKind.PHONE else (self.value,)

    @property
    def keyed_values(self) -> tuple[str, ...]:
        """What the keyed hash is made from (contract D2)."""
        if self.kind is AddressKind.EMAIL:
            return (self.value,)
        prefix = f"{self.kind}:" if self.kind in {AddressKind.PUSH, AddressKind.POSTAL} else ""
        return tuple(prefix + value for value in self.lookup_values)


def parse_address(channel: Channel, text: object, *, default_region: str = "US") -> Address:
    """Return the address a channel would use.

    Raises:
        InvalidAddress: ``code`` names the problem; the message says the mend, never the address.
    """
    if not isinstance(text, str):
        raise _refused("wrong_type")
    original = text.strip()
    if not original:
        raise _refused("empty")
    kind = KIND_OF_CHANNEL[channel]
    if len(original) > (LONGEST if kind in {AddressKind.EMAIL, AddressKind.PHONE} else _LONGEST_REFERENCE):
        raise _refused("too_long")
    # Printable ASCII holds none of these, and is nearly everything that comes.
    plain = original.isascii() and original.isprintable()
    if not plain and any(unicodedata.category(letter) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for letter in original):
        raise _refused("control_character")
    if kind is AddressKind.EMAIL:
        return Address(kind, _email(original), original)
    if kind is AddressKind.PHONE:
        number = _phone(original, default_region)
        return Address(kind, number, number)
    return Address(kind, unicodedata.normalize("NFC", original), original)


def plain_values(kind: AddressKind, texts: Sequence[object]) -> list[str | None]:
    """Return what ``parse_address`` would make of each address in its common form, None for all others.

    The common form is ASCII in one piece, known under one value: for lists of many thousands.
    """
    if kind is AddressKind.EMAIL:
        plain = _PLAIN_EMAIL.fullmatch
        return [text.lower() if type(text) is str and len(text) <= LONGEST and plain(text) else None for text in texts]
    if kind is AddressKind.PHONE:
        plain = _E164.fullmatch
        return [
            text if type(text) is str and plain(text) and not text.startswith(_TWO_FORMS) else None for text in texts
        ]
    return [None] * len(texts)


def masked(address: Address) -> str:
    """Return what a page may show: ``a••@example.com``, ``••• ••• 0142``, or nothing."""
    if address.kind is AddressKind.EMAIL:
        local, _, domain = address.value.rpartition("@")
        return f"{local[:1]}••@{domain}"
    if address.kind is AddressKind.PHONE:
        return f"••• ••• {address.value[-4:]}"
    return ""


def masked_text(text: str) -> str:
    """Return a text with what looks like an address in it masked: a cell of somebody's list, a file's name.

    Broken addresses are masked too: ``jo@@example.com`` is shown as ``j••@@example.com``. A day, like
    ``2026-04-03``, is no number.
    """
    hidden = _IN_TEXT_HASH.sub(r"\1…", _IN_TEXT_EMAIL.sub(r"\1••@", text))
    return _IN_TEXT_NUMBER.sub(_masked_number, hidden)


def _masked_number(found: re.Match[str]) -> str:
    if _IN_TEXT_DAY.fullmatch(found[0]):
        return found[0]
    return f"••• ••• {re.sub('[^0-9]', '', found[0])[-4:]}"


def calling_code_region_is_eea_or_uk(number: str) -> bool:
    """True for a number whose calling code belongs to the EEA or the United Kingdom (contract D10)."""
    return number.startswith(_EEA_UK_CODES)


def _refused(problem: str) -> InvalidAddress:
    return InvalidAddress(_MENDS[problem], field="to", code=problem)


def _email(text: str) -> str:
    if text.isascii() and _PLAIN_EMAIL.fullmatch(text):
        return text.lower()
    text = unicodedata.normalize("NFC", text)
    local, at, domain = text.rpartition("@")
    if not at:
        raise _refused("no_at_sign")
    if "@" in local and not local.startswith('"'):
        raise _refused("two_at_signs")
    if not local or len(local.encode()) > 64 or (any(c.isspace() for c in local) and not local.startswith('"')):
        raise _refused("no_local_part")
    # casefold() may change the form again ("ß" gives "ss"), so NFC comes last as well.
    folded = local.lower() if local.isascii() else unicodedata.normalize("NFC", local.casefold())
    return f"{folded}@{_domain(domain)}"


@lru_cache(maxsize=10_000)
def _domain(text: str) -> str:
    try:
        domain = idna.encode(text.rstrip("."), uts46=True, transitional=False).decode().lower().rstrip(".")
    except (idna.IDNAError, UnicodeError) as error:
        raise _refused("bad_domain") from error
    if "." not in domain or len(domain) > 253:
        raise _refused("bad_domain")
    return domain


def is_certain_number(text: str, region: str) -> bool:
    """False for the text of a telephone number whose country would be a guess: in lists a + may be lost.

    Certain are a number with its + or an international prefix, a short code, and a valid number of the
    region's calling code; not one that could as well be another of the region behind a +, as
    4915112345678 in Germany. A possible length alone is not enough: many a number without its + has
    as many digits as one of the region.
    """
    if "+" in text:
        return True
    bare = _bare_number(text)
    if "+" in bare or _SHORT_CODE.fullmatch(bare):
        return True
    import phonenumbers  # noqa: PLC0415  as in ``_parsed_phone``

    found, digits = _valid(bare, region), re.sub(r"[^0-9]", "", bare)
    if found is None or not digits.startswith(str(phonenumbers.country_code_for_region(region))):
        return found is not None
    return _valid(f"+{digits}", region) in (None, found)


def region_named(text: str) -> str:
    """Return a region like ``DE``, in capitals. Raises ``InvalidInput`` where no telephone numbers are known for it."""
    import phonenumbers  # noqa: PLC0415  as in ``_parsed_phone``

    region = text.strip().upper()
    if region not in phonenumbers.SUPPORTED_REGIONS:
        raise InvalidInput("A region has two letters, like DE or US.", field="region")
    return region


def _valid(text: str, region: str) -> str | None:
    """Return the number in a text where libphonenumber calls it valid."""
    import phonenumbers  # noqa: PLC0415  as in ``_parsed_phone``

    try:
        number = _parsed_phone(text, region)
    except InvalidAddress:
        return None
    return number if phonenumbers.is_valid_number(phonenumbers.parse(number)) else None


def _bare_number(text: str) -> str:
    text = unicodedata.normalize("NFKC", text).strip()
    for prefix in _PREFIXES:
        if text.lower().startswith(prefix):
            text = text[len(prefix) :].strip()
    return text


def _phone(text: str, region: str) -> str:
    if _E164.fullmatch(text):
        return text
    text = _bare_number(text)
    if not any(letter.isdigit() for letter in text):
        raise _refused("no_digits")
    if _E164.fullmatch(text) or _SHORT_CODE.fullmatch(text):
        return text
    return _parsed_phone(text, region)


def _parsed_phone(text: str, region: str) -> str:
    import phonenumbers  # noqa: PLC0415  its tables load in 30 ms, and canonical numbers need none of it

    try:
        parsed = phonenumbers.parse(text, region or None)
    except phonenumbers.NumberParseException as error:
        missing = error.error_type == phonenumbers.NumberParseException.INVALID_COUNTRY_CODE
        raise _refused("no_country_code" if missing else "too_short") from error
    number: str = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    return number


def _phone_variants(number: str) -> tuple[str, ...]:
    # Mexico dropped the mobile 1 after +52 in 2019, Argentina writes a 9 after +54 for mobiles;
    # both forms are still typed and delivered.
    for code, mark, national_length in (("+52", "1", 10), ("+54", "9", 10)):
        if number.startswith(code):
            rest = number[len(code) :]
            if len(rest) == national_length:
                return (code + mark + rest,)
            if len(rest) == national_length + 1 and rest.startswith(mark):
                return (code + rest[1:],)
    return ()

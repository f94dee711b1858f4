"""One row of somebody else's list: whom it is about, and what it says, or what is wrong with it.

A number that a spreadsheet has spoilt is refused with a word and never guessed: the digits
that are gone may have been anybody's.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from prefs.domain.address import Address, is_certain_number, parse_address
from prefs.domain.consent_words import is_answer
from prefs.domain.formats import HEX_DIGITS, OWN, PLAIN, REGISTRY, REJECT, REST, Format, Test, When, recognise
from prefs.domain.ledger import ALL
from prefs.domain.reasons import STATABLE_REASONS
from prefs.domain.terms import KIND_OF_CHANNEL, AddressKind, Channel, Reason, Source
from prefs.errors import InvalidAddress, InvalidInput

SAMPLE = 200
"""Rows the column guesser looks at."""

_FORMULA = "=+-@\t\r\0"
_EMAIL_NAMES = {
    *("email", "e-mail", "email address", "e-mail address", "emailaddress", "email_address", "mail", "recipient"),
    *("address", "subscriber", "email addresses", "contact email"),
}
_PHONE_NAMES = {
    *("phone", "phone number", "phone_number", "mobile", "mobile number", "mobile phone", "cell", "cell phone"),
    *("msisdn", "telephone", "telephone number", "tel", "number", "sms"),
}
_HASH_NAMES = {"md5", "sha256", "sha-256", "hash", "email_md5", "email_sha256", "hashed_email", "md5 hash"}
_PHONE_LIKE = re.compile(r"[+(]?[0-9][0-9 ().+/-]{5,18}")
_EXPONENT = re.compile(r"[+-]?[0-9]+([.,][0-9]+)?[eE][+-]?[0-9]+")
_POINT_ZERO = re.compile(r"\+?[0-9]+[.,]0+")
_AREA_CODE, _REST_OF_NUMBER = re.compile(r"[2-9][0-9]{2}"), re.compile(r"[0-9]{7}")
_HEX = re.compile(r"[0-9a-fA-F]+")
_SLUG = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_YES = frozenset({"true", "yes", "1", "y", "t", "x"})
_EMPTY = frozenset({"", "[]", "{}", "null", "none", "n/a", "-"})

_WRONG = {
    "empty": "There is no address in this row",
    "no_at_sign": "Not an email address: no @ sign",
    "two_at_signs": "Not an email address: two @ signs",
    "bad_domain": "Not an email address: the domain cannot be",
    "no_local_part": "Not an email address: the part before the @ sign is missing or not usable",
    "no_digits": "Not a telephone number: no digits",
    "no_country_code": "A telephone number without a country",
    "too_short": "Not a telephone number: too short",
    "too_long": "Too long for an address",
    "control_character": "The address holds a line break or a control character",
}


class RowProblem(Exception):
    """A row that cannot be imported: ``what`` is wrong, and ``how`` to mend it."""

    def __init__(self, what: str, how: str) -> None:
        super().__init__(what)
        self.what, self.how = what, how


@dataclass(frozen=True, slots=True)
class Fact:
    """What a row says about its address; ``channel`` None is every channel the address has."""

    channel: Channel | None
    scope: int
    reason: Reason
    source: str
    until: datetime | None = None


class Listed(NamedTuple):
    """A row that counts. ``since`` is when the other tool says it happened, only evidence (contract D7)."""

    fact: Fact
    text: str
    since: str


@dataclass(frozen=True, slots=True)
class Plan:
    """How every row of one file is read: the format, the columns, what the caller said.

    ``column`` is where the address stands; ``spoken`` gives the number of a scope's name.
    """

    format: Format
    header: tuple[str, ...]
    column: int
    channel: Channel | None
    scope: int
    source: str
    spoken: Callable[[str], int]

    def reader(self) -> Callable[[Sequence[str]], Listed | None]:
        """Return what reads a row's cells: a fact, or None for a row that says nothing.

        The reader raises ``RowProblem``.
        """
        if self.format.name == OWN:
            return _OwnRows(self).read
        if self.format.name == REGISTRY:
            return _registry_reader(self)
        return _reader(self)

    def address(self, listed: Listed, default_region: str) -> Address:
        """Return the address of a row. Raises ``RowProblem``; hashes are not addresses."""
        channel = listed.fact.channel or (Channel.EMAIL if "@" in listed.text else Channel.VOICE)
        return address_in(listed.text, channel, default_region)

    def digest(self, listed: Listed) -> str:
        """Return what the keyed hash of a hash-only row is made from (contract D34). Raises ``RowProblem``."""
        digits = HEX_DIGITS[self.format.name]
        text = listed.text.strip()
        if not _HEX.fullmatch(text) or len(text) != digits:
            found = f"{len(text)} characters" if _HEX.fullmatch(text) else "no hexadecimal number"
            raise RowProblem(
                f"Not an {self.format.name.upper()} hash: {found}",
                f"Each row of this list is one hash of {digits} hexadecimal digits.",
            )
        return f"{self.format.name}:{text.lower()}"


def address_in(text: str, channel: Channel, default_region: str) -> Address:
    """Return the address in a cell. Raises ``RowProblem``."""
    phone = KIND_OF_CHANNEL[channel] is AddressKind.PHONE
    if phone:
        _refuse_spoilt(text)
    try:
        address = parse_address(channel, text, default_region=default_region)
    except InvalidAddress as error:
        raise RowProblem(_WRONG.get(error.code, "Not an address"), str(error)) from error
    if phone and not is_certain_number(text, default_region):
        raise RowProblem(
            f"This number has no + and is no number of {default_region} for certain",
            "Add + and the country code, or say which country's numbers these are: --region, over HTTP `region`.",
        )
    return address


def make_plan(
    header: Sequence[str] | None,
    sample: Sequence[Sequence[str]],
    *,
    format: Format | None,
    channel: Channel | None,
    scope: int,
    spoken: Callable[[str], int],
    column: str | None = None,
) -> Plan:
    """Decide how a file is read, from its header (None where it has none) and its first rows.

    Raises:
        InvalidInput: The file cannot be read as asked, or needs a word from the caller.
    """
    names = tuple(tidy(name) for name in header) if header is not None else ()
    found = format or _format_of(names, sample)
    if found.name in HEX_DIGITS:
        _refuse_other_hashes(found, sample)
    plan = Plan(found, names, 0, channel or found.channel, scope, _source(found), spoken)
    if found.name == REGISTRY:
        return replace(plan, channel=None, column=0)
    if found.needs != {""} and not found.needs <= set(names):
        missing = ", ".join(sorted(found.needs - set(names)))
        raise InvalidInput(f"A {found.tool} file has the columns {missing}; this one has not.", field="format")
    if found.name == OWN:
        return replace(plan, channel=None, column=names.index("to"))
    place = _named_column(names, column) if column else _column(found, names, sample, plan.channel)
    if plan.channel is None:
        plan = replace(plan, channel=_guessed_channel(found, names, place, sample))
    elif found.channel and plan.channel is not found.channel:
        raise InvalidInput(f"A {found.tool} file is about {found.channel}.", field="channel")
    return replace(plan, column=place)


def has_header(first: Sequence[str]) -> bool:
    """True where a file's first row names columns: no cell of it could be an address, a number or a hash."""
    if _is_registry_row(first):
        return False
    return not any("@" in cell or _PHONE_LIKE.fullmatch(cell.strip()) or _digits_of_hash(cell) for cell in first)


def tidy(name: str) -> str:
    """Return a header name as the table has it: lower-case, single spaces."""
    return " ".join(name.strip("\ufeff \t\r\n\0'").casefold().split())


def safe_cell(text: str) -> str:
    """Return a cell that no spreadsheet takes for a formula (V20); ``plain_cell`` undoes it."""
    return "'" + text if text and (text[0] in _FORMULA or (text[0] == "'" and text[1:2] in (*_FORMULA, "'"))) else text


def plain_cell(text: str) -> str:
    """Return a cell as it was before ``safe_cell``."""
    return text[1:] if text[:1] == "'" and text[1:2] and text[1] in (*_FORMULA, "'") else text


def read_time(text: str) -> datetime | None:
    """Return a moment as other tools write them, or None where it cannot be told for sure.

    Unix seconds, ISO 8601, RFC 2822. A time without a zone is taken as UTC; a date whose day
    and month could be exchanged is not guessed.
    """
    text = text.strip()
    if not text:
        return None
    try:
        if text.isascii() and text.isdigit() and 9 <= len(text) <= 10:
            return datetime.fromtimestamp(int(text), UTC)
        moment = (
            datetime.fromisoformat(text.removesuffix(" UTC")) if text[:4].isdigit() else parsedate_to_datetime(text)
        )
    except (ValueError, TypeError, OverflowError):
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _source(found: Format) -> str:
    return Source.IMPORT if found.name in {PLAIN, *HEX_DIGITS} else f"{Source.IMPORT}-{found.name}"


def _format_of(names: tuple[str, ...], sample: Sequence[Sequence[str]]) -> Format:
    from prefs.domain.formats import BY_NAME  # noqa: PLC0415  the table is asked by name only here

    if found := recognise(tuple(name for name in names if name)):
        return found
    if not names and sample and all(_is_registry_row(row) for row in sample):
        return BY_NAME[REGISTRY]
    digits = {_digits_of_hash(row[0]) for row in sample if row and row[0].strip()} if _one_column(sample) else {0}
    if digits and digits <= {32, 64}:
        if len(digits) > 1:
            raise InvalidInput(
                "This list mixes hashes of 32 and of 64 digits. Split it into an MD5 and a SHA-256 list.",
                field="format",
            )
        return next(BY_NAME[name] for name, number in HEX_DIGITS.items() if {number} == digits)
    _refuse_answers(names, sample)
    return BY_NAME[PLAIN]


def _refuse_answers(names: tuple[str, ...], sample: Sequence[Sequence[str]]) -> None:
    """Refuse to take a list for opt-outs where a column answers yes or no, or holds words like subscribed (V49)."""
    for place in range(max(map(len, sample), default=0)):
        cells = [row[place] for row in sample if place < len(row) and row[place].strip().lower() not in _EMPTY]
        if cells and all(map(is_answer, cells)):
            raise InvalidInput(
                f"The column {_shown(names, place)!r} holds nothing but answers like {cells[0].strip()!r}, and may say "
                "who opted out. Name the format; or, where every row is somebody who opted out, delete the column or "
                "add --format plain.",
                field="format",
                code="unknown_format",
            )


def _shown(names: tuple[str, ...], place: int) -> str:
    """Return what a column is called, or which one it is."""
    return names[place] if place < len(names) else f"number {place + 1}"


def _one_column(sample: Sequence[Sequence[str]]) -> bool:
    return all(len(row) == 1 for row in sample)


def _digits_of_hash(cell: str) -> int:
    text = cell.strip()
    return len(text) if len(text) in (32, 64) and _HEX.fullmatch(text) else 0


def _is_registry_row(row: Sequence[str]) -> bool:
    return (
        len(row) == 2
        and _AREA_CODE.fullmatch(row[0].strip()) is not None
        and _REST_OF_NUMBER.fullmatch(row[1].strip()) is not None
    )


def _refuse_other_hashes(found: Format, sample: Sequence[Sequence[str]]) -> None:
    """A list that is called MD5 and holds 64 digits is refused whole (rules.md A-3)."""
    wanted = HEX_DIGITS[found.name]
    for row in sample:
        for cell in row:
            if _digits_of_hash(cell) not in (0, wanted):
                other = next(name for name, number in HEX_DIGITS.items() if number != wanted)
                raise InvalidInput(
                    f"This is called {found.name.upper()}, whose hashes have {wanted} digits, but holds hashes of "
                    f"{_digits_of_hash(cell)}. Use --format {other}.",
                    field="format",
                    code="wrong_hash",
                )


def _named_column(names: tuple[str, ...], column: str) -> int:
    if tidy(column) not in names:
        raise InvalidInput(f"There is no column {column!r}. There are: {', '.join(names)}.", field="column")
    return names.index(tidy(column))


def _column(found: Format, names: tuple[str, ...], sample: Sequence[Sequence[str]], channel: Channel | None) -> int:
    for name in found.address:
        if name in names:
            return names.index(name)
    hashes = found.name in HEX_DIGITS
    width = max((len(row) for row in sample), default=len(names) or 1)
    if width == 1:
        return 0
    kinds = [KIND_OF_CHANNEL[channel]] if channel else [AddressKind.EMAIL, AddressKind.PHONE]
    wanted = _HASH_NAMES if hashes else set().union(*(_names_of(kind) for kind in kinds))
    fitting = [place for place, name in enumerate(names) if name in wanted]
    if not fitting:
        fitting = [place for place in range(width) if _mostly(sample, place, kinds, hashes=hashes)]
    if len(fitting) == 1:
        return fitting[0]
    shown = ", ".join(_shown(names, place) for place in fitting)
    raise InvalidInput(
        f"Several columns hold addresses: {shown}. Say which with --channel or --column."
        if fitting
        else "No column holds addresses. Name it with --column.",
        field="column",
        code="ambiguous_column" if fitting else "no_column",
    )


def _names_of(kind: AddressKind) -> set[str]:
    return {AddressKind.EMAIL: _EMAIL_NAMES, AddressKind.PHONE: _PHONE_NAMES}.get(
        kind, {str(kind), "token", "reference"}
    )


def _mostly(sample: Sequence[Sequence[str]], place: int, kinds: Sequence[AddressKind], *, hashes: bool) -> bool:
    cells = [row[place].strip() for row in sample if place < len(row) and row[place].strip()]
    fitting = sum(
        bool(_digits_of_hash(cell)) if hashes else any(_looks(cell, kind) for kind in kinds) for cell in cells
    )
    return bool(cells) and fitting * 2 > len(cells)


def _looks(cell: str, kind: AddressKind) -> bool:
    if kind is AddressKind.EMAIL:
        return "@" in cell and "." in cell.rpartition("@")[2]
    return _PHONE_LIKE.fullmatch(cell) is not None


def _guessed_channel(found: Format, names: tuple[str, ...], place: int, sample: Sequence[Sequence[str]]) -> Channel:
    name = names[place] if place < len(names) else ""
    named_email = name in _EMAIL_NAMES - {"address", "recipient", "subscriber"}
    if found.name not in HEX_DIGITS and (named_email or _mostly(sample, place, [AddressKind.EMAIL], hashes=False)):
        return Channel.EMAIL
    what = "hashes" if found.name in HEX_DIGITS else "addresses"
    raise InvalidInput(
        f"Say which channel these {what} are for, like --channel {'email' if what == 'hashes' else 'sms'}.",
        field="channel",
        code="missing",
    )


def _refuse_spoilt(text: str) -> None:
    """Refuse numbers that a spreadsheet has changed (V20)."""
    number = text.strip()
    again = "Export the list again and open it nowhere before the import, or format the column as text."
    if _EXPONENT.fullmatch(number):
        raise RowProblem("A spreadsheet shortened this number, and its last digits are lost", again)
    if _POINT_ZERO.fullmatch(number):
        raise RowProblem("A spreadsheet took this number for a quantity and put a decimal behind it", again)
    if number.startswith(("'", "=")):
        raise RowProblem("A spreadsheet put a mark before this number", "Remove the mark, so that it begins with +.")


def _reader(plan: Plan) -> Callable[[Sequence[str]], Listed | None]:
    """Return a reader made once per file: which columns to look at is settled before the first row."""
    place, since = plan.column, _place(plan, plan.format.since)
    rules = [_compiled(plan, rule) for rule in plan.format.rules]
    otherwise = plan.format.otherwise
    facts = {reason: Fact(plan.channel, plan.scope, reason, plan.source) for reason in Reason}

    def read(cells: Sequence[str]) -> Listed | None:
        if len(cells) <= place:
            raise RowProblem("This row is too short", "Give it as many columns as the first row has.")
        reason: Reason | str | None = otherwise
        for fits, means in rules:
            if fits(cells):
                reason = means
                break
        if reason.__class__ is not Reason:
            if reason == REJECT:
                raise RowProblem(_unknown_words(plan, cells), "Keep it only if the person opted out: --format plain.")
            return None
        return Listed(facts[reason], cells[place], cells[since] if 0 <= since < len(cells) else "")

    return read


def _place(plan: Plan, name: str | None) -> int:
    return plan.header.index(name) if name in plan.header else -1


def _compiled(plan: Plan, rule: When) -> tuple[Callable[[Sequence[str]], bool], Reason | None]:
    if rule.column == REST:
        others = {one.column for one in plan.format.rules}
        places = [at for at, name in enumerate(plan.header) if at != plan.column and name not in others]
        return (lambda cells: any(at < len(cells) and cells[at].strip().lower() in _YES for at in places)), rule.means
    at = _place(plan, rule.column)
    if at < 0:
        return (lambda cells: False), rule.means

    def cell(cells: Sequence[str]) -> str:
        return cells[at].strip().lower() if at < len(cells) else ""

    tests: dict[Test, Callable[[Sequence[str]], bool]] = {
        Test.IS: lambda cells: cell(cells) == rule.value,
        Test.HAS: lambda cells: rule.value in cell(cells).replace(" ", "_"),
        Test.FILLED: lambda cells: cell(cells) not in _EMPTY,
        Test.YES: lambda cells: cell(cells) in _YES,
    }
    return tests[rule.test], rule.means


def _unknown_words(plan: Plan, cells: Sequence[str]) -> str:
    at = _place(plan, plan.format.rules[0].column)
    word = cells[at].strip()[:40] if 0 <= at < len(cells) else ""
    return f"{plan.format.tool} is not known to say {word!r} in {plan.header[at]!r}"


def _registry_reader(plan: Plan) -> Callable[[Sequence[str]], Listed | None]:
    fact = Fact(None, plan.scope, Reason.DO_NOT_CALL, plan.source)

    def read(cells: Sequence[str]) -> Listed:
        number = "".join(cell.strip() for cell in cells)
        if not (number.isascii() and number.isdigit() and len(number) == 10):
            raise RowProblem("Not a number of the registry", "Each row is an area code and seven digits.")
        return Listed(fact, f"+1{number}", "")

    return read


class _OwnRows:
    """Reads what we exported: every fact as it was, marks against formulas taken off again (V20)."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._at = {name: at for at, name in enumerate(plan.header)}
        self._facts: dict[tuple[str, ...], Fact] = {}

    def read(self, cells: Sequence[str]) -> Listed:
        """Return the fact of one row. Raises ``RowProblem``."""
        said = tuple(self._cell(cells, name) for name in ("channel", "scope", "reason", "source", "until"))
        if said not in self._facts:
            self._facts[said] = self._fact(*said)
        return Listed(self._facts[said], plain_cell(self._cell(cells, "to")), self._cell(cells, "since"))

    def _cell(self, cells: Sequence[str], name: str) -> str:
        at = self._at.get(name, len(cells))
        return cells[at].strip() if at < len(cells) else ""

    def _fact(self, channel: str, scope: str, reason: str, source: str, until: str) -> Fact:
        end = read_time(until)
        try:
            number = self._plan.spoken(scope or "all") if self._plan.scope == ALL else self._plan.scope
            fact = Fact(
                None if channel == "any" else Channel(channel), number, Reason(reason), source or Source.IMPORT, end
            )
        except InvalidInput as error:
            raise RowProblem("A scope that the catalogue does not have", str(error)) from error
        except ValueError as error:
            raise RowProblem(
                "A channel or a reason that does not exist",
                f"Channels are {', '.join(Channel)}; reasons are {', '.join(sorted(STATABLE_REASONS))}.",
            ) from error
        if fact.reason not in STATABLE_REASONS or not _SLUG.fullmatch(fact.source):
            raise RowProblem("A reason or a source that an import cannot set", "Remove the row.")
        if (fact.reason is Reason.SNOOZED) != (fact.until is not None):
            raise RowProblem("A pause needs its end, and nothing else has one", "Put the end into `until`.")
        return fact

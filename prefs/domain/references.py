"""The references people read out and type: what each names, and back again.

``NW-`` is one act (a stop somebody got a record of), ``CT-`` a person, ``DE-`` the decision
about one message of our gateway, ``EV-`` one entry of the ledger, ``IM-`` an import. None says who it is about:
subjects are random (contract D1), and an act's reference is one way only.
"""

import hashlib
import re

# No letter that is taken for a figure, none for another letter: read out on the telephone.
LETTERS = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
_BASE = len(LETTERS)
_ACT_LETTERS, _PERSON_LETTERS = 8, 13
_VALUES = {letter: value for value, letter in enumerate(LETTERS)}
_ACT = re.compile(rf"NW-([{LETTERS}]{{4}})-?([{LETTERS}]{{4}})")
_PERSON = re.compile(rf"CT-([{LETTERS}]{{{_PERSON_LETTERS}}})")
_MESSAGE = re.compile(r"DE-([0-9A-F]{24})")
_IMPORT = re.compile(r"IM-([0-9A-F]{24})")
_ENTRY = re.compile(r"EV-([0-9]{1,18})")


def act_number(act_id: str) -> int:
    """Return the number behind an act's reference, under forty bits. Two acts may share one."""
    number: int = int.from_bytes(hashlib.sha256(act_id.encode()).digest()[:8]) % (_BASE**_ACT_LETTERS)
    return number


def act_reference(act_id: str) -> str:
    """Return an act's reference, like ``NW-7K3M-92QD``."""
    letters = _spelled(act_number(act_id), _ACT_LETTERS)
    return f"NW-{letters[:4]}-{letters[4:]}"


def read_act(reference: str) -> int | None:
    """Return the number behind ``NW-…``, or None where it is no such reference."""
    found = _ACT.fullmatch(reference)
    return _number(found[1] + found[2]) if found else None


def person_reference(subject: int) -> str:
    """Return a person's reference, like ``CT-7K3M92QDXW4RT``."""
    return f"CT-{_spelled(subject, _PERSON_LETTERS)}"


def read_person(reference: str) -> int | None:
    """Return the subject behind ``CT-…``, or None where it is no such reference."""
    found = _PERSON.fullmatch(reference)
    number = _number(found[1]) if found else None
    return number if number is not None and number < 1 << 63 else None


def message_reference(message_id: str) -> str:
    """Return the reference of the decision about a message, like ``DE-0F3A…``."""
    return f"DE-{message_id.removeprefix('msg_').upper()}"


def read_message(reference: str) -> str | None:
    """Return the id of the message behind ``DE-…``, or None where it is no such reference."""
    found = _MESSAGE.fullmatch(reference)
    return f"msg_{found[1].lower()}" if found else None


def entry_reference(number: int) -> str:
    """Return the reference of one entry of the ledger, like ``EV-20418``."""
    return f"EV-{number}"


def read_entry(reference: str) -> int | None:
    """Return the number of the entry behind ``EV-…``, or None where it is no such reference."""
    found = _ENTRY.fullmatch(reference)
    return int(found[1]) if found else None


def import_reference(import_id: str) -> str:
    """Return the reference of an import, like ``IM-0F3A…``."""
    return f"IM-{import_id.removeprefix('imp_').upper()}"


def read_import(reference: str) -> str | None:
    """Return the id of the import behind ``IM-…``, or None where it is no such reference."""
    found = _IMPORT.fullmatch(reference)
    return f"imp_{found[1].lower()}" if found else None


def _spelled(number: int, length: int) -> str:
    letters = ""
    for _ in range(length):
        number, place = divmod(number, _BASE)
        letters += LETTERS[place]
    return letters


def _number(letters: str) -> int:
    total = 0
    for letter in reversed(letters):
        total = total * _BASE + _VALUES[letter]
    return total

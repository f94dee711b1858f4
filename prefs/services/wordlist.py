"""Every text recipients get, in every language, with what is missing and whether a text by SMS fits."""

from dataclasses import dataclass
from functools import lru_cache

from prefs import words
from prefs.services import replies
from prefs.services.organisation import Organisation

_REFERENCE, _TOKEN = "NW-7K3M-92QD", 64
_PART, _PART_UNICODE = 153, 67


@dataclass(frozen=True, slots=True)
class Translated:
    """One text in English and in a language; empty where it is not translated yet."""

    english: str
    said: str

    @property
    def missing(self) -> bool:
        """True where recipients read English instead."""
        return not self.said


@dataclass(frozen=True, slots=True)
class ShortText:
    """One text by SMS in a language: how long it is, and what makes it short of room."""

    situation: str
    language: str
    said: str
    foreign: tuple[str, ...]

    @property
    def length(self) -> int:
        """Characters, the organisation's name included."""
        return len(self.said)

    @property
    def room(self) -> int:
        """How many fit into one part: 160, or 70 with a letter outside GSM-7."""
        return replies.LONGEST_UNICODE if self.foreign else replies.LONGEST

    @property
    def fits(self) -> bool:
        """True where it goes out as one part."""
        return self.length <= self.room

    @property
    def parts(self) -> int:
        """How many parts it goes out as; several leave less room each (3GPP TS 23.040 9.2.3.24.1)."""
        return 1 if self.fits else -(-self.length // (_PART_UNICODE if self.foreign else _PART))


@lru_cache(maxsize=16)
def catalogue(language: str) -> tuple[Translated, ...]:
    """Return every text of pages and mails in a language, missing ones first."""
    from babel.messages.pofile import read_po  # noqa: PLC0415  only this page reads catalogues whole

    path = words.FOLDER / language / "messages.po"
    with path.open("rb") as file:
        found = [_translated(message.id, message.string) for message in read_po(file, locale=language) if message.id]
    return tuple(sorted(found, key=lambda text: not text.missing))


def short_texts(organisation: Organisation, language: str, base_url: str) -> list[ShortText]:
    """Return every text by SMS in a language, with sample values in its places."""
    link = f"{base_url}/p/{'x' * _TOKEN}"
    found = []
    for situation in replies.SITUATIONS:
        said = replies.word(situation, organisation, language, reference=_REFERENCE, link=link)
        found.append(ShortText(situation, language, said, tuple(dict.fromkeys(replies.not_gsm_7(said)))))
    return found


def _translated(identity: object, string: object) -> Translated:
    first = identity if isinstance(identity, str) else identity[0]  # type: ignore[index]  # singular, plural
    forms = [string] if isinstance(string, str) else list(string)  # type: ignore[call-overload]  # plural forms
    return Translated(str(first), " / ".join(str(one) for one in forms) if all(forms) else "")

"""The languages, their catalogues, and how dates are written in them. No Flask: mails use it too.

Catalogues are ``locale/<language>/messages.po``, read as they are (there is no build step). A
text that a catalogue does not have comes out in English. ``en-XA`` is a made-up language for
tests: every translatable text shows in brackets, longer and with accents.
"""

import io
import re
from collections.abc import Iterable
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from babel.support import NullTranslations

FOLDER = Path(__file__).parent / "locale"
DEFAULT = "en"
PSEUDO = "en-XA"

# Each in its own words; the order of the menu.
LANGUAGES = {
    "en": "English",
    "es": "Español",
    "fr": "Français",
    "de": "Deutsch",
    "pt": "Português",
    "ar": "العربية",
}
_RIGHT_TO_LEFT = frozenset({"ar"})
_ACCENTS = str.maketrans("aceinouyACEINOUY", "åçéîñöüýÅÇÉÎÑÖÜÝ")
_KEPT = re.compile(r"%\(\w+\)[sd]|%%|<[^>]+>|\{\w+\}")


def direction(language: str) -> str:
    """Return ``rtl`` or ``ltr``."""
    return "rtl" if language in _RIGHT_TO_LEFT else "ltr"


def spoken(wanted: str | None) -> str | None:
    """Return the language of ours that a tag like ``pt-BR`` asks for, or None."""
    if not wanted:
        return None
    if wanted.lower() == PSEUDO.lower():
        return PSEUDO
    first = wanted.replace("_", "-").partition("-")[0].lower()
    return first if first in LANGUAGES else None


def first_spoken(wanted: Iterable[str | None]) -> str:
    """Return the first of these languages that is ours, else English."""
    return next((found for one in wanted if (found := spoken(one))), DEFAULT)


@lru_cache(maxsize=16)
def translations(language: str) -> "NullTranslations":
    """Return the catalogue of a language, empty for English."""
    from babel.support import NullTranslations, Translations  # noqa: PLC0415  only pages and mails need it

    if language == PSEUDO:
        return _pseudo()
    path = FOLDER / language / "messages.po"
    if not path.exists():
        return NullTranslations()
    from babel.messages.mofile import write_mo  # noqa: PLC0415  only pages and mails need it
    from babel.messages.pofile import read_po  # noqa: PLC0415  only pages and mails need it

    compiled = io.BytesIO()
    with path.open("rb") as file:
        write_mo(compiled, read_po(file, locale=language))
    compiled.seek(0)
    return Translations(compiled)


def gettext(language: str, text: str, **values: object) -> str:
    """Return one text in a language, its ``%(name)s`` filled in."""
    found: str = translations(language).ugettext(text)
    return found % values if values else found


def day(moment: date, language: str) -> str:
    """Return a date in words, like ``12 May 2026``; never figures alone."""
    from babel.dates import format_date  # noqa: PLC0415  only pages and mails need it

    shown: str = format_date(moment, _DAY.get(language, "d MMMM y"), locale=_format_locale(language))
    return shown


def short_day(moment: date) -> str:
    """Return a date in the console's words with a short month, like ``9 Sep 2026``, for lists."""
    from babel.dates import format_date  # noqa: PLC0415  only pages and mails need it

    shown: str = format_date(moment, "d MMM y", locale=DEFAULT)
    return shown


def day_and_time(moment: datetime, language: str) -> str:
    """Return a moment in words with its zone, like ``12 May 2026 at 10:24 UTC``."""
    return gettext(language, "%(date)s at %(time)s", date=day(moment, language), time=f"{moment:%H:%M} UTC")


def country(code: str, language: str) -> str:
    """Return a country's name, like ``Germany`` for ``DE``, or the code where there is no such name."""
    from babel import Locale  # noqa: PLC0415  only pages and mails need it

    found: str = Locale.parse(_format_locale(language)).territories.get(code.upper(), code)
    return found


def language(tag: str, into: str) -> str:
    """Return a language's name, like ``German`` for ``de-AT``, or the tag where there is no such name."""
    from babel import Locale  # noqa: PLC0415  only pages and mails need it

    first = tag.replace("_", "-").partition("-")[0].lower()
    found: str = Locale.parse(_format_locale(into)).languages.get(first, tag)
    return found


# Spanish and Portuguese put "de" between the parts; the rest read well as they stand.
_DAY = {"es": "d 'de' MMMM 'de' y", "pt": "d 'de' MMMM 'de' y", "de": "d. MMMM y"}


def _format_locale(language: str) -> str:
    return DEFAULT if language == PSEUDO else language


def _pseudo() -> "NullTranslations":
    from babel.support import NullTranslations  # noqa: PLC0415  only pages and mails need it

    class Pseudo(NullTranslations):
        def gettext(self, message: str) -> str:
            return pseudo(message)

        def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
            return pseudo(msgid1 if n == 1 else msgid2)

        ugettext = gettext
        ungettext = ngettext

    return Pseudo()


def pseudo(text: str) -> str:
    """Return a text 40 % longer, accented and in brackets; placeholders and tags stay as they are."""
    parts = _KEPT.split(text)
    kept = [*_KEPT.findall(text), ""]
    accented = "".join(part.translate(_ACCENTS) + mark for part, mark in zip(parts, kept, strict=True))
    return f"⟦{accented}{' ···' * (len(text) // 10 + 1)}⟧"


def listed(items: Iterable[str], language: str) -> str:
    """Return items as a list in words, like ``a, b and c``."""
    from babel.lists import format_list  # noqa: PLC0415  only pages and mails need it

    # British English puts no comma before "and", and neither do our pages.
    locale = "en_GB" if language in {DEFAULT, PSEUDO} else language
    shown: str = format_list(list(items), locale=locale)
    return shown

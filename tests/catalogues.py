"""What is to be translated, and bringing the catalogues up to date: ``python -m tests.catalogues``.

The staff console is a domain of its own that is English for now, so its texts stay out.
New texts are added untranslated, texts nobody uses any more are dropped; translations stay.
"""

import io
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.pofile import read_po, write_po
from jinja2.ext import babel_extract

from prefs import words

ROOT = Path(__file__).parent.parent
# In Python a text is the first argument of ``_`` and ``say``, the second of ``words.gettext``.
_KEYWORDS = {"_": None, "say": None, "gettext": (2,)}


def messages() -> Catalog:
    """Return every translatable text of templates, mails and code, in a stable order."""
    found = Catalog(charset="utf-8")
    for path in sorted([*ROOT.glob("templates/**/*.html"), *ROOT.glob("prefs/mail/*")]):
        if path.parent.name == "dev" or "admin" in path.parts or path.name == "console.html":
            continue
        with path.open("rb") as file:
            for _, _, text, _ in babel_extract(file, {"_": None, "ngettext": (1, 2)}, [], {}):
                found.add(_message(text), locations=[(str(path.relative_to(ROOT)), 0)])
    for path in sorted([*ROOT.glob("prefs/**/*.py"), *ROOT.glob("webhooks/*.py")]):
        if "admin" in path.parts:
            continue
        if path.name == "words.py" or "cli" in path.parts:
            source: bytes = path.read_bytes() if path.name == "words.py" else b""
        else:
            source = path.read_bytes()
        for _, text, _, _ in extract("python", io.BytesIO(source), keywords=_KEYWORDS):
            found.add(_message(text), locations=[(str(path.relative_to(ROOT)), 0)])
    return found


def read(language: str) -> Catalog:
    """Return the catalogue of a language as it is on disk."""
    path = words.FOLDER / language / "messages.po"
    if not path.exists():
        return Catalog(locale=language)
    with path.open("rb") as file:
        return read_po(file, locale=language)


def update(language: str) -> Catalog:
    """Bring one catalogue up to date on disk and return it."""
    wanted, present = messages(), read(language)
    fresh = Catalog(locale=language, project="prefs", charset="utf-8", fuzzy=False)
    for message in wanted:
        if message.id:
            known = present.get(message.id)
            fresh.add(message.id, known.string if known else "", locations=message.locations)
    path = words.FOLDER / language / "messages.po"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        write_po(file, fresh, omit_header=False, sort_output=False, no_location=True, width=120)
    return fresh


def _message(text: object) -> object:
    if isinstance(text, tuple):
        given = [part for part in text if isinstance(part, str)]
        return tuple(given[:2]) if len(given) > 1 else given[0]
    return text


if __name__ == "__main__":
    for code in words.LANGUAGES:
        if code != words.DEFAULT:
            missing = [one.id for one in update(code) if one.id and not one.string]
            print(code, len(missing), "to translate")

"""The templates of mails, in one language at a time. The same text, values escaped, no Flask."""

from functools import lru_cache

from jinja2 import Environment, PackageLoader, select_autoescape

from prefs import words


@lru_cache(maxsize=16)
def mail_templates(language: str) -> Environment:
    """Return the mail templates with the catalogue of a language behind ``_()``."""
    made = Environment(
        loader=PackageLoader("prefs", "mail"),
        autoescape=select_autoescape(["html"]),
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    catalogue = words.translations(language)
    made.install_gettext_callables(  # type: ignore[attr-defined]  # comes with the i18n extension
        catalogue.ugettext, catalogue.ungettext, newstyle=True
    )
    made.globals.update(language=language, text_dir=words.direction(language))
    return made

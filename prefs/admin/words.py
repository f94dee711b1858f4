"""Words and languages: every text recipients get, what is missing, whether a text by SMS fits."""

from urllib.parse import urlencode

from flask import request, url_for
from flask.typing import ResponseReturnValue

from prefs import words as languages
from prefs.admin.access import allowed
from prefs.admin.frame import bp, show
from prefs.domain.roles import Right
from prefs.domain.terms import MessageClass
from prefs.edge import services
from prefs.services import wordlist
from prefs.wiring import organisation_of

SITUATION_NAMES: dict[str, str] = {
    "stopped": "Answer to STOP",
    "stopped_everywhere": "Answer to STOP, EEA and UK",
    "stopped_everything": "Answer to STOP to a service number",
    "stopped_marketing": "Answer to MARKETING after a STOP to a service number",
    "already": "Answer to STOP again",
    "ask_what": "Asks what a STOP to a service number meant",
    "kept": "Answer where only marketing was meant",
    "help": "Answer to HELP",
    "ask_for_yes": "Answer to START with nothing to bring back",
    "started": "Answer to YES or START",
    "unclear": "Not understood",
    "recorded": "Recorded by staff",
    "link": "Link asked for",
}
_ROWS = 50


@bp.get("/words")
@allowed(Right.SEE_WORDS)
def words() -> ResponseReturnValue:
    """Show the languages: what is missing in each, and previews."""
    return show(
        "words/languages.html", languages=[_language(code) for code in languages.LANGUAGES], tabs=_tabs("words")
    )


@bp.get("/words/texts")
@allowed(Right.SEE_WORDS)
def short_texts() -> ResponseReturnValue:
    """Show every text by SMS with its length, and the letter that makes it short of room."""
    code = _asked()
    return show(
        "words/short.html",
        texts=wordlist.short_texts(organisation_of(services().settings), code, services().base_url),
        situations=SITUATION_NAMES,
        tabs=_tabs("short_texts"),
        choices=_choices("admin.short_texts", code),
        code=code,
        way=languages.direction(code),
    )


@bp.get("/words/pages")
@allowed(Right.SEE_WORDS)
def page_texts() -> ResponseReturnValue:
    """Show every text of pages and mails in a language, missing ones first."""
    code = _asked()
    code = "es" if code == languages.DEFAULT else code
    asked = request.args.get("q", "").strip()[:100]
    found = [
        one
        for one in wordlist.catalogue(code)
        if asked.casefold() in one.english.casefold() or asked.casefold() in one.said.casefold()
    ]
    start = request.args.get("from", "0")
    first = int(start) if start.isascii() and start.isdigit() and len(start) < 6 else 0
    last = first + _ROWS
    more = {"language": code, **({"q": asked} if asked else {})}
    return show(
        "words/pages.html",
        texts=found[first:last],
        total=len(found),
        first=first + 1,
        missing=sum(one.missing for one in wordlist.catalogue(code)),
        asked=asked,
        tabs=_tabs("page_texts"),
        choices=_choices("admin.page_texts", code, without_english=True),
        code=code,
        name=languages.LANGUAGES[code],
        way=languages.direction(code),
        back=_at(more, first - _ROWS) if first else None,
        on=_at(more, last) if len(found) > last else None,
    )


@bp.get("/words/versions")
@allowed(Right.SEE_WORDS)
def versions() -> ResponseReturnValue:
    """Show each version of a page's words that people acted on."""
    return show(
        "words/versions.html",
        versions=services().wordings.versions(),
        names=languages.LANGUAGES,
        tabs=_tabs("versions"),
    )


@bp.get("/words/versions/<version>")
@allowed(Right.SEE_WORDS)
def word_version(version: str) -> ResponseReturnValue:
    """Show the words of one version, as evidence names it."""
    found = services().wordings.version(version)
    name, way = languages.LANGUAGES.get(found.language, found.language), languages.direction(found.language)
    return show("words/version.html", one=found, name=name, way=way)


def _language(code: str) -> dict[str, object]:
    texts = wordlist.catalogue(code) if code != languages.DEFAULT else ()
    topics = [
        one.name
        for one in services().kit.catalogue.topics
        if one.message_class is MessageClass.MARKETING and not one.retired and code not in one.translations
    ]
    short = wordlist.short_texts(organisation_of(services().settings), code, services().base_url)
    return {
        "code": code,
        "name": languages.LANGUAGES[code],
        "way": languages.direction(code),
        "texts": len(texts),
        "missing": sum(one.missing for one in texts),
        "topics": topics if code != languages.DEFAULT else [],
        "too_long": sum(not one.fits for one in short),
    }


def _tabs(here: str) -> list[tuple[str, str, bool, None]]:
    pages = {
        "words": "Languages",
        "short_texts": "Texts by SMS",
        "page_texts": "Pages and mails",
        "versions": "Versions shown",
    }
    return [(words, url_for(f"admin.{name}"), name == here, None) for name, words in pages.items()]


def _at(query: dict[str, str], row: int) -> str:
    return f"{url_for('admin.page_texts')}?{urlencode({**query, 'from': max(0, row)})}"


def _choices(endpoint: str, code: str, *, without_english: bool = False) -> list[tuple[str, str, bool]]:
    return [
        (name, url_for(endpoint, language=one), one == code)
        for one, name in languages.LANGUAGES.items()
        if not (without_english and one == languages.DEFAULT)
    ]


def _asked() -> str:
    wanted = request.args.get("language", "")
    return wanted if wanted in languages.LANGUAGES else languages.DEFAULT

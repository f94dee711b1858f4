"""``/v1/docs``: the reference as one page, open to all like the OpenAPI document. English only: it is for engineers."""

import re

from flask import Flask, render_template
from flask.typing import ResponseReturnValue
from markupsafe import Markup, escape

from prefs import __version__
from prefs.api import openapi, reference
from prefs.api.routes import bp
from prefs.domain.reasons import Rule
from prefs.domain.terms import Reason
from prefs.edge import services
from prefs.services.keys import SCOPES

_FIRST = "decide_one"


@bp.get("/docs")
def docs() -> ResponseReturnValue:
    """Show the whole reference."""
    found = reference.sections(openapi.places(), services().base_url)
    lines = {line.endpoint.name: line for section in found for line in section.lines}
    return render_template(
        "docs/reference.html",
        sections=found,
        first=lines[_FIRST],
        errors=reference.errors(),
        rules=list(Rule),
        reasons=list(Reason),
        scopes=SCOPES,
        version=__version__,
    )


def install(app: Flask) -> None:
    """Give the page its filters."""
    app.add_template_filter(reference.pretty, "pretty")
    app.add_template_filter(_slug, "slug")
    app.add_template_filter(_ticked, "ticked")
    app.add_template_filter(_breakable, "breakable")


def _slug(text: str) -> str:
    return re.sub(r"\W+", "-", text.lower()).strip("-")


def _ticked(text: str) -> Markup:
    """Return a text whose `words in ticks` are code."""
    return Markup(re.sub(r"`+([^`]+)`+", r"<code>\1</code>", str(escape(text))))  # noqa: S704  escaped before


def _breakable(text: str) -> Markup:
    """Return a path that may be broken behind its slashes and dots."""
    return Markup(re.sub(r"([/.\]])(?=\w|\{)", r"\1<wbr>", str(escape(text))))  # noqa: S704  escaped before

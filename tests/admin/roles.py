"""Writes ``docs/roles.md``: ``python -m tests.admin.roles``."""

import tempfile
from pathlib import Path

from flask import Flask

from app import create_app
from prefs.admin.access import document
from prefs.wiring import build
from tests.make import make_settings

PATH = Path(__file__).parent.parent.parent / "docs" / "roles.md"


def make_app() -> Flask:
    """Return the app, on a database nobody asks."""
    folder = Path(tempfile.gettempdir())
    return create_app(services=build(make_settings("sqlite:///:memory:", folder)))


if __name__ == "__main__":
    PATH.write_text(document(make_app()))

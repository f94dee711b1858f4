"""``create_app(settings)``: the only file that knows every edge."""

import os
from pathlib import Path

from flask import Flask
from flask_babel import Babel, get_locale

import prefs
from prefs import edge, logs
from prefs.api.http import ENDPOINTS
from prefs.api.routes import bp as api
from prefs.config import Settings
from prefs.crypto import Keyring, parse_secret_keys
from prefs.web import dev, health, unsubscribe
from prefs.wiring import Services, build
from webhooks import bp as webhooks

PACKAGE = Path(prefs.__file__).parent


def create_app(settings: Settings | None = None, services: Services | None = None) -> Flask:
    """Return the web application; without arguments it reads the environment (``gunicorn "app:create_app()"``)."""
    settings = settings or (services.settings if services else Settings.from_env(os.environ))
    app = Flask("prefs", static_folder=str(PACKAGE / "static"), template_folder=str(templates()))
    app.extensions["prefs"] = services or build(settings)
    app.secret_key = Keyring(parse_secret_keys(settings.secret_keys)).derive("session")
    app.config.update(WTF_CSRF_TIME_LIMIT=None, BABEL_TRANSLATION_DIRECTORIES=str(PACKAGE / "locale"))
    edge.install(
        app,
        base_url=settings.base_url,
        proxy_hops=settings.trusted_proxy_hops,
        development=settings.is_development,
    )
    Babel(app, default_locale="en")
    app.context_processor(lambda: _page_context(settings))
    for blueprint in (api, webhooks, unsubscribe.bp, health.bp, dev.bp):
        app.register_blueprint(blueprint)
    edge.csrf.exempt(api)
    edge.csrf.exempt(webhooks)
    assert ENDPOINTS  # the API's documentation is made from what it registered
    return app


def templates() -> Path:
    """Return where the templates are: inside an installed package, or beside it in a checkout."""
    packaged = PACKAGE / "_templates"
    return packaged if packaged.is_dir() else PACKAGE.parent / "templates"


def main() -> Flask:
    """Return the app of a server process, with logging set up."""
    settings = Settings.from_env(os.environ)
    logs.configure(settings.log_format)
    return create_app(settings)


def _page_context(settings: Settings) -> dict[str, object]:
    locale = get_locale()
    return {
        "org": {
            "name": settings.org_name,
            "postal_address": settings.org_postal_address,
            "phone": settings.org_phone,
            "privacy_email": settings.privacy_email,
            "privacy_notice_url": settings.privacy_notice_url,
        },
        "lang": str(locale or "en"),
        "text_dir": locale.text_direction if locale else "ltr",
    }

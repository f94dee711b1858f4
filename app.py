"""``create_app(settings)``: the only file that knows every edge."""

import os
from pathlib import Path

from flask import Flask

import prefs
from prefs import edge, logs
from prefs.admin import bp as admin
from prefs.api.http import ENDPOINTS
from prefs.api.routes import bp as api
from prefs.config import Settings
from prefs.crypto import Keyring, parse_secret_keys
from prefs.web import confirm, dev, health, pages, preferences, rights, stop, unsubscribe
from prefs.wiring import Services, build
from webhooks import bp as webhooks

PACKAGE = Path(prefs.__file__).parent


def create_app(settings: Settings | None = None, services: Services | None = None) -> Flask:
    """Return the web application; without arguments it reads the environment (``gunicorn "app:create_app()"``)."""
    settings = settings or (services.settings if services else Settings.from_env(os.environ))
    app = Flask("prefs", static_folder=str(PACKAGE / "static"), template_folder=str(templates()))
    app.extensions["prefs"] = services or build(settings)
    app.secret_key = Keyring(parse_secret_keys(settings.secret_keys)).derive("session")
    app.config.update(WTF_CSRF_TIME_LIMIT=None, **_cookies(settings))
    edge.install(
        app,
        base_url=settings.base_url,
        proxy_hops=settings.trusted_proxy_hops,
        development=settings.is_development,
    )
    pages.install(app)
    public = (pages.bp, unsubscribe.bp, preferences.bp, stop.bp, confirm.bp, rights.bp)
    for blueprint in (api, webhooks, *public, admin, health.bp, dev.bp):
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


def _cookies(settings: Settings) -> dict[str, object]:
    """Return how cookies are set: bound to this host and to https, where there is https (item 26, D33)."""
    https = settings.base_url.startswith("https://")
    return {
        "SESSION_COOKIE_NAME": "__Host-prefs" if https else "prefs",
        "SESSION_COOKIE_SECURE": https,
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
    }

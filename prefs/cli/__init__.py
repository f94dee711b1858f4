"""``prefs``: data on stdout, talk on stderr; exit 0, 1 for failure, 2 for usage (``decide``: 3 for blocked)."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from prefs.errors import InvalidInput, PrefsError, SettingsError

if TYPE_CHECKING:
    from prefs.config import Settings
    from prefs.wiring import Services

USAGE, FAILURE = 2, 1


class Commands(click.Group):
    """Turns our own errors into a sentence on stderr and the right exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (InvalidInput, SettingsError) as error:
            click.echo(f"prefs: {error}", err=True)
            sys.exit(USAGE)
        except PrefsError as error:
            click.echo(f"prefs: {error}", err=True)
            sys.exit(FAILURE)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="prefs-center", prog_name="prefs")
def main() -> None:
    """The preference centre and suppression service.

    \b
    Example:
      prefs demo
      prefs decide --channel email --to ada@example.com --topic product-offers
    """


def settings() -> "Settings":
    """Return the settings of the environment, a ``.env`` file in the working directory beneath it."""
    from prefs.config import Settings, read_dotenv  # noqa: PLC0415  keeps ``prefs --help`` quick

    file = Path(".env")
    return Settings.from_env({**(read_dotenv(file) if file.exists() else {}), **os.environ})


def services() -> "Services":
    """Return the services on a migrated database; the embedded one migrates by itself."""
    from prefs import logs  # noqa: PLC0415  keeps ``prefs --help`` quick
    from prefs.wiring import build  # noqa: PLC0415

    found = settings()
    logs.configure(found.log_format)
    made = build(found)
    prepare(made)
    return made


def prepare(made: "Services") -> None:
    """Migrate an embedded database, refuse a PostgreSQL that is behind, and see to the first catalogue."""
    from prefs.storage import migrate  # noqa: PLC0415  keeps ``prefs --help`` quick

    store = made.kit.store
    if migrate.current(store) != migrate.head():
        if not store.is_sqlite:
            raise SettingsError("The database schema is not current. Run: prefs db upgrade")
        migrate.upgrade(store.url)
    made.kit.catalogues.ensure_default()


from prefs.cli import (  # noqa: E402  each imports this module
    catalogue,
    db,
    demo,
    doctor,
    keys,
    ledger,
    numbers,
    people,
    retention,
    serve,
    simulate,
    sync,
    users,
)

for module in (catalogue, db, demo, doctor, keys, ledger, numbers, people, retention, serve, simulate, sync, users):
    module.register(main)

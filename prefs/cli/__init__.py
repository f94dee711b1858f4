"""``prefs``: data on stdout, talk on stderr; exit 0, 1 for failure, 2 for usage (``decide``: 3 for blocked)."""

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from prefs.errors import InvalidInput, PrefsError, SettingsError

if TYPE_CHECKING:
    from prefs.config import Settings
    from prefs.wiring import Services

USAGE, FAILURE = 2, 1


# Each command with its module and what the list says of it: a module loads when its command is used.
COMMANDS = {
    "consent": ("people", "Put a consent on record."),
    "db": ("db", "Look after the database schema."),
    "decide": ("people", "May this be sent? Exit 0 yes, 3 no."),
    "demo": ("demo", "Show the main job, on made-up data."),
    "doctor": ("doctor", "Check settings and database."),
    "export": ("transfer", "Write the suppression list to a file."),
    "import": ("transfer", "Take in another tool's suppressions."),
    "imports": ("transfer", "Look at imports, undo one."),
    "keys": ("keys", "Make, list and revoke API keys."),
    "ledger": ("ledger", "Check the ledger."),
    "links": ("people", "Print unsubscribe links and headers."),
    "numbers": ("numbers", "Registry age and reassigned numbers."),
    "outbox": ("people", "What would have been sent."),
    "read-text": ("people", "How a text is read, and why."),
    "retention": ("retention", "Delete what is past its time."),
    "scrub": ("scrub", "Split a file by what decide says."),
    "serve": ("serve", "Run the web server."),
    "simulate": ("simulate", "Post what the providers would post."),
    "snapshot": ("snapshot", "Write all answers as Parquet."),
    "suppress": ("people", "Put a block on record."),
    "sync": ("sync", "Compare with the providers' lists."),
    "topics": ("catalogue", "Show and change the catalogue."),
    "users": ("users", "Add, list and disable console users."),
    "worker": ("serve", "Hand messages over and run jobs."),
}


class Commands(click.Group):
    """Loads a command when it is used; turns our errors into a sentence on stderr and the right exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in COMMANDS and cmd_name not in self.commands:
            import_module(f"prefs.cli.{COMMANDS[cmd_name][0]}").register(self)
        return super().get_command(ctx, cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, words) for name, (_, words) in sorted(COMMANDS.items())])

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

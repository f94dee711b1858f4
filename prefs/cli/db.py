"""``prefs db``: the schema."""

import click

from prefs import cli
from prefs.errors import StoreUnavailable


def register(main: click.Group) -> None:
    """Add the commands."""
    main.add_command(db)


@click.group()
def db() -> None:
    """Look after the database schema.

    \b
    Example:
      prefs db upgrade
    """


@db.command()
def upgrade() -> None:
    """Bring the schema to the newest revision, and put in the first catalogue.

    \b
    Example:
      prefs db upgrade
    """
    from prefs.storage import migrate  # noqa: PLC0415  half a second to import
    from prefs.wiring import build  # noqa: PLC0415

    made = build(cli.settings())
    migrate.upgrade(made.kit.store.url)
    made.kit.catalogues.ensure_default()
    click.echo(f"The schema is at {migrate.head()}.", err=True)


@db.command()
def check() -> None:
    """Say whether the schema is current; exit 1 if not.

    \b
    Example:
      prefs db check
    """
    from prefs.storage import migrate  # noqa: PLC0415  half a second to import
    from prefs.storage.base import Store  # noqa: PLC0415

    current = migrate.current(Store(cli.settings().database_url))
    if current != migrate.head():
        raise StoreUnavailable(f"The schema is at {current or 'nothing'}, not {migrate.head()}. Run: prefs db upgrade")
    click.echo(f"The schema is current: {current}.", err=True)

"""``prefs keys``: API keys."""

import json
from typing import Any

import click

from prefs import cli


def register(main: click.Group) -> None:
    """Add the commands."""
    main.add_command(keys)


@click.group()
def keys() -> None:
    """Make, list and revoke API keys.

    \b
    Example:
      prefs keys create --name campaigns --scope decide --scope send
    """


@keys.command()
@click.option("--name", required=True, help="What the key is for.")
@click.option(
    "--scope", "scopes", multiple=True, required=True, help="decide, suppress, consent, send, contacts, read, admin."
)
def create(name: str, scopes: tuple[str, ...]) -> None:
    """Print a new API key, alone, on stdout. It cannot be shown again.

    \b
    Example:
      prefs keys create --name campaigns --scope decide
    """
    click.echo(cli.services().keys.create(name, scopes))


@keys.command("list")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
def list_keys(as_json: bool) -> None:
    """List the keys, newest first.

    \b
    Example:
      prefs keys list --json
    """
    rows: list[dict[str, Any]] = [
        {
            "id": one.id,
            "name": one.name,
            "scopes": sorted(one.scopes),
            "created_at": one.created_at.isoformat(),
            "revoked_at": one.revoked_at.isoformat() if one.revoked_at else None,
        }
        for one in cli.services().keys.every()
    ]
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        click.echo(
            f"{row['id']}  {row['name']}  {','.join(row['scopes'])}  {'revoked' if row['revoked_at'] else 'live'}"
        )


@keys.command()
@click.argument("key_id")
def revoke(key_id: str) -> None:
    """End a key; every process knows within five seconds.

    \b
    Example:
      prefs keys revoke 1f0c2ab94d3e
    """
    cli.services().keys.revoke(key_id)
    click.echo(f"Revoked {key_id}.", err=True)

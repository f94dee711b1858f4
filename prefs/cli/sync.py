"""``prefs sync``: compare with the providers' own lists and add what we miss."""

import json

import click

from prefs import cli
from prefs.errors import SettingsError


def register(main: click.Group) -> None:
    """Add the commands."""
    main.add_command(sync)


@click.group()
def sync() -> None:
    """Compare with the providers' own lists; adds what we miss, never removes.

    \b
    Example:
      prefs sync twilio --dry-run
    """


@sync.command()
@click.option("--dry-run", is_flag=True, help="Only say what is missing.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
def twilio(dry_run: bool, as_json: bool) -> None:
    """Read Twilio's log of texts and its deactivated numbers since the last time, and print the drift.

    \b
    Example:
      prefs sync twilio
    """
    from dataclasses import asdict  # noqa: PLC0415  keeps ``prefs --help`` quick

    made = cli.services()
    if made.sync is None:
        raise SettingsError("PREFS_SMS_TRANSPORT is not `twilio`: there is nothing to compare with.")
    drift = asdict(made.sync.run(dry_run=dry_run))
    if as_json:
        click.echo(json.dumps(drift))
        return
    for name, number in drift.items():
        click.echo(f"{number:8} {name.replace('_', ' ')}")

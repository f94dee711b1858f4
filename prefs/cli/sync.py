"""``prefs sync``: compare with the providers' own lists and add what we miss."""

import json
import sys
from typing import TYPE_CHECKING

import click

from prefs import cli
from prefs.errors import SettingsError

if TYPE_CHECKING:
    from prefs.services.mail_sync import ListDrift
    from prefs.services.sync import Drift


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
    made = cli.services()
    if made.sync is None:
        raise SettingsError("PREFS_SMS_TRANSPORT is not `twilio`: there is nothing to compare with.")
    _print(made.sync.run(dry_run=dry_run), as_json)


@sync.command()
@click.option("--dry-run", is_flag=True, help="Only say what is missing, on either side.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable, with the first conflicts.")
def sendgrid(dry_run: bool, as_json: bool) -> None:
    """Read SendGrid's lists and groups in full, add what we miss, and print the drift.

    What they lack is passed on only with PREFS_PUSH_SUPPRESSIONS=on. Nobody is ever opted in.

    \b
    Example:
      prefs sync sendgrid --dry-run
    """
    made = cli.services()
    if made.mail_sync is None:
        raise SettingsError("PREFS_EMAIL_TRANSPORT is not `sendgrid`: there is nothing to compare with.")
    if sys.stderr.isatty():
        click.echo("Reading SendGrid's lists, 500 lines a request …", err=True)
    _print(made.mail_sync.run(dry_run=dry_run, whole=True), as_json)


def _print(found: "Drift | ListDrift", as_json: bool) -> None:
    from dataclasses import asdict  # noqa: PLC0415  keeps ``prefs --help`` quick

    drift = asdict(found)
    if as_json:
        click.echo(json.dumps(drift))
        return
    for name, number in drift.items():
        if isinstance(number, int):
            click.echo(f"{number:8} {name.replace('_', ' ')}")

"""``prefs numbers``: registry copies and numbers that changed hands (rules.md G-10, A-1)."""

import csv
import hashlib
import json
import sys
from datetime import datetime
from typing import IO

import click

from prefs import cli


def register(main: click.Group) -> None:
    """Add the commands."""
    main.add_command(numbers)


@click.group()
def numbers() -> None:
    """What the age of a registry copy and the reassigned-numbers database say about telephones.

    \b
    Example:
      prefs numbers questions > ask.csv
    """


@numbers.command()
def questions() -> None:
    """Print what to ask the Reassigned Numbers Database: ten digits and the date of the last consent, as CSV.

    Ask again every month: carriers report by the 15th.

    \b
    Example:
      prefs numbers questions > ask.csv
    """
    lines = csv.writer(sys.stdout, lineterminator="\n")
    for number, confirmed in cli.services().numbers.questions():
        lines.writerow([number, confirmed.isoformat()])


@numbers.command()
@click.argument("file", type=click.File(encoding="utf-8-sig"))
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
def answers(file: IO[str], as_json: bool) -> None:
    """Apply a file of answers, `number,date,yes|no|no data`: a yes ends the consent, never a stop.

    The same file again changes nothing. Exit 1 where lines could not be read.

    \b
    Example:
      prefs numbers answers answers.csv
    """
    text = file.read()
    key = hashlib.sha256(text.encode()).hexdigest()[:24]
    found = cli.services().numbers.take_answers(text.splitlines(), key=key)
    if as_json:
        click.echo(json.dumps({"rows": found.rows, "ended": found.ended, "outdated": found.outdated}))
    else:
        click.echo(f"{found.rows} rows, {found.ended} consents ended, {found.outdated} to ask again.")
    if found.unreadable:
        lines = ", ".join(map(str, found.unreadable[:20]))
        click.echo(f"Not read, lines {lines}: write number, date like 2026-05-12, and yes, no or no data.", err=True)
        raise SystemExit(1)


@numbers.command()
@click.option("--copied-on", type=click.DateTime(["%Y-%m-%d"]), required=True, help="The day the copy was downloaded.")
def registry(copied_on: datetime) -> None:
    """Note that the do-not-call registry's copy of a day was imported (`prefs import`); it counts for 31 days.

    \b
    Example:
      prefs numbers registry --copied-on 2026-11-20
    """
    cli.services().numbers.note_registry_copy(copied_on.date())
    click.echo(f"Registry copy of {copied_on.date()} noted.", err=True)

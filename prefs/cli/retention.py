"""``prefs retention``: delete what is past its time."""

import json

import click

from prefs import cli


def register(main: click.Group) -> None:
    """Add the commands."""
    main.add_command(retention)


@click.group()
def retention() -> None:
    """Delete what is past its time; the worker does it once a day.

    \b
    Example:
      prefs retention run
    """


@retention.command()
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
def run(as_json: bool) -> None:
    """Delete what is past its time, never an opt-out, and say how many rows that was.

    \b
    Example:
      prefs retention run
    """
    deleted = cli.services().retention.run()
    if as_json:
        click.echo(json.dumps(deleted))
        return
    for name, number in deleted.items():
        click.echo(f"{number:8} {name.replace('_', ' ')}")

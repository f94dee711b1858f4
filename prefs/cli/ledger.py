"""``prefs ledger``: that the state is exactly what the log says."""

import click

from prefs import cli
from prefs.errors import Conflict


def register(main: click.Group) -> None:
    """Add the commands."""
    main.add_command(ledger)


@click.group()
def ledger() -> None:
    """Check the ledger.

    \b
    Example:
      prefs ledger replay --check
    """


@ledger.command()
def verify() -> None:
    """Check that no sealed entry was changed, removed or added; exit 1 where one was.

    \b
    Example:
      prefs ledger verify
    """
    found = cli.services().sealing.verify()
    for problem in found.problems:
        raise Conflict(f"The ledger does not hold: {problem}.")
    click.echo(f"{found.entries} entries hold; {found.unsealed} of them are not sealed yet.", err=True)


@ledger.command()
@click.option("--check", is_flag=True, help="Compare only; without it the state is put right.")
def replay(check: bool) -> None:
    """Work the state out again from the ledger and compare; exit 1 where they differ.

    \b
    Example:
      prefs ledger replay --check
    """
    from prefs.services.replay import replay as run  # noqa: PLC0415  keeps ``prefs --help`` quick

    found = run(cli.services().kit.store, repair=not check)
    click.echo(f"{found.addresses} addresses, {found.entries} entries.", err=True)
    if found.differing:
        raise Conflict(f"{len(found.differing)} addresses stand differently from what the ledger says.")
    click.echo("The state is exactly what the ledger says.", err=True)

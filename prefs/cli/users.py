"""``prefs users``: who may sign in to the console. There is no default account."""

import json
import sys
from typing import Any

import click

from prefs import cli

_ROLES = ("privacy", "marketing", "engineer", "admin")
_BY = "cli"


def register(main: click.Group) -> None:
    """Add the commands."""
    main.add_command(users)


@click.group()
def users() -> None:
    """Add, list and disable console users.

    \b
    Example:
      prefs users create sam@example.com --role admin
    """


@users.command()
@click.argument("email")
@click.option("--role", type=click.Choice(_ROLES), required=True, help="What they may do; docs/roles.md lists it.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@click.option("--no-second-factor", is_flag=True, help="Spare them the second factor. Development only.")
def create(email: str, role: str, password_stdin: bool, no_second_factor: bool) -> None:
    """Add a user. Without a password, prints a link, alone, on stdout: it sets one, once, within three days.

    \b
    Example:
      prefs users create sam@example.com --role privacy
      prefs users create sam@example.com --role admin --password-stdin < password.txt
    """
    from prefs.domain.roles import Role  # noqa: PLC0415  keeps ``prefs --help`` quick

    made = cli.services()
    password = sys.stdin.readline().rstrip("\r\n") if password_stdin else None
    user = made.team.create(email, Role(role), by=_BY, password=password, mfa_exempt=no_second_factor)
    if password is not None:
        click.echo(f"{user.email} can sign in at {made.base_url}/admin/sign-in", err=True)
        return
    click.echo("Give them this link. It works once, and for three days:", err=True)
    click.echo(made.base_url + made.team.link(user.id, by=_BY))


@users.command()
@click.argument("email")
@click.option("--new-second-factor", is_flag=True, help="Forget the second factor too: the phone is lost.")
def link(email: str, new_second_factor: bool) -> None:
    """Print a one-time link to set a new password, alone, on stdout.

    \b
    Example:
      prefs users link sam@example.com --new-second-factor
    """
    made = cli.services()
    user = made.team.find(email)
    if new_second_factor:
        made.team.reset_second_factor(user.id, by=_BY)
    click.echo(made.base_url + made.team.link(user.id, by=_BY))


@users.command("list")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
def list_users(as_json: bool) -> None:
    """List the users.

    \b
    Example:
      prefs users list --json
    """
    rows: list[dict[str, Any]] = [
        {
            "email": one.email,
            "role": one.role,
            "second_factor": one.totp is not None,
            "signed_in_at": one.signed_in_at.isoformat() if one.signed_in_at else None,
            "disabled": one.disabled_at is not None,
        }
        for one in cli.services().team.everyone()
    ]
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        state = "disabled" if row["disabled"] else "second factor" if row["second_factor"] else "no second factor"
        click.echo(f"{row['email']}  {row['role']}  {state}  last sign-in {row['signed_in_at'] or 'never'}")


@users.command()
@click.argument("email")
def disable(email: str) -> None:
    """Keep somebody out from now on; their sessions end at once.

    \b
    Example:
      prefs users disable sam@example.com
    """
    made = cli.services()
    made.team.disable(made.team.find(email).id, by=_BY)
    click.echo(f"Disabled {email}.", err=True)

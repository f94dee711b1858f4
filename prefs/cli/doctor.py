"""``prefs doctor``: what is set, what is wrong, and what to do."""

from typing import TYPE_CHECKING

import click

from prefs import cli

if TYPE_CHECKING:
    from prefs.wiring import Services

REVOKE_ALL_DATE = "2027-01-31"


def register(main: click.Group) -> None:
    """Add the command."""
    main.add_command(doctor)


@click.command()
@click.option("--new-secrets", is_flag=True, help="Print fresh secrets for a production environment file.")
def doctor(new_secrets: bool) -> None:
    """Check settings and database, and say what to do; exit 1 where something is wrong.

    \b
    Example:
      prefs doctor
    """
    from prefs import config  # noqa: PLC0415  keeps ``prefs --help`` quick

    if new_secrets:
        for name, value in config.new_secrets().items():
            click.echo(f"{name}={value}")
        return
    found = cli.settings()
    for name, value in config.effective(found):
        click.echo(f"{name:45} {value}")
    if found.revoke_all_from is None:
        click.echo(
            f"PREFS_REVOKE_ALL_FROM is unset. The regulator's latest date for revoke-all is {REVOKE_ALL_DATE}.",
            err=True,
        )
    problems = _problems()
    for problem in problems:
        click.echo(f"problem: {problem}", err=True)
    if problems:
        raise SystemExit(1)
    click.echo("The database answers, its schema is current, and its writes are durable.", err=True)


def _problems() -> list[str]:
    from prefs.wiring import build  # noqa: PLC0415  keeps ``prefs --help`` quick

    made = build(cli.settings())
    try:
        return _found(made)
    finally:
        made.kit.store.dispose()


def _found(made: "Services") -> list[str]:
    from prefs.errors import PrefsError  # noqa: PLC0415  keeps ``prefs --help`` quick
    from prefs.services import replies  # noqa: PLC0415
    from prefs.storage import migrate  # noqa: PLC0415
    from prefs.wiring import organisation_of  # noqa: PLC0415

    store = made.kit.store
    try:
        current = migrate.current(store)
    except PrefsError as error:
        return [str(error)]
    found = store.durability_problems() + replies.problems(organisation_of(made.settings))
    if current != migrate.head():
        return [f"the schema is at {current}; run: prefs db upgrade", *found]
    return found + _late_pushes(made)


def _late_pushes(made: "Services") -> list[str]:
    now = made.kit.now()
    return [
        f"{one.provider} has not taken opt-outs for {int((now - one.since).total_seconds() // 60)} minutes, "
        f"{one.number} waiting; they count here already. Is `prefs worker` running? Its log says `push_failed` and why."
        for one in made.pushes.late()
    ]

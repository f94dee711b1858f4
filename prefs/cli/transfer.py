"""``prefs import``, ``prefs imports …``, ``prefs export``: other tools' lists in, our own out."""

import getpass
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from prefs import cli
from prefs.domain.formats import BY_NAME, CONSENTS, FORMATS, HEX_DIGITS, NO_CONSENTS, UNSUPPORTED, of_import
from prefs.domain.terms import Channel, Reason
from prefs.errors import InvalidInput

if TYPE_CHECKING:
    from prefs.storage.imports import Import

CHANNELS = click.Choice([str(channel) for channel in Channel])
_STEPS = 1_000
_OWN_USE, _UNNAMED = "own use", "not named"


def register(main: click.Group) -> None:
    """Add the commands."""
    for command in (import_list, imports, export):
        main.add_command(command)


def operator(name: str | None) -> str:
    """Return who is at the keyboard, as the ledger names them."""
    if not name:
        try:
            name = getpass.getuser()
        except (KeyError, OSError):
            name = "operator"
    return f"cli:{name}"[:64]


@contextmanager
def bar(label: str) -> Iterator[Callable[[str, float], None]]:
    """Show how far the work is, on a terminal and on stderr only."""
    hidden = not sys.stderr.isatty()
    with click.progressbar(length=_STEPS, label=label, file=sys.stderr, hidden=hidden) as shown:

        def tell(what: str, done: float) -> None:
            # Reading is about a fifth of the work.
            part = 0.2 * done if what == "read" else 0.2 + 0.8 * done if what == "merge" else done
            shown.update(int(part * _STEPS) - shown.pos)

        yield tell


class Formats(click.Choice[str]):
    """The formats by name; consents are told where they belong (contract D31)."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value == CONSENTS:
            raise InvalidInput(NO_CONSENTS, field="format")
        return str(super().convert(value, param, ctx))


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--channel", type=CHANNELS, help="What the addresses are for; known where the format says it.")
@click.option("--format", "format_", type=Formats(["auto", *BY_NAME]), default="auto", show_default=False)
@click.option("--scope", default="all", show_default=True, help="How far each opt-out reaches: all, topic:SLUG, …")
@click.option("--column", help="The column of addresses, where it is not clear.")
@click.option("--region", help="Where numbers without + are from, like DE; PREFS_DEFAULT_REGION where it is left out.")
@click.option("--dry-run", is_flag=True, help="Only say what would happen.")
@click.option("--rejects", type=click.Path(dir_okay=False, path_type=Path), help="Where rows go that cannot be used.")
@click.option("--by", "name", help="Your name; your login where it is left out.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
def import_list(
    file: Path,
    channel: str | None,
    format_: str,
    scope: str,
    column: str | None,
    region: str | None,
    dry_run: bool,
    rejects: Path | None,
    name: str | None,
    as_json: bool,
) -> None:
    """Import suppressions from another tool's export. Never removes, never re-subscribes.

    Interrupted, it goes on where it stopped when it is run again. `prefs imports formats`
    lists the formats and what their rows mean.

    \b
    Example:
      prefs import suppressions.csv --dry-run --rejects not-imported.csv
    """
    from prefs.services.imports import ImportRequest  # noqa: PLC0415  keeps ``prefs --help`` quick

    made = cli.services().imports
    request = ImportRequest(
        path=file,
        actor=operator(name),
        channel=Channel(channel) if channel else None,
        format=None if format_ == "auto" else format_,
        scope=scope,
        column=column,
        region=region.upper() if region else None,
        dry_run=dry_run,
    )
    started = made.begin(request)
    click.echo(f"{started.id}: {of_import(started.format).tool}", err=True)
    try:
        with bar("Importing") as tell:
            found = made.advance(started.id, progress=tell)
    except KeyboardInterrupt:
        click.echo("\nInterrupted. Run the same command again to go on.", err=True)
        sys.exit(cli.FAILURE)
    kept = made.rejects(found.id)
    if rejects and kept:
        shutil.copyfile(kept, rejects)
    _report(found, rejects if kept else None, made.difference(found.id), as_json=as_json)
    if found.invalid and not found.added + found.already + found.ignored:
        sys.exit(cli.FAILURE)


def _report(found: "Import", rejects: Path | None, difference: dict[str, Any] | None, *, as_json: bool) -> None:
    counts = {name: getattr(found, name) for name in ("added", "already", "invalid", "ignored")}
    if as_json:
        about = {"id": found.id, "status": found.status, "format": found.format, "dry_run": found.dry_run}
        said = {"difference": difference, "rejects": str(rejects) if rejects else None}
        click.echo(json.dumps({**about, **counts, **said}))
    else:
        for name, number in counts.items():
            click.echo(f"{number:10} {name}")
        if difference:
            _show_difference(difference)
    if found.dry_run:
        click.echo("Nothing is saved: this was a dry run.", err=True)
    if found.invalid:
        where = f"They are in {rejects}, with what to do." if rejects else "Add --rejects FILE to get them."
        click.echo(f"{found.invalid} rows cannot be imported. {where}", err=True)
    if found.ignored:
        click.echo(f"{found.ignored} rows say that nobody opted out, and were passed over.", err=True)


def _show_difference(difference: dict[str, Any]) -> None:
    """Print what a dry run would change: a line for each channel, reason and scope, and the first new addresses."""
    for fact in difference["facts"]:
        click.echo(f"{fact['channel']} {fact['reason']} {fact['scope']}: {fact['new']} new, {fact['already']} already")
    if difference["first"]:
        click.echo("The first that are new:")
    for row in difference["first"]:
        click.echo(f"line {row['line']}: {row['to'] or '(a hash)'} {row['channel']} {row['reason']} {row['scope']}")


@click.group()
def imports() -> None:
    """Look at imports, undo one, and see which formats are read.

    \b
    Example:
      prefs imports show imp_0f3a
    """


@imports.command()
@click.argument("number")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
def show(number: str, as_json: bool) -> None:
    """Show how far an import is and what it did.

    \b
    Example:
      prefs imports show imp_0f3a --json
    """
    made = cli.services().imports
    found = made.view(number)
    if not as_json:
        click.echo(f"{found.id} {found.status}, {of_import(found.format).tool}, by {found.actor}", err=True)
    _report(found, made.rejects(number), made.difference(number), as_json=as_json)


@imports.command()
@click.argument("number")
@click.option("--by", "name", help="Your name; your login where it is left out. Not the person who imported.")
def undo(number: str, name: str | None) -> None:
    """Lift what an import added, save what a later list confirmed. Takes a second person.

    \b
    Example:
      prefs imports undo imp_0f3a --by bea
    """
    with bar("Undoing") as tell:
        found = cli.services().imports.undo(number, operator(name), tell)
    click.echo(found.lifted)
    click.echo(f"opt-outs of {number} lifted; what a later list or the person confirmed stands.", err=True)


@imports.command()
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
def formats(as_json: bool) -> None:
    """List the formats, the page each was taken from and what it shows, and what cannot be read.

    \b
    Example:
      prefs imports formats
    """
    if as_json:
        listed = [
            {"name": one.name, "tool": one.tool, "source": one.source, "shows": one.shows, "note": one.note}
            for one in FORMATS
        ]
        click.echo(json.dumps({"formats": listed, "unsupported": UNSUPPORTED}))
        return
    for one in FORMATS:
        click.echo(f"{one.name:22} {one.tool}\n{'':22} {one.source} shows {one.shows}")
        if one.note:
            click.echo(f"{'':22} {one.note}")
    click.echo("\nNot read:")
    for tool, mend in UNSUPPORTED.items():
        click.echo(f"{tool}: {mend}")


def _tell_rows(rows: int) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r{rows} rows", err=True, nl=False)


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, writable=True, path_type=Path))
@click.option("--channel", type=CHANNELS, help="Only this channel.")
@click.option("--reason", "reasons", type=click.Choice([str(reason) for reason in Reason]), multiple=True)
@click.option("--scope", help="Only this scope: all, topic:SLUG, brand:SLUG, sender:SLUG.")
@click.option(
    "--since", type=int, default=0, help="Only what came behind this ledger position; what ended: FILE.lifted.csv."
)
@click.option("--hashed", type=click.Choice(list(HEX_DIGITS)), help="Hashes instead of addresses, for partners.")
@click.option("--recipient", help="Who gets the file; goes on record. Default: own use; of hashes: not named.")
@click.option("--purpose", default="suppression", show_default=True, help="What for; goes on record.")
@click.option("--by", "name", help="Your name; your login where it is left out.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
def export(
    file: Path,
    channel: str | None,
    reasons: tuple[str, ...],
    scope: str | None,
    since: int,
    hashed: str | None,
    recipient: str | None,
    purpose: str,
    name: str | None,
    as_json: bool,
) -> None:
    """Write the suppression list to a file, for suppression only; who took it goes on record.

    The last line on stdout is the number of rows, the SHA-256 of the file, and the ledger
    position to give to --since next time; FILE.json says the same. With --since, what is to
    come off the list is in a second file.

    \b
    Example:
      prefs export partner.csv --channel email --hashed sha256 --recipient "Adverts Ltd" --purpose "campaign 7"
    """
    from prefs.services.exports import ExportRequest  # noqa: PLC0415  keeps ``prefs --help`` quick

    request = ExportRequest(
        path=file,
        actor=operator(name),
        recipient=_UNNAMED if recipient is None and hashed else recipient or _OWN_USE,
        purpose=purpose,
        channel=Channel(channel) if channel else None,
        reasons=tuple(Reason(reason) for reason in reasons),
        scope=scope,
        since=since,
        hashed=hashed,
    )
    done = cli.services().exports.run(request, _tell_rows)
    click.echo(done.notice, err=True)
    if done.recipient == _UNNAMED:
        click.echo(
            "Hashes are for partners, and nobody is named who gets these: that is how it stands on record. "
            'Name them: --recipient "Adverts Ltd" --purpose "campaign 7".',
            err=True,
        )
    if done.lifted:
        click.echo(f"{done.lifted} rows are to come off the list: {request.lifted_path}", err=True)
    if done.unnamed:
        click.echo(
            f"{done.unnamed} facts are about addresses of which only a key is kept; they are not in the file.", err=True
        )
    click.echo(json.dumps(asdict(done)) if as_json else f"{done.rows} {done.sha256} {done.position}")

"""``prefs scrub``: mark a file of people sendable or not."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from prefs import cli
from prefs.cli.people import CHANNELS
from prefs.domain.regions import parse_country
from prefs.domain.terms import Channel, MessageClass
from prefs.errors import Conflict

if TYPE_CHECKING:
    from prefs.services.scrub import Report

FILE = click.Path(dir_okay=False, path_type=Path)
MOMENT = click.DateTime(["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M%z"])
_BAR = 24


def register(main: click.Group) -> None:
    """Add the commands."""
    main.add_command(scrub)


@click.command()
@click.argument("audience", type=FILE, required=False)
@click.option("--channel", type=CHANNELS, help="How the campaign travels.")
@click.option("--topic", help="The topic's slug.")
@click.option("--class", "message_class", type=click.Choice(["transactional"]), help="In place of a topic.")
@click.option("--out", type=FILE, help="Rows that may be written to: .csv or .parquet.")
@click.option("--blocked", type=FILE, help="Rows that may not, with outcome and reason.")
@click.option("--rejects", type=FILE, help="Rows that name nobody, with their line. Default: OUT.rejected.csv")
@click.option("--certificate", type=FILE, help="The signed statement. Default: OUT.certificate.json")
@click.option(
    "--column", "columns", multiple=True, help="A column of addresses; of several, all must be allowed. Else guessed."
)
@click.option("--hashed", type=click.Choice(["sha256", "md5"]), help="The column holds hashes of addresses.")
@click.option("--brand", help="The brand's slug.")
@click.option("--sender", help="The sender's slug.")
@click.option("--country", help="Where these people are, if you know: DE, GB, US, …")
@click.option("--at", type=MOMENT, help="When the campaign starts; quiet hours and pauses are read at that time.")
@click.option("--memory-limit", default="1GB", show_default=True, help="For the engine; the whole takes a little more.")
@click.option("--verify", type=FILE, help="Check a certificate and the files beside it, instead.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
def scrub(audience: Path | None, verify: Path | None, as_json: bool, **given: Any) -> None:
    """Split a CSV or Parquet file of people by what `decide` says about each, and sign what was done.

    Run again after an interruption, it goes on where it was; every answer is taken afresh.

    \b
    Example:
      prefs scrub people.csv --channel email --topic product-offers --out sendable.csv --blocked blocked.csv
      prefs scrub --verify sendable.certificate.json
    """
    if verify is not None:
        _verify(verify, as_json=as_json)
        return
    for option in ("channel", "out"):
        if given[option] is None:
            raise click.UsageError(f"Missing option '--{option}'.")
    if audience is None:
        raise click.UsageError("Missing argument 'AUDIENCE'.")
    made = cli.services()
    with progress("Interrupted. The same command goes on where this one was; answers are taken afresh.") as told:
        report = made.scrub.run(_order(audience, given), told)
    _show(report, as_json=as_json)


def _order(audience: Path, given: dict[str, Any]) -> Any:
    from prefs.services.decisions import Asked  # noqa: PLC0415  keeps ``prefs --help`` quick
    from prefs.services.scrub import Order  # noqa: PLC0415

    message_class = given["message_class"]
    asked = Asked(
        channel=Channel(given["channel"]),
        topic=given["topic"],
        message_class=MessageClass(message_class) if message_class else None,
        brand=given["brand"],
        sender=given["sender"],
        country=parse_country(given["country"]) if given["country"] is not None else None,
        at=given["at"].astimezone(UTC) if given["at"] else None,
    )
    return Order(
        audience=audience,
        asked=asked,
        kept=given["out"],
        blocked=given["blocked"],
        rejected=given["rejects"],
        certificate=given["certificate"],
        columns=given["columns"],
        hashed=given["hashed"],
        memory=given["memory_limit"],
    )


def _show(report: "Report", *, as_json: bool) -> None:
    if as_json:
        found = {
            "rows": report.rows,
            "kept": report.kept,
            "blocked": report.blocked,
            "rejected": report.rejected,
            "reasons": dict(report.reasons),
            "ledger_position": report.position,
            "policy_version": report.policy_version,
            "certificate": str(report.certificate),
            "key_only": report.key_only,
            "columns": list(report.columns),
        }
        click.echo(json.dumps(found))
        return
    for part in ("rows", "kept", "blocked", "rejected"):
        click.echo(f"{getattr(report, part):12,} {part}")
    for reason, number in report.reasons.items():
        click.echo(f"{number:12,}   {reason}")
    headless = "" if report.header else " (the file has no header)"
    click.echo(f"Addresses read from {', '.join(report.columns)}{headless}.", err=True)
    click.echo(f"As of ledger position {report.position}; certificate: {report.certificate}", err=True)
    if report.key_only:
        click.echo(
            f"{report.key_only:,} addresses with something on record are held as keyed hashes only: a hash that "
            "matches nothing may be one of them, so none of those was kept. Give addresses instead of hashes.",
            err=True,
        )


def _verify(path: Path, *, as_json: bool) -> None:
    from prefs.crypto import Keyring, parse_secret_keys  # noqa: PLC0415  keeps ``prefs --help`` quick
    from prefs.services.certificates import Certificates  # noqa: PLC0415

    checked = Certificates(Keyring(parse_secret_keys(cli.settings().secret_keys))).check(path)
    if as_json:
        click.echo(json.dumps({**checked.says, "found": dict(checked.files)}))
    else:
        question, counts = checked.says["question"], checked.says["counts"]
        kind = question["topic"] or question["message_class"]
        click.echo(f"Signed by us: {kind} by {question['channel']}, made at {checked.says['made_at']}.")
        click.echo(f"{counts['kept']:,} of {counts['rows']:,} rows kept at position {checked.says['ledger_position']}.")
        for part, state in checked.files.items():
            click.echo(f"{state:8} {part}: {checked.says['files'][part]['name']}")
    if "changed" in checked.files.values():
        raise Conflict("A file is not the one this certificate speaks of.")
    if not checked.holds:
        raise Conflict("The kept rows are not beside the certificate under their name: nothing is proven of any file.")


@dataclass
class Bar:
    """A progress bar on stderr: the step, rows so far, seconds left in this step."""

    clock: Callable[[], float] = time.monotonic
    write: Callable[[str], object] = field(default=lambda text: click.echo(text, err=True, nl=False))
    _step: str = ""
    _since: float = 0.0

    def told(self, step: str, fraction: float, rows: int) -> None:
        """Draw how far a step is."""
        if step != self._step:
            self._step, self._since = step, self.clock()
        fraction = min(max(fraction, 0.0), 1.0)
        spent = self.clock() - self._since
        left = f", {spent / fraction - spent:.0f} s left" if fraction > 0.02 else ""
        full = round(_BAR * fraction)
        self.write(
            f"\r{step:13} [{'#' * full}{'.' * (_BAR - full)}] {int(rows * fraction):,} of {rows:,} rows{left}   \x1b[K"
        )

    def end(self) -> None:
        """Take the bar away."""
        self.write("\r\x1b[K")


@contextmanager
def progress(interrupted: str) -> Iterator[Callable[[str, float, int], None] | None]:
    """Lend who draws a bar where somebody watches, else None; Ctrl-C ends the command with these words."""
    bar = Bar() if sys.stderr.isatty() else None
    try:
        yield bar.told if bar else None
    except KeyboardInterrupt:
        click.echo(f"\n{interrupted}", err=True)
        sys.exit(cli.FAILURE)
    if bar:
        bar.end()

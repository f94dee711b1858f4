"""``prefs snapshot``: the answers of one moment as Parquet."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from prefs import cli
from prefs.cli.people import CHANNELS
from prefs.cli.scrub import progress
from prefs.domain.terms import Channel

if TYPE_CHECKING:
    from prefs.services.snapshots import Snapshot


def register(main: click.Group) -> None:
    """Add the commands."""
    main.add_command(snapshot)


@click.command()
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="A new folder.")
@click.option("--channel", "channels", type=CHANNELS, multiple=True, help="Default: every channel.")
@click.option("--topic", "topics", multiple=True, help="Default: every marketing topic.")
@click.option("--since", type=int, help="Only addresses that moved since this ledger position: a delta.")
@click.option("--memory-limit", default="1GB", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
def snapshot(
    out: Path,
    channels: tuple[str, ...],
    topics: tuple[str, ...],
    since: int | None,
    memory_limit: str,
    as_json: bool,
) -> None:
    """Write the answers of this moment as Parquet, keyed hashes only, for joins where the audience lives.

    docs/scale.md has the format and the join in Spark SQL. The folder is there whole or not at
    all: interrupted, run the same command again.

    \b
    Example:
      prefs snapshot --out answers-today --channel email
      prefs snapshot --out answers-since --channel email --since 1842
    """
    services = cli.services()
    with progress("Interrupted; nothing was written. Run the same command again.") as told:
        made = services.snapshots.write(
            out,
            channels=[Channel(one) for one in channels],
            topics=topics,
            since=since,
            memory=memory_limit,
            told=told,
        )
    _show(made, as_json=as_json)


def _show(made: "Snapshot", *, as_json: bool) -> None:
    _warn(made)
    if as_json:
        click.echo(json.dumps({**asdict(made), "made_at": made.made_at.isoformat()}))
        return
    for part in made.parts:
        unknown = part.unknown_outcome + (f" ({part.unknown_reason})" if part.unknown_reason else "")
        click.echo(f"{part.rows:12,}  {part.channel:9} {part.topic:20} everybody else: {unknown}")
    click.echo(f"As of ledger position {made.position}; next time: --since {made.position}", err=True)


def _warn(made: "Snapshot") -> None:
    """Say loudly where a join that computes one key an address would find nothing about people who left."""
    if not made.needs_several_keys:
        return
    forms = [f"{len(made.keys)} keys of PREFS_ADDRESS_KEY"] if len(made.keys) > 1 else []
    forms += [f"hashes of addresses ({', '.join(made.hashes)})"] if made.hashes else []
    click.echo(
        f"WARNING: rows stand under {' and '.join(forms)}. A join that computes one key an address MISSES PEOPLE "
        "WHO OPTED OUT. Take the join of docs/scale.md: it computes every key that manifest.json names.",
        err=True,
    )

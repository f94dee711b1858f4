"""``prefs snapshot``: the answers of one moment as Parquet."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from prefs import cli
from prefs.cli.people import CHANNELS
from prefs.domain.terms import Channel


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

    docs/scale.md has the format and the join in Spark SQL.

    \b
    Example:
      prefs snapshot --out answers-today --channel email
      prefs snapshot --out answers-since --channel email --since 1842
    """
    made = cli.services().snapshots.write(
        out, channels=[Channel(one) for one in channels], topics=topics, since=since, memory=memory_limit
    )
    if as_json:
        click.echo(json.dumps({**asdict(made), "made_at": made.made_at.isoformat()}))
        return
    for part in made.parts:
        unknown = part.unknown_outcome + (f" ({part.unknown_reason})" if part.unknown_reason else "")
        click.echo(f"{part.rows:12,}  {part.channel:9} {part.topic:20} everybody else: {unknown}")
    click.echo(f"As of ledger position {made.position}; next time: --since {made.position}", err=True)

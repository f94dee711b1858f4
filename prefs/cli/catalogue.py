"""``prefs topics``: brands, topics and senders as a file."""

import json
from pathlib import Path

import click

from prefs import cli


def register(main: click.Group) -> None:
    """Add the commands."""
    main.add_command(topics)


@click.group()
def topics() -> None:
    """Show and change the catalogue of brands, topics and senders.

    \b
    Example:
      prefs topics apply catalogue.toml
    """


@topics.command("list")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
def list_topics(as_json: bool) -> None:
    """List the topics with their class.

    \b
    Example:
      prefs topics list
    """
    found = cli.services().kit.catalogue
    if as_json:
        rows = [
            {"slug": t.slug, "name": t.name, "message_class": t.message_class, "retired": t.retired}
            for t in found.topics
        ]
        click.echo(json.dumps(rows))
        return
    for topic in found.topics:
        click.echo(f"{topic.slug:16} {topic.message_class:14} {topic.name}{'  (retired)' if topic.retired else ''}")
    for sender in found.senders:
        click.echo(f"sender {sender.slug}: {sender.message_class} by {sender.channel}, {sender.address}")


@topics.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Check the file and change nothing.")
def apply(file: Path, dry_run: bool) -> None:
    """Add and change what FILE describes; all of it or nothing.

    \b
    Example:
      prefs topics apply catalogue.toml
    """
    from prefs.services.catalogue import parse  # noqa: PLC0415  keeps ``prefs --help`` quick

    text = file.read_text()
    if dry_run:
        click.echo(f"{len(parse(text))} items would be applied.", err=True)
        return
    changed = cli.services().kit.catalogues.apply(text)
    click.echo(f"Applied. The catalogue is at revision {changed.revision}.", err=True)

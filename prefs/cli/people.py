"""``prefs decide``, ``suppress``, ``consent``, ``links``, ``outbox``: what operators do for people."""

import json
import sys
from datetime import UTC, datetime

import click

from prefs import cli
from prefs.domain.terms import Channel, MessageClass, Reason

BLOCKED = 3
CHANNELS = click.Choice([str(channel) for channel in Channel])


def register(main: click.Group) -> None:
    """Add the commands."""
    for command in (decide, suppress, consent, links, outbox, read_text):
        main.add_command(command)


@click.command()
@click.option("--channel", type=CHANNELS, required=True)
@click.option("--to", required=True, help="The address.")
@click.option("--topic", help="The topic's slug.")
@click.option("--class", "message_class", type=click.Choice(["transactional"]), help="In place of a topic.")
@click.option("--explain", is_flag=True, help="Show every rule, in order.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
def decide(channel: str, to: str, topic: str | None, message_class: str | None, explain: bool, as_json: bool) -> None:
    """Say whether a message may be sent: exit 0 allowed, 3 blocked or deferred, 2 usage.

    \b
    Example:
      prefs decide --channel email --to ada@example.com --topic product-offers --explain
    """
    from prefs.services.decisions import Asked  # noqa: PLC0415  keeps ``prefs --help`` quick

    asked = Asked(
        channel=Channel(channel), topic=topic, message_class=MessageClass(message_class) if message_class else None
    )
    answer = cli.services().decisions.ask(asked, to, steps=explain)
    decision = answer.decision
    if as_json:
        steps = [{"rule": s.rule, "result": s.result, "detail": s.detail} for s in answer.steps]
        found = {"id": answer.id, "allowed": decision.allowed, "outcome": decision.outcome, "reason": decision.reason}
        click.echo(json.dumps({**found, "scope": answer.scope, "steps": steps} if explain else found))
    else:
        click.echo(f"{decision.outcome}{f': {decision.reason}' if decision.reason else ''}")
        for step in answer.steps:
            click.echo(f"  {step.result:5} {step.rule:22} {step.detail}")
    if not decision.allowed:
        sys.exit(BLOCKED)


@click.command()
@click.option("--channel", type=click.Choice([*(str(channel) for channel in Channel), "any"]), required=True)
@click.option("--to", required=True, help="The address.")
@click.option("--scope", default="all", show_default=True, help="all, brand:SLUG, topic:SLUG or sender:SLUG.")
@click.option(
    "--reason", type=click.Choice([str(reason) for reason in Reason]), default="unsubscribed", show_default=True
)
@click.option("--source", default="cli", show_default=True, help="How they told us: letter, phone, …")
@click.option("--note", help="What they said. No health details.")
def suppress(channel: str, to: str, scope: str, reason: str, source: str, note: str | None) -> None:
    """Put a block on record.

    \b
    Example:
      prefs suppress --channel any --to ada@example.com --source letter
    """
    from prefs.services.suppression import Wish  # noqa: PLC0415  keeps ``prefs --help`` quick

    wish = Wish(
        channel=None if channel == "any" else Channel(channel),
        to=to,
        scope=scope,
        reason=Reason(reason),
        source=source,
        note=note,
    )
    view = cli.services().suppressions.add(wish, actor="cli")
    click.echo(view.id)
    click.echo("It stands now." if view.created else "It stood already.", err=True)


@click.command()
@click.option("--channel", type=CHANNELS, required=True)
@click.option("--to", required=True, help="The address.")
@click.option("--topic", required=True, help="The topic's slug.")
@click.option("--source", required=True, help="Where they agreed: signup-form, counter, …")
@click.option("--occurred-at", type=click.DateTime(["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%d"]), help="When they agreed.")
def consent(channel: str, to: str, topic: str, source: str, occurred_at: datetime | None) -> None:
    """Put a consent on record; it never outranks a later opt-out.

    \b
    Example:
      prefs consent --channel sms --to +14155550123 --topic events --source signup-form
    """
    from prefs.services.suppression import Agreement  # noqa: PLC0415  keeps ``prefs --help`` quick

    when = occurred_at.replace(tzinfo=occurred_at.tzinfo or UTC) if occurred_at else None
    given = Agreement(channel=Channel(channel), to=to, topic=topic, source=source, occurred_at=when)
    click.echo(cli.services().suppressions.record_consent(given, actor="cli").id)


@click.command()
@click.option("--channel", type=CHANNELS, default="email", show_default=True)
@click.option("--to", required=True, help="The address.")
@click.option("--topic", help="The topic's slug; without it the link stops all marketing.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
def links(channel: str, to: str, topic: str | None, as_json: bool) -> None:
    """Print the unsubscribe and preference links and the headers for an address.

    \b
    Example:
      prefs links --channel email --to ada@example.com --topic product-offers
    """
    from prefs.domain.address import parse_address  # noqa: PLC0415  keeps ``prefs --help`` quick

    made = cli.services()
    address = parse_address(Channel(channel), to, default_region=made.kit.default_region)
    number = made.kit.catalogue.topic(topic).number if topic else 0
    found = made.linking.for_address(Channel(channel), made.kit.address_keys.key(address), number)
    if as_json:
        body = {"unsubscribe": found.unsubscribe, "preferences": found.preferences, "headers": found.headers}
        click.echo(json.dumps(body))
        return
    click.echo(f"unsubscribe: {found.unsubscribe}")
    click.echo(f"preferences: {found.preferences}")
    for name, value in found.headers.items():
        click.echo(f"{name}: {value}")


@click.command()
@click.argument("number", type=int, required=False)
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
def outbox(number: int | None, as_json: bool) -> None:
    """Show what the local transport would have sent: all of it, or one message.

    \b
    Example:
      prefs outbox 1
    """
    kept = [one for one in cli.services().outbox.messages() if number is None or one.id == number]
    if as_json:
        rows = [
            {
                "id": one.id,
                "channel": one.channel,
                "to": one.to,
                "subject": one.subject,
                "headers": one.headers,
                "text": one.text,
                "message_class": one.message_class,
                "unsubscribe_url": one.unsubscribe_url,
            }
            for one in kept
        ]
        click.echo(json.dumps(rows))
        return
    for one in kept:
        click.echo(f"{one.id:4} {one.channel:6} {one.message_class:14} {one.to}  {one.subject or one.text[:60]}")
        if number is not None:
            for name, value in one.headers.items():
                click.echo(f"     {name}: {value}")
            click.echo(one.text)


@click.command("read-text")
@click.argument("text")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
def read_text(text: str, as_json: bool) -> None:
    """Say how an inbound text would be read, and by which rule; nothing is stored.

    \b
    Example:
      prefs read-text "please take me off your list"
    """
    from prefs.domain.keywords import RULE_VERSION, read_keyword  # noqa: PLC0415  keeps ``prefs --help`` quick

    reading = read_keyword(text)
    found = {
        "kind": str(reading.kind),
        "rule": reading.rule,
        "evident": reading.evident,
        "language": reading.language or None,
        "normalised": reading.normalised,
        "rules": RULE_VERSION,
    }
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False))
        return
    click.echo(f"{found['kind']}{' (evident)' if reading.evident else ''}")
    for name in ("rule", "language", "normalised", "rules"):
        click.echo(f"  {name:11} {found[name] or '-'}")

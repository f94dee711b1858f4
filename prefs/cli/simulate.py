"""``prefs simulate``: correctly signed webhooks against the running service (development)."""

import click

from prefs import cli
from prefs.errors import SettingsError


def register(main: click.Group) -> None:
    """Add the commands."""
    main.add_command(simulate)


@click.group()
def simulate() -> None:
    """Post what the providers would post, correctly signed, to the running service.

    \b
    Example:
      prefs simulate sms --from +14155550123 --to +15550100001 --body STOP
    """


@simulate.command()
@click.option("--from", "from_", required=True, help="The person's number.")
@click.option("--to", required=True, help="Our number.")
@click.option("--body", required=True, help="What they wrote.")
def sms(from_: str, to: str, body: str) -> None:
    """Send us a text, as Twilio would; prints the answer.

    \b
    Example:
      prefs simulate sms --from +14155550123 --to +15550100001 --body "Stop."
    """
    import requests  # noqa: PLC0415  keeps ``prefs --help`` quick

    from prefs.simulate import TEXTS_PATH, sign_text, text_form  # noqa: PLC0415

    settings = cli.settings()
    if not settings.twilio_auth_tokens:
        raise SettingsError("TWILIO_AUTH_TOKEN is not set. `prefs demo` makes one for development.")
    url = settings.base_url + TEXTS_PATH
    form = text_form(settings.twilio_account_sid or "AC" + "0" * 32, from_, to, body)
    answer = requests.post(url, form, headers=sign_text(settings.twilio_auth_tokens[0], url, form), timeout=20)
    click.echo(f"{answer.status_code} {answer.text}")
    answer.raise_for_status()


@simulate.command()
@click.argument("event")
@click.option("--email", required=True, help="Whom the event is about.")
@click.option("--type", "bounce_type", help="For a bounce: bounce or blocked.")
@click.option("--reason", help="For a drop: the provider's words, like 'Bounced Address'.")
def sendgrid(event: str, email: str, bounce_type: str | None, reason: str | None) -> None:
    """Report an event, as SendGrid would: unsubscribe, spamreport, bounce, dropped …

    \b
    Example:
      prefs simulate sendgrid spamreport --email ada@example.com
    """
    import requests  # noqa: PLC0415  keeps ``prefs --help`` quick

    from prefs.config import development_secrets  # noqa: PLC0415
    from prefs.simulate import EVENTS_PATH, sign_events  # noqa: PLC0415
    from prefs.simulate import event as make_event  # noqa: PLC0415

    settings = cli.settings()
    key = development_secrets(settings.data_dir).get("SENDGRID_WEBHOOK_PRIVATE_KEY")
    if not settings.is_development or key is None:
        raise SettingsError("There is no development key to sign with. `prefs demo` makes one.")
    more = {name: value for name, value in (("type", bounce_type), ("reason", reason)) if value}
    body, headers = sign_events(key, [make_event(event, email, **more)])
    answer = requests.post(settings.base_url + EVENTS_PATH, body, headers=headers, timeout=20)
    click.echo(f"{answer.status_code}")
    answer.raise_for_status()

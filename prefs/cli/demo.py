"""``prefs demo``: the main job on an empty machine, told as a tour over real HTTP."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import click

ADA, BEN = "ada@example.com", "+14155550123"
CONSOLE_USER, LOGIN_FILE, LOG_FILE = "demo@northwind.example", "console-login", "serve.log"
_START_SECONDS = 30


def register(main: click.Group) -> None:
    """Add the command."""
    main.add_command(demo)


@click.command()
@click.option("--port", type=int, default=8080, show_default=True, help="Taken? Then the next free one.")
@click.option("--once", is_flag=True, help="End after the tour instead of serving on.")
@click.option("--keep", type=click.Path(file_okay=False, path_type=Path), help="Keep the demo's data in this folder.")
def demo(port: int, once: bool, keep: Path | None) -> None:
    """Show the main job: an unsubscribe and a STOP that hold, and a receipt that still goes out.

    Everything is made up and local: an embedded database in a throw-away folder, no credentials,
    nothing really sent.

    \b
    Example:
      prefs demo
    """
    folder = keep or Path(tempfile.mkdtemp(prefix="prefs-demo-"))
    try:
        with _service(folder, _free_port(port)) as service:
            _tour(service)
            if not once:
                _serve_on(service)
    finally:
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)


class _Service(NamedTuple):
    """The running demo: where it listens, with what key, and its process."""

    url: str
    key: str
    folder: Path
    process: subprocess.Popen[bytes]

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        import requests  # noqa: PLC0415  keeps ``prefs --help`` quick

        headers = {"Authorization": f"Bearer {self.key}"}
        answer = requests.request(method, self.url + path, json=body, headers=headers, timeout=20)
        answer.raise_for_status()
        return answer.json()


@contextmanager
def _service(folder: Path, port: int) -> Iterator[_Service]:
    from prefs.config import write_development_secrets  # noqa: PLC0415
    from prefs.simulate import new_webhook_secrets  # noqa: PLC0415

    url = f"http://127.0.0.1:{port}"
    environment = {**os.environ, "PREFS_ENV": "development", "PREFS_DATA_DIR": str(folder), "PREFS_BASE_URL": url}
    for name in ("DATABASE_URL", "PREFS_EMAIL_TRANSPORT", "PREFS_SMS_TRANSPORT", "PREFS_REVOKE_ALL_FROM"):
        environment.pop(name, None)
    write_development_secrets(folder, new_webhook_secrets())
    os.environ.update({name: environment[name] for name in ("PREFS_ENV", "PREFS_DATA_DIR", "PREFS_BASE_URL")})
    command = [sys.executable, "-m", "prefs"]
    scopes = [
        part for scope in ("decide", "suppress", "consent", "send", "read", "contacts") for part in ("--scope", scope)
    ]
    made = subprocess.run(
        [*command, "keys", "create", "--name", "demo", *scopes], env=environment, check=True, stdout=subprocess.PIPE
    )
    _make_console_user(command, environment, folder)
    with (folder / LOG_FILE).open("wb") as messages:
        process = subprocess.Popen(
            [*command, "serve", "--port", str(port)], env=environment, stderr=messages, start_new_session=True
        )
    try:
        _wait_until_ready(url, process, folder / LOG_FILE)
        yield _Service(url, made.stdout.decode().strip(), folder, process)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=30)


def _make_console_user(command: list[str], environment: dict[str, str], folder: Path) -> None:
    """Make one console user; the password is kept where only this user of the machine reads it."""
    login = folder / LOGIN_FILE
    if login.exists():
        return
    password = "-".join(secrets.token_hex(3) for _ in range(4))
    create = [*command, "users", "create", CONSOLE_USER, "--role", "admin", "--password-stdin", "--no-second-factor"]
    subprocess.run(create, env=environment, check=True, input=password.encode(), stderr=subprocess.DEVNULL)
    descriptor = os.open(login, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{CONSOLE_USER}\n{password}\n")


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], messages: Path) -> None:
    import requests  # noqa: PLC0415  keeps ``prefs --help`` quick

    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            if requests.get(f"{url}/readyz", timeout=2).status_code == 200:
                return
        except requests.ConnectionError:
            pass
        time.sleep(0.1)  # polls another process's start; there is nothing to wait on
    last = "\n".join(messages.read_text(errors="replace").splitlines()[-20:])
    raise click.ClickException(f"The demo's server did not start. It said:\n{last}")


def _tour(service: _Service) -> None:
    _consents(service)
    _say("1. May Ada get an offer by email? She never said no.")
    _decision(service, {"channel": "email", "to": ADA, "topic": "product-offers"})
    _say("2. We send one. It carries an unsubscribe link.")
    offer = _send(
        service,
        {
            "channel": "email",
            "to": ADA,
            "topic": "product-offers",
            "subject": "Spring offers",
            "text": "Hello Ada,\na scan costs less in spring.",
        },
    )
    _show(f"{offer['status']}, and the headers say:")
    _show(f"List-Unsubscribe: {offer['mail']['headers']['List-Unsubscribe']}")
    _show("List-Unsubscribe-Post: List-Unsubscribe=One-Click")
    _say("3. The next campaign is queued already when Ada presses Unsubscribe: one POST, no cookie, no login.")
    next_offer = _queue_for_later(service)
    _show(f"{next_offer['id']}: {next_offer['status']}")
    _show(_one_click(offer["mail"]["unsubscribe_url"]))
    _decision(service, {"channel": "email", "to": ADA, "topic": "product-offers"})
    _say("4. At hand-over the gateway asks again, and the queued campaign stays here.")
    stopped = _until(
        lambda: service.call("GET", f"/v1/messages/{next_offer['id']}"), lambda found: found["status"] != "queued"
    )
    _show(f"{stopped['id']}: {stopped['status']}, reason: {stopped['reason']}")
    place, hour = _where_it_is_day()
    _say(f"5. Ben, in {place} where it is {hour}, said yes to texts about events. Now he texts STOP.")
    ben = {"addresses": [{"channel": "sms", "value": BEN}], "time_zone": place}
    service.call("PUT", "/v1/contacts/ben", ben)
    _decision(service, {"channel": "sms", "to": BEN, "topic": "events"})
    _show(_text_stop(service))
    _decision(service, {"channel": "sms", "to": BEN, "topic": "events"})
    _say("6. Receipts and appointment texts are not marketing: both still go out.")
    receipt = _send(
        service,
        {
            "channel": "email",
            "to": ADA,
            "topic": "activity",
            "subject": "Your receipt",
            "text": "Thank you for your visit.",
        },
    )
    _show(f"Ada's receipt: {receipt['status']}, list headers: {'List-Unsubscribe' in receipt['mail']['headers']}")
    reminder = _send(service, {"channel": "sms", "to": BEN, "topic": "account", "text": "Your scan is on Friday at 9."})
    _show(f"Ben's appointment text: {reminder['status']}, from {reminder['mail']['sender']}")
    _where_to_look(service, offer["mail"]["unsubscribe_url"])


def _where_it_is_day() -> tuple[str, str]:
    """Return a time zone with its time of day: at night Ben would not be texted, and the tour would wait."""
    zones = ("America/Los_Angeles", "America/New_York", "Europe/London", "Asia/Dubai", "Asia/Tokyo", "Pacific/Auckland")
    times = [(zone, datetime.now(ZoneInfo(zone))) for zone in zones]
    zone, now = min(times, key=lambda one: abs(one[1].hour - 13))
    return zone, f"{now:%H:%M}"


def _consents(service: _Service) -> None:
    service.call(
        "POST",
        "/v1/consents",
        {
            "channel": "sms",
            "to": BEN,
            "topic": "events",
            "source": "signup-form",
            "wording": "Yes, text me about events.",
        },
    )


def _decision(service: _Service, question: dict[str, Any]) -> None:
    answer = service.call("POST", "/v1/decisions", question)
    since = f", since {answer['since']}" if answer["since"] else ""
    reason = f" ({answer['reason']}{since})" if answer["reason"] else ""
    _show(f"{question['topic']} by {question['channel']} to {question['to']}: {answer['outcome']}{reason}")


def _send(service: _Service, message: dict[str, Any]) -> dict[str, Any]:
    """Send through the gateway and wait for the worker to hand it over."""
    queued = service.call("POST", "/v1/messages", message)
    status = _until(
        lambda: service.call("GET", f"/v1/messages/{queued['id']}"), lambda found: found["status"] == "sent"
    )
    return {"status": status["status"], "mail": _newest_mail()}


def _queue_for_later(service: _Service) -> dict[str, Any]:
    due = datetime.now(UTC) + timedelta(seconds=1)
    campaign = {"channel": "email", "to": ADA, "topic": "product-offers", "subject": "More offers", "text": "Hello."}
    queued: dict[str, Any] = service.call("POST", "/v1/messages", {**campaign, "send_at": due.isoformat()})
    return queued


def _newest_mail() -> dict[str, Any]:
    from prefs import cli  # noqa: PLC0415  the command module is imported by it

    newest = cli.services().outbox.messages(1)[0]
    return {"headers": newest.headers, "unsubscribe_url": newest.unsubscribe_url, "sender": newest.sender}


def _until(ask: Callable[[], dict[str, Any]], good: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    end = time.monotonic() + 10
    found = ask()
    while not good(found) and time.monotonic() < end:
        time.sleep(0.1)  # the worker is another thread of another process
        found = ask()
    return found


def _one_click(url: str) -> str:
    import requests  # noqa: PLC0415  keeps ``prefs --help`` quick

    answer = requests.post(url, {"List-Unsubscribe": "One-Click"}, allow_redirects=False, timeout=20)
    return f"HTTP {answer.status_code}: {answer.text.strip()}"


def _text_stop(service: _Service) -> str:
    import requests  # noqa: PLC0415  keeps ``prefs --help`` quick

    from prefs.config import development_secrets  # noqa: PLC0415
    from prefs.simulate import TEXTS_PATH, sign_text, text_form  # noqa: PLC0415

    made = development_secrets(service.folder)
    form = text_form(made["TWILIO_ACCOUNT_SID"], BEN, "+15550100001", "Stop.")
    url = service.url + TEXTS_PATH
    answer = requests.post(url, form, headers=sign_text(made["TWILIO_AUTH_TOKEN"], url, form), timeout=20)
    return f"we answer: {answer.text.partition('<Message>')[2].partition('</Message>')[0]}"


def _where_to_look(service: _Service, link: str) -> None:
    _say("See for yourself")
    for name, url in (
        ("Ada's unsubscribe page", link),
        ("Ada's preference center", _choices_url(service)),
        ("Stop without a link", f"{service.url}/stop"),
        ("What would have been sent", f"{service.url}/dev/outbox"),
        ("The API, described", f"{service.url}/v1/docs"),
    ):
        _show(f"{name}: {url}")
    email, password = (service.folder / LOGIN_FILE).read_text().split()
    _show(f"The staff console: {service.url}/admin/")
    _show(f"  sign in as {email} with {password}")
    _show("Ask yourself:")
    _show(f"  curl -s {service.url}/v1/decisions -H 'Authorization: Bearer {service.key}' \\")
    _show("    -H 'Content-Type: application/json' \\")
    _show(f'    -d \'{{"channel":"email","to":"{ADA}","topic":"events","explain":true}}\'')


def _choices_url(service: _Service) -> str:
    made = service.call("POST", "/v1/links", {"channel": "email", "to": ADA, "topic": "product-offers"})
    return str(made["links"]["preferences"])


def _serve_on(service: _Service) -> None:
    _show(f"Its data is in {service.folder} and goes when you stop. Ctrl-C stops it.")
    try:
        service.process.wait()
    except KeyboardInterrupt:
        click.echo()


def _free_port(wanted: int) -> int:
    for port in range(wanted, wanted + 50):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise click.ClickException("No free port found; name one with --port.")


def _say(text: str) -> None:
    click.secho(f"\n{text}", bold=True)


def _show(text: str) -> None:
    click.echo(f"   {text}")

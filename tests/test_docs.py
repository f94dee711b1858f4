"""Docs say what is there: settings, commands, links."""

import re
from pathlib import Path

import click
import pytest

from prefs.cli import main

ROOT = Path(__file__).parent.parent
CONTRACT_SETTINGS = re.compile(r'"((?:PREFS|TWILIO|SENDGRID|SMTP|DATABASE)_[A-Z_]+)"')


def commands(group: click.Group, prefix: str = "prefs") -> list[tuple[str, click.Command]]:
    found: list[tuple[str, click.Command]] = []
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, name
        path = f"{prefix} {name}"
        found += commands(command, path) if isinstance(command, click.Group) else [(path, command)]
    return found


@pytest.mark.parametrize(("path", "command"), commands(main), ids=lambda value: value if isinstance(value, str) else "")
def test_every_command_has_help_with_an_example_of_itself(path: str, command: click.Command) -> None:
    assert command.help is not None
    assert f"{path}" in command.help.partition("Example:")[2]


@pytest.mark.parametrize("path", [path for path, _ in commands(main)])
def test_the_readme_names_every_command(path: str) -> None:
    assert f"`{path}" in (ROOT / "README.md").read_text()


def test_env_example_explains_every_setting_that_is_read() -> None:
    read = set(CONTRACT_SETTINGS.findall((ROOT / "prefs/config.py").read_text()))
    explained = set(re.findall(r"^([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))

    assert read == explained


def test_nothing_names_the_machine_it_was_written_on() -> None:
    tracked = [
        p for p in ROOT.rglob("*") if p.suffix in {".py", ".md", ".toml", ".html", ".css"} and ".venv" not in p.parts
    ]
    places = ("/wo" + "rk/", "../sha" + "red")

    assert [str(p) for p in tracked if any(place in p.read_text() for place in places)] == []


def test_the_checklist_of_console_states_is_what_the_browser_visits() -> None:
    """A state that is added, renamed or dropped has to be on the list; the document is written from it."""
    from tests.browser import checklist, console

    listed = checklist.names()
    document = checklist.DOCUMENT.read_text()

    assert sorted(listed) == sorted(console.STATES)
    assert document == checklist.written(document)

"""``prefs users`` as an operator types it, and the login of the demo (contract section 3, reliability.md item 20)."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from prefs.cli.demo import LOGIN_FILE
from prefs.config import Settings
from prefs.errors import PrefsError
from prefs.wiring import build

EMAIL, PASSWORD = "sam@staff.example", "correct horse battery staple"


class Operator:
    """Runs ``prefs`` on a data directory of its own."""

    def __init__(self, folder: Path) -> None:
        self.environment = {**os.environ, "PREFS_DATA_DIR": str(folder), "PREFS_ENV": "development"}

    def run(self, *words: str, given: str | None = None) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "prefs", *words]
        return subprocess.run(
            command, env=self.environment, input=given, capture_output=True, text=True, check=False, timeout=60
        )

    def sign_in(self, email: str, password: str) -> str:
        services = build(Settings.from_env(self.environment))
        try:
            return services.sessions.sign_in(email, password, client="10.0.0.1").stage
        except PrefsError as error:
            return error.code
        finally:
            services.kit.store.dispose()


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return Operator(tmp_path / "var")


def test_a_user_gets_a_link_alone_on_stdout_or_the_password_that_was_piped_in(operator: Operator) -> None:
    by_link = operator.run("users", "create", EMAIL, "--role", "privacy")
    assert by_link.returncode == 0, by_link.stderr
    assert re.fullmatch(r"http://127\.0\.0\.1:8080/admin/set-up/[\w-]{43}\n", by_link.stdout)
    assert operator.sign_in(EMAIL, "") == "sign_in_refused"

    by_password = operator.run(
        "users", "create", "e@staff.example", "--role", "engineer", "--password-stdin", given=PASSWORD + "\n"
    )
    assert (by_password.returncode, by_password.stdout) == (0, "")
    assert PASSWORD not in by_password.stderr
    assert operator.sign_in("e@staff.example", PASSWORD) == "full"

    again = operator.run("users", "link", EMAIL, "--new-second-factor")
    assert again.stdout != by_link.stdout
    listed = json.loads(operator.run("users", "list", "--json").stdout)
    assert [(one["email"], one["role"], one["disabled"]) for one in listed] == [
        ("e@staff.example", "engineer", False),
        (EMAIL, "privacy", False),
    ]
    assert operator.run("users", "disable", "e@staff.example").returncode == 0
    assert operator.sign_in("e@staff.example", PASSWORD) == "sign_in_refused"


@pytest.mark.parametrize(
    ("words", "given", "code"),
    [
        (("create", "no address", "--role", "admin"), None, 2),
        (("create", EMAIL, "--role", "root"), None, 2),
        (("create", EMAIL), None, 2),
        (("create", EMAIL, "--role", "admin", "--password-stdin"), "qwerty123456\n", 2),
        (("create", EMAIL, "--role", "admin", "--password-stdin"), "", 2),
        (("link", "nobody@staff.example"), None, 1),
        (("disable", "nobody@staff.example"), None, 1),
    ],
)
def test_what_cannot_be_is_a_sentence_and_an_exit_code(
    operator: Operator, words: tuple[str, ...], given: str | None, code: int
) -> None:
    done = operator.run("users", *words, given=given)

    assert (done.returncode, done.stdout) == (code, "")
    assert "Traceback" not in done.stderr
    assert not given or not given.strip() or given.strip() not in done.stderr


def test_the_demo_makes_one_login_that_works_and_keeps_it_to_itself(operator: Operator, tmp_path: Path) -> None:
    done = operator.run("demo", "--once", "--port", "8470", "--keep", str(tmp_path / "var"))

    assert done.returncode == 0, done.stderr
    kept = tmp_path / "var" / LOGIN_FILE
    email, password = kept.read_text().split()
    assert kept.stat().st_mode & 0o777 == 0o600
    assert f"sign in as {email} with {password}" in done.stdout
    assert operator.sign_in(email, password) == "full"

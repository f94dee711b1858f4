"""Staff at the console: signed in without the cost of a password, with forms that carry their key."""

import re
from dataclasses import dataclass, field
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from prefs.domain.roles import Role
from prefs.services.sessions import PROOF_GOOD_FOR
from prefs.storage.staff import StaffUser
from tests.make import World

PASSWORD = "correct horse battery staple"


@dataclass
class Staff:
    """One person of the staff at a browser of their own."""

    world: World
    user: StaffUser
    client: FlaskClient = field(init=False)

    def __post_init__(self) -> None:
        self.client = self.world.client.application.test_client()

    def enter(self) -> "Staff":
        """Sign in, as if by password and second factor just now."""
        opened = self.world.services.sessions.open_for(self.user)
        self.client.set_cookie("prefs-staff", opened.token)
        return self

    def get(self, path: str, **query: Any) -> TestResponse:
        return self.client.get(path, query_string=query) if query else self.client.get(path)

    def page(self, path: str, **query: Any) -> str:
        """Return the text of a page that must open."""
        answer = self.get(path, **query)
        assert answer.status_code == 200, (answer.status_code, answer.location, answer.text[:2000])
        return answer.text

    def key(self) -> str:
        """Return the form key of this browser."""
        found = re.search(r'name="csrf_token" value="([^"]+)"', self.get("/admin/account").text)
        return found[1] if found else ""

    def post(self, path: str, **form: Any) -> TestResponse:
        """Send a form with its key."""
        return self.client.post(path, data={"csrf_token": self.key(), **form})

    def press(self, path: str, **form: Any) -> str:
        """Send a form that must be taken, follow to the page behind it, and return its text."""
        answer = self.post(path, **form)
        assert answer.status_code == 303, (answer.status_code, answer.text[:2000])
        return self.page(answer.location)

    def later(self) -> "Staff":
        """Let the proof of who they are grow old."""
        self.world.clock.forward(seconds=PROOF_GOOD_FOR.total_seconds())
        return self


def staff(world: World, role: Role | str = Role.ADMIN, email: str | None = None) -> Staff:
    """Return somebody of the staff with this role, signed in."""
    role = Role(role)
    made = world.services.team.create(email or f"{role}@staff.example", role, by="tests")
    return Staff(world, made).enter()

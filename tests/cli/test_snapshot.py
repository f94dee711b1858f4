"""``prefs snapshot`` as an operator meets it."""

import base64
import json
from pathlib import Path

from tests.cli.test_commands import Prefs
from tests.make import ADA


def test_it_warns_loudly_where_one_key_is_not_enough(prefs: Prefs, tmp_path: Path) -> None:
    old, new = (base64.b64encode(letter * 32).decode() for letter in (b"a", b"n"))
    prefs("suppress", "--channel", "email", "--to", ADA, PREFS_ADDRESS_KEY=old)
    words = ("snapshot", "--channel", "email", "--topic", "events", "--json", "--out")

    quiet = prefs(*words, str(tmp_path / "one"), PREFS_ADDRESS_KEY=old)
    loud = prefs(*words, str(tmp_path / "two"), PREFS_ADDRESS_KEY=f"{new},{old}")

    assert (quiet.returncode, loud.returncode) == (0, 0), loud.stderr
    assert "WARNING" not in quiet.stderr
    assert "WARNING: rows stand under 2 keys of PREFS_ADDRESS_KEY." in loud.stderr
    assert len(json.loads(loud.stdout)["keys"]) == 2

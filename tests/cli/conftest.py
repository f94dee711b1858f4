"""What the tests of commands share."""

from tests.cli.test_commands import prefs as prefs

"""``python -m prefs`` is ``prefs``."""

from prefs.cli import main

main(prog_name="prefs")

"""A folder of work that one process at a time may use."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prefs.errors import Conflict


@contextmanager
def alone_in(place: Path, busy: str) -> Iterator[None]:
    """Keep other processes of this host from the same folder; a killed one holds nothing.

    Raises:
        Conflict: Another process is at it; ``busy`` says so.
    """
    with (place / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Conflict(busy) from error
        yield

"""A folder of work that one process at a time may use."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from prefs.errors import Conflict

LOCK = "lock"
"""The file in the folder that is locked; its time is the caller's to set."""
_CLEARED = "The files of this work were cleared away. Start it again."


@contextmanager
def alone_in(place: Path, busy: str, cleared: str = _CLEARED) -> Iterator[None]:
    """Keep other processes of this host from the same folder; a killed one holds nothing.

    Raises:
        Conflict: Another process is at it, as ``busy`` says, or its files are gone, as ``cleared`` says.
    """
    with _lock_file(place, cleared) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Conflict(busy) from error
        # Whoever held the lock before may have deleted the folder, and this file with it.
        if os.fstat(file.fileno()).st_nlink == 0:
            raise Conflict(cleared)
        yield


def _lock_file(place: Path, cleared: str) -> TextIO:
    try:
        return (place / LOCK).open("a")
    except FileNotFoundError as error:
        raise Conflict(cleared) from error

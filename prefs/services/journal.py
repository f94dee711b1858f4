"""What was asked while the database could not take it: fsynced before the 503 is answered.

One file per process, encrypted, one line an opt-out. Whoever locks a file applies it through
the normal use cases and removes it; while a host holds one, marketing waits (contract D24).
"""

import base64
import fcntl
import json
import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import IO, Any

from prefs.crypto import Vault
from prefs.errors import PrefsError, StoreUnavailable

log = logging.getLogger(__name__)

Handler = Callable[[dict[str, Any]], None]
_CONTEXT = b"journal"
_STEP_NANOSECONDS = 1_000_000_000


@dataclass
class Journal:
    """The journal folder of one host, seen from one process."""

    folder: Path
    vault: Vault
    _lock: Lock = field(default_factory=Lock)
    _looked: tuple[tuple[int, int], bool] | None = None

    def keep(self, kind: str, payload: Mapping[str, Any]) -> None:
        """Write one opt-out down, synced to disk. Raises ``OSError`` when even that fails."""
        line = base64.b64encode(self.vault.seal_json({"kind": kind, "payload": dict(payload)}, context=_CONTEXT))
        with self._lock, self._own_file() as file:
            file.write(line + b"\n")
            file.flush()
            os.fsync(file.fileno())
        log.error("opt_out_journalled", extra={"kind": kind})

    def pending(self) -> bool:
        """True while any process of this host has something in the journal.

        Asked with every marketing decision, so the folder is listed only when it changed.
        """
        try:
            found = self.folder.stat()
        except FileNotFoundError:
            return False
        mark = (found.st_ino, found.st_mtime_ns)
        looked = self._looked
        if looked is not None and looked[0] == mark:
            return looked[1]
        started = time.time_ns()
        with os.scandir(self.folder) as entries:
            holds = any(entry.name.endswith(".journal") for entry in entries)
        # A folder's time moves in steps: a look in the very step it changed may miss what comes next.
        self._looked = (mark, holds) if started - found.st_mtime_ns > _STEP_NANOSECONDS else None
        return holds

    def apply(self, handlers: Mapping[str, Handler]) -> int:
        """Apply what was kept and return how many; a file goes only when all of it was applied.

        Applying twice is harmless: every use case is keyed (contract D24).
        """
        applied = 0
        for path in sorted(self.folder.glob("*.journal")) if self.folder.is_dir() else ():
            applied += self._apply_file(path, handlers)
        return applied

    def _own_file(self) -> IO[bytes]:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{os.getpid()}.journal"
        while True:
            file = path.open("ab")
            fcntl.flock(file, fcntl.LOCK_EX)
            # The applier removes a file while it holds the lock; a removed one must not be used.
            if path.exists() and os.fstat(file.fileno()).st_ino == path.stat().st_ino:
                _sync_folder(self.folder)
                return file
            file.close()

    def _apply_file(self, path: Path, handlers: Mapping[str, Handler]) -> int:
        try:
            file = path.open("rb")
        except FileNotFoundError:
            return 0
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return 0
            number = 0
            for line in file.read().splitlines():
                if not self._apply_line(line, handlers):
                    return number
                number += 1
            path.unlink(missing_ok=True)
        return number

    def _apply_line(self, line: bytes, handlers: Mapping[str, Handler]) -> bool:
        """True when the line is dealt with; False when the store is still away."""
        try:
            item = self.vault.open_json(base64.b64decode(line), context=_CONTEXT)
            handlers[item["kind"]](item["payload"])
        except StoreUnavailable:
            return False
        except (PrefsError, ValueError, KeyError, json.JSONDecodeError):
            # Kept for a person to look at; an unreadable line must not hold the rest back.
            log.exception("journal_line_unreadable")
            self._set_aside(line)
        return True

    def _set_aside(self, line: bytes) -> None:
        with (self.folder / "unreadable.lines").open("ab") as file:
            file.write(line + b"\n")
            file.flush()
            os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

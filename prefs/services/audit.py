"""The audit log: who of the staff looked at, searched, exported or changed what (reliability.md item 25).

``note`` is the only writer. It keeps actors, references and figures; an address never: whatever
looks like one is struck out before it is stored.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from prefs.storage import audit as storage
from prefs.storage import staff
from prefs.storage.audit import AuditEntry, AuditFilter
from prefs.storage.base import Store

STRUCK_OUT = "•••"
_LONGEST = 300
_EMAIL = re.compile(r"[^\s@<>,;]+@[^\s@<>,;]+")
_NUMBER = re.compile(r"\+?\d(?:[\s().-]?\d){8,}")

# Everything that is noted, in the words the log is read in. Adding an action means adding a row.
ACTIONS: dict[str, str] = {
    "signed_in": "Signed in",
    "sign_in_refused": "Was refused at sign-in",
    "signed_out": "Signed out",
    "identity_confirmed": "Confirmed who they are",
    "refused": "Was refused a page",
    "password_set": "Set a password",
    "second_factor_set": "Set up a second factor",
    "second_factor_reset": "Reset a second factor",
    "recovery_code_used": "Used a recovery code",
    "user_created": "Added somebody to the team",
    "user_linked": "Made a set-up link",
    "user_role_changed": "Changed a role",
    "user_disabled": "Disabled somebody",
    "user_enabled": "Enabled somebody",
    "user_sessions_ended": "Ended somebody’s sessions",
    "approval_asked": "Asked for a second person",
    "approval_given": "Approved, as second person",
    "approval_refused": "Refused, as second person",
    "approval_withdrawn": "Withdrew a question to a second person",
    "person_searched": "Searched for a person",
    "person_seen": "Opened a person’s page",
    "person_exported": "Exported a person’s record",
    "address_revealed": "Saw an address in full",
    "decisions_seen": "Looked through decisions",
    "suppressions_seen": "Looked through the suppression list",
    "stop_recorded": "Recorded an opt-out",
    "stop_lifted": "Removed an opt-out",
    "queue_decided": "Decided about an unclear message",
    "request_opened": "Opened a privacy request",
    "request_changed": "Worked on a privacy request",
    "request_exported": "Made the file for a privacy request",
    "import_uploaded": "Sent a file to import",
    "import_checked": "Checked a file before its import",
    "import_rejects_taken": "Downloaded rows that could not be imported",
    "import_started": "Started an import",
    "consents_imported": "Imported consents a second person approved",
    "import_undone": "Undid an import",
    "exported": "Exported",
    "export_taken": "Downloaded an export",
    "audit_exported": "Exported the audit log",
    "provider_tried": "Tried a provider",
    "provider_compared": "Compared lists with a provider",
    "sends_held": "Held sends",
    "sends_released": "Let held sends go",
    "topic_changed": "Changed a topic",
    "sender_changed": "Changed a sender",
    "key_created": "Made an API key",
    "key_revoked": "Revoked an API key",
}


@dataclass(frozen=True, slots=True)
class Noted:
    """An entry as people read it: ``who`` and ``about`` by address of the staff member, ``what`` in words."""

    entry: AuditEntry
    who: str
    what: str
    about: str | None


def note(
    connection: Connection, now: datetime, actor: str, action: str, about: str | None = None, **detail: Any
) -> None:
    """Append one entry in the caller's transaction, so that the log holds what happened and nothing else.

    ``actor`` is ``staff:7`` or ``cli``; ``about`` a reference like ``CT-12``, ``key:1f0c…``.

    Raises:
        ValueError: An action that is not in ``ACTIONS``.
    """
    if action not in ACTIONS:
        raise ValueError(f"`{action}` is no action of the audit log; add it to ACTIONS")
    values = {"at": now, "actor": actor, "action": action, "about": _clean(about), "detail": _clean(detail)}
    storage.add(connection, values)


@dataclass(frozen=True, slots=True)
class Audit:
    """Reading the log, and notes of acts that change nothing else."""

    store: Store

    def note(self, actor: str, action: str, about: str | None = None, **detail: Any) -> None:
        """Append one entry on its own: for looking, searching, exporting.

        Raises:
            StoreUnavailable: Nothing was noted; do not show what it would have been about.
        """
        with self.store.write() as connection:
            note(connection, self.store.now(), actor, action, about, **detail)

    def page(
        self, wanted: AuditFilter, limit: int, *, before: int | None = None, after: int | None = None
    ) -> list[Noted]:
        """Return entries newest first, at most ``limit``."""
        with self.store.read() as connection:
            found = storage.page(connection, wanted, limit, before=before, after=after)
            return _named(connection, found)

    def export(self, wanted: AuditFilter, actor: str) -> Iterator[Noted]:
        """Note the export, then yield every entry that matches, oldest first."""
        self.note(
            actor, "audit_exported", filters=[f"{name} {value}" for name, value in _words_of(wanted).items() if value]
        )
        with self.store.read() as connection:
            batch: list[AuditEntry] = []
            for entry in storage.every(connection, wanted):
                batch.append(entry)
                if len(batch) == 500:
                    yield from _named(connection, batch)
                    batch = []
            yield from _named(connection, batch)

    def actions(self) -> dict[str, str]:
        """Return the actions the log holds, with their words."""
        with self.store.read() as connection:
            return {name: ACTIONS.get(name, name) for name in storage.actions(connection)}


def _words_of(wanted: AuditFilter) -> dict[str, str | None]:
    return {name: str(value) if value else None for name in AuditFilter.__slots__ for value in [getattr(wanted, name)]}


def _named(connection: Connection, entries: list[AuditEntry]) -> list[Noted]:
    actors = [name for one in entries for name in (one.actor, one.about or "") if name.startswith("staff:")]
    known = staff.users_numbered(connection, [int(name.partition(":")[2]) for name in actors])
    names = {f"staff:{number}": found.email for number, found in known.items()}
    return [
        Noted(
            one,
            names.get(one.actor, one.actor),
            ACTIONS.get(one.action, one.action),
            names.get(one.about or "", one.about),
        )
        for one in entries
    ]


def _clean(value: Any) -> Any:
    """Strike out what looks like an address or a telephone number, and keep texts short."""
    if isinstance(value, dict):
        return {str(name): _clean(one) for name, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(one) for one in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return _NUMBER.sub(STRUCK_OUT, _EMAIL.sub(STRUCK_OUT, str(value)))[:_LONGEST]

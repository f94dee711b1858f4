"""Delete what is past its time, and never an opt-out (contract D32, reliability.md item 43)."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, delete, func, select, update

from prefs.errors import PrefsError
from prefs.services.kit import Kit
from prefs.storage import checks, evidence, idempotency, jobs, limits, staff
from prefs.storage.tables import inbound_mail, inbound_text, ledger_entry, outbox, pending_choice, quarantine

DEVICES, RAW, PROOFS = timedelta(days=90), timedelta(days=30), timedelta(days=6 * 366)
_CHOICES = timedelta(days=37)
_LIMITS = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Retention:
    """The scheduled job behind ``prefs retention run``."""

    kit: Kit

    def run(self) -> dict[str, int]:
        """Delete what is too old and return how many rows of each kind that was.

        Raises:
            PrefsError: The ledger would have lost entries; nothing was deleted.
            StoreUnavailable: Nothing was deleted.
        """
        now = self.kit.now()
        with self.kit.store.write() as connection:
            before = _entries(connection)
            deleted = {
                "devices": evidence.forget_devices(connection, now - DEVICES),
                "texts_that_changed_nothing": _forget_texts(connection, changed=False, before=now - RAW),
                "texts_that_changed_something": _forget_texts(connection, changed=True, before=now - PROOFS),
                "provider_items": _rows(connection, delete(quarantine).where(quarantine.c.received_at < now - RAW)),
                "mails": _rows(connection, delete(inbound_mail).where(_old_mail(now - RAW))),
                "choices": _rows(
                    connection, delete(pending_choice).where(pending_choice.c.created_at < now - _CHOICES)
                ),
                "outbox": _rows(connection, delete(outbox).where(outbox.c.sent_at < now - RAW)),
                "jobs": jobs.forget(connection, now - RAW),
                "answers": idempotency.forget(connection, now - idempotency.KEPT_FOR),
                "limits": limits.forget(connection, now - _LIMITS),
                "provider_checks": checks.forget(connection, now - DEVICES),
                "sessions": staff.forget_sessions(connection, now - RAW),
            }
            if _entries(connection) != before:
                raise PrefsError("Retention would have changed the ledger; nothing was deleted.")
        return deleted


def _entries(connection: Connection) -> int:
    number: int = connection.execute(select(func.count()).select_from(ledger_entry)).scalar_one()
    return number


def _forget_texts(connection: Connection, *, changed: bool, before: datetime) -> int:
    """Delete the words of texts; that a text came, and how it was read, stays."""
    old = (
        inbound_text.c.sealed.is_not(None) & (inbound_text.c.changed == changed) & (inbound_text.c.received_at < before)
    )
    return _rows(connection, update(inbound_text).where(old).values(sealed=None))


def _old_mail(before: datetime) -> ColumnElement[bool]:
    """Mails that were dealt with; one that waits for a person is kept until they have."""
    done = (inbound_mail.c.kind != "queue") | inbound_mail.c.handled_at.is_not(None)
    return done & (inbound_mail.c.received_at < before)


def _rows(connection: Connection, statement: object) -> int:
    return int(connection.execute(statement).rowcount)  # type: ignore[call-overload]  # delete and update alike

"""The local transport: keeps messages in the database instead of sending them (development)."""

import re
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import delete, insert, select

from prefs.crypto import Vault
from prefs.providers.ports import OutgoingEmail, OutgoingText, Receipt
from prefs.storage.base import Store
from prefs.storage.tables import outbox

_FIRST_URL = re.compile(r"<(https?://[^>]+)>")


class _Kit(Protocol):
    @property
    def store(self) -> Store: ...
    @property
    def vault(self) -> Vault: ...


@dataclass(frozen=True, slots=True)
class OutboxMessage:
    """A message that would have been sent."""

    id: int
    message_id: str
    sent_at: datetime
    channel: str
    to: str
    sender: str
    message_class: str
    subject: str
    text: str
    html: str | None
    headers: dict[str, str]

    @property
    def unsubscribe_url(self) -> str | None:
        """The first https address of List-Unsubscribe, or None."""
        found = _FIRST_URL.search(self.headers.get("List-Unsubscribe", ""))
        return found.group(1) if found else None


class Outbox:
    """Takes every message and refuses none."""

    def __init__(self, kit: _Kit) -> None:
        self._kit = kit

    def send_email(self, email: OutgoingEmail) -> Receipt:
        """Keep an email."""
        return self._keep(email.message_id, {"channel": "email", **asdict(email)})

    def send_text(self, text: OutgoingText) -> Receipt:
        """Keep a text."""
        return self._keep(text.message_id, {"channel": "sms", "text": text.body, **asdict(text)})

    def messages(self, limit: int = 200) -> list[OutboxMessage]:
        """Return what was kept, newest first."""
        with self._kit.store.read() as connection:
            rows = connection.execute(select(outbox).order_by(outbox.c.id.desc()).limit(limit)).all()
        return [self._opened(row) for row in rows]

    def clear(self) -> None:
        """Forget every message."""
        with self._kit.store.write() as connection:
            connection.execute(delete(outbox))

    def _keep(self, message_id: str, content: dict[str, Any]) -> Receipt:
        sealed = self._kit.vault.seal_json(content, context=_context(message_id))
        values = {"message_id": message_id, "sealed": sealed, "sent_at": self._kit.store.now()}
        with self._kit.store.write() as connection:
            number = connection.execute(insert(outbox).returning(outbox.c.id), values).scalar_one()
        return Receipt(f"outbox-{number}")

    def _opened(self, row: Any) -> OutboxMessage:
        content = self._kit.vault.open_json(row.sealed, context=_context(row.message_id))
        return OutboxMessage(
            id=row.id,
            message_id=row.message_id,
            sent_at=row.sent_at,
            channel=content["channel"],
            to=content["to"],
            sender=content["sender"],
            message_class=content["message_class"],
            subject=content.get("subject") or "",
            text=content["text"],
            html=content.get("html"),
            headers=content.get("headers") or {},
        )


def _context(message_id: str) -> bytes:
    return f"outbox:{message_id}".encode()

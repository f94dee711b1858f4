"""Proof of acts, sealed, beside the ledger: erasure and retention delete it, the ledger stays."""

from datetime import datetime

from sqlalchemy import Connection, insert, select

from prefs.storage.tables import evidence


def add(connection: Connection, act_id: str, subject: int, sealed: bytes, now: datetime) -> None:
    """Keep the sealed proof of an act for one subject."""
    values = {"act_id": act_id, "subject": subject, "sealed": sealed, "created_at": now}
    connection.execute(insert(evidence), values)


def of_act(connection: Connection, act_id: str, subject: int) -> list[bytes]:
    """Return the sealed proofs of an act, oldest first; empty once erased or expired."""
    query = select(evidence.c.sealed).where(evidence.c.act_id == act_id, evidence.c.subject == subject)
    return list(connection.execute(query.order_by(evidence.c.id)).scalars())

"""Proof of acts, sealed, beside the ledger: erasure and retention delete it, the ledger stays.

The device somebody used (address on the net, browser) lies in a row of its own, because it is
forgotten long before the proof (contract D32).
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from prefs.storage import many
from prefs.storage.tables import evidence

PROOF, DEVICE, SCAN, PUSHED = "proof", "device", "scan", "pushed"
"""``pushed`` says which provider a stop was passed on to, and when (rules.md G-5)."""


def add(connection: Connection, act_id: str, subject: int, sealed: bytes, now: datetime, part: str = PROOF) -> None:
    """Keep the sealed proof of an act for one subject."""
    connection.execute(insert(evidence), values(act_id, subject, sealed, now, part))


def add_many(connection: Connection, rows: Sequence[dict[str, object]]) -> None:
    """Keep many rows that ``values`` made."""
    many.insert_new(connection, evidence, rows)


def values(act_id: str, subject: int, sealed: bytes, now: datetime, part: str = PROOF) -> dict[str, object]:
    """Return the row ``add`` keeps."""
    return {"act_id": act_id, "subject": subject, "sealed": sealed, "created_at": now, "part": part}


def of_act(connection: Connection, act_id: str, subject: int, part: str = PROOF) -> list[bytes]:
    """Return the sealed proofs of an act, oldest first; empty once erased or expired."""
    mine = (evidence.c.act_id == act_id) & (evidence.c.subject == subject) & (evidence.c.part == part)
    return list(connection.execute(select(evidence.c.sealed).where(mine).order_by(evidence.c.id)).scalars())


def of_acts(
    connection: Connection, act_ids: Iterable[str], subjects: Iterable[int]
) -> dict[tuple[str, int, str], bytes]:
    """Return the first sealed proof and device of each act, by act, subject and part; scans are left where they are."""
    mine = evidence.c.act_id.in_(list(act_ids)) & evidence.c.subject.in_(list(subjects)) & (evidence.c.part != SCAN)
    rows = connection.execute(select(evidence).where(mine).order_by(evidence.c.id.desc()))
    return {(row.act_id, row.subject, row.part): row.sealed for row in rows}


def forget_devices(connection: Connection, before: datetime) -> int:
    """Delete what is known of devices used before a moment, and return how many rows that was."""
    old = (evidence.c.part == DEVICE) & (evidence.c.created_at < before)
    return connection.execute(delete(evidence).where(old)).rowcount

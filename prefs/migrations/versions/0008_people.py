"""What the console's people pages look up: references of acts, ids by their beginning, newest first,
and who dealt with what waited in the queue.

Writes one row an act for what the ledger holds already, in chunks. Locks: creating the indexes
keeps writers of ``ledger_entry``, ``contact`` and ``message`` out for as long as each takes.
"""

import hashlib

import sqlalchemy as sa
from alembic import op

revision = "0008_people"
down_revision = "0007_requests"
branch_labels = None
depends_on = None

_CHUNK = 5_000
_NUMBERS = 30**8  # eight letters out of thirty


def upgrade() -> None:
    op.create_table(
        "act_reference",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("entry_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("number", "entry_id", name="pk_act_reference"),
        sqlite_with_rowid=False,
    )
    _fill()
    op.create_index("ix_ledger_entry_reason_channel_id", "ledger_entry", ["reason", "channel", "id"])
    op.create_index("ix_ledger_entry_source_reason_channel_id", "ledger_entry", ["source", "reason", "channel", "id"])
    op.create_index(
        "ix_contact_external_id_prefix",
        "contact",
        ["external_id"],
        postgresql_ops={"external_id": "text_pattern_ops"},
    )
    op.create_index("ix_message_status_channel_created_at_id", "message", ["status", "channel", "created_at", "id"])
    op.create_index(
        "ix_message_campaign_status_channel_created_at_id",
        "message",
        ["campaign", "status", "channel", "created_at", "id"],
    )
    with op.batch_alter_table("quarantine") as table:
        table.add_column(sa.Column("handled_at", sa.BigInteger(), nullable=True))
        table.add_column(sa.Column("handled_by", sa.String(length=64), nullable=True))
        table.create_index("ix_quarantine_handled_at_id", ["handled_at", "id"])
    with op.batch_alter_table("inbound_mail") as table:
        table.add_column(sa.Column("handled_by", sa.String(length=64), nullable=True))


def _fill() -> None:
    """Walk the ledger once. An act that two chunks share gets two rows, which read the same."""
    entry = sa.table("ledger_entry", sa.column("id"), sa.column("act_id"), sa.column("subject"))
    reference = sa.table("act_reference", sa.column("number"), sa.column("entry_id"))
    connection, last = op.get_bind(), 0
    while True:
        query = sa.select(entry.c.id, entry.c.act_id, entry.c.subject).where(entry.c.id > last)
        rows = connection.execute(query.order_by(entry.c.id).limit(_CHUNK)).all()
        if not rows:
            return
        first = {(row.act_id, row.subject): row.id for row in reversed(rows)}
        values = [{"number": _number(act_id), "entry_id": number} for (act_id, _), number in first.items()]
        connection.execute(sa.insert(reference), values)
        last = rows[-1].id


def _number(act_id: str) -> int:
    return int.from_bytes(hashlib.sha256(act_id.encode()).digest()[:8]) % _NUMBERS


def downgrade() -> None:
    with op.batch_alter_table("inbound_mail") as table:
        table.drop_column("handled_by")
    with op.batch_alter_table("quarantine") as table:
        table.drop_index("ix_quarantine_handled_at_id")
        table.drop_column("handled_by")
        table.drop_column("handled_at")
    for index, table in (
        ("ix_message_campaign_status_channel_created_at_id", "message"),
        ("ix_message_status_channel_created_at_id", "message"),
        ("ix_contact_external_id_prefix", "contact"),
        ("ix_ledger_entry_source_reason_channel_id", "ledger_entry"),
        ("ix_ledger_entry_reason_channel_id", "ledger_entry"),
    ):
        op.drop_index(index, table_name=table)
    op.drop_table("act_reference")

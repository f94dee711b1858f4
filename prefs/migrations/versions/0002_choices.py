"""What the preference center keeps: pending choices, requests, wording shown, mails, limits.

Adds ``evidence.part``, so that the device a person used can be forgotten before the proof
(contract D32). Every other table is new; the one changed table gets a column with a default,
which takes no long lock.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002_choices"
down_revision = "0001_ledger"
branch_labels = None
depends_on = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("evidence", sa.Column("part", sa.String(length=8), nullable=False, server_default="proof"))
    op.create_index(op.f("ix_evidence_part_created_at"), "evidence", ["part", "created_at"])
    op.create_table(
        "wording",
        sa.Column("version", sa.String(length=16), nullable=False),
        sa.Column("page", sa.String(length=32), nullable=False),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.Column("texts", sa.JSON(), nullable=False),
        sa.Column("first_shown_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_wording")),
    )
    op.create_table(
        "pending_choice",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("subject", sa.BigInteger(), nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("topics", sa.JSON(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("act_id", sa.String(length=64), nullable=False),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("spent_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pending_choice")),
    )
    op.create_index(op.f("ix_pending_choice_subject"), "pending_choice", ["subject"])
    op.create_table(
        "rate_limit",
        sa.Column("bucket", sa.String(length=96), nullable=False),
        sa.Column("window_start", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("used", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("bucket", "window_start", name=op.f("pk_rate_limit")),
    )
    op.create_index(op.f("ix_rate_limit_window_start"), "rate_limit", ["window_start"])
    op.create_table(
        "privacy_request",
        sa.Column("id", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("subject", sa.BigInteger(), nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.Column("received_by", sa.String(length=16), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("due_on", sa.String(length=10), nullable=False),
        sa.Column("verified_at", sa.BigInteger(), nullable=True),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_privacy_request")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_privacy_request_subject"), "privacy_request", ["subject"])
    op.create_index(op.f("ix_privacy_request_status_due_on"), "privacy_request", ["status", "due_on"])
    op.create_table(
        "inbound_mail",
        sa.Column("id", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("mail_key", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("subject", sa.BigInteger(), nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("handled_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbound_mail")),
        sa.UniqueConstraint("mail_key", name=op.f("uq_inbound_mail_mail_key")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_inbound_mail_kind_received_at"), "inbound_mail", ["kind", "received_at"])


def downgrade() -> None:
    for name in ("inbound_mail", "privacy_request", "rate_limit", "pending_choice", "wording"):
        op.drop_table(name)
    op.drop_index(op.f("ix_evidence_part_created_at"), "evidence")
    with op.batch_alter_table("evidence") as batch:
        batch.drop_column("part")

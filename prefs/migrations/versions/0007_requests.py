"""Privacy requests as the privacy office works on them: clocks, owner, proof, second person, log.

Every new column may be empty, so the change takes no long lock and old code keeps running.
``request_note`` is the log of a request; ``request_notice`` is what a provider is told about it
(GDPR 19), with the addresses sealed in it until it was told.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007_requests"
down_revision = "0006_console"
branch_labels = None
depends_on = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_COLUMNS = (
    ("request_key", sa.String(length=96)),
    ("first_due_on", sa.String(length=10)),
    ("act_by", sa.String(length=10)),
    ("owner", sa.String(length=64)),
    ("checking_at", sa.BigInteger()),
    ("verified_by", sa.String(length=64)),
    ("paused_at", sa.BigInteger()),
    ("acted_at", sa.BigInteger()),
    ("answered_at", sa.BigInteger()),
)


def upgrade() -> None:
    for name, kind in _COLUMNS:
        op.add_column("privacy_request", sa.Column(name, kind, nullable=True))
    op.create_index(op.f("ix_privacy_request_request_key"), "privacy_request", ["request_key"], unique=True)
    op.create_table(
        "request_note",
        sa.Column("id", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("request", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_request_note")),
    )
    op.create_index(op.f("ix_request_note_request"), "request_note", ["request"])
    op.create_table(
        "request_notice",
        sa.Column("id", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("request", sa.BigInteger(), nullable=False),
        sa.Column("provider", sa.String(length=16), nullable=False),
        sa.Column("what", sa.String(length=16), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("problem", sa.String(length=200), nullable=True),
        sa.Column("provider_ref", sa.String(length=128), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("done_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_request_notice")),
    )
    op.create_index(op.f("ix_request_notice_request"), "request_notice", ["request"])
    op.create_index(op.f("ix_request_notice_status"), "request_notice", ["status"])


def downgrade() -> None:
    op.drop_table("request_notice")
    op.drop_table("request_note")
    op.drop_index(op.f("ix_privacy_request_request_key"), "privacy_request")
    with op.batch_alter_table("privacy_request") as batch:
        for name, _ in _COLUMNS:
            batch.drop_column(name)

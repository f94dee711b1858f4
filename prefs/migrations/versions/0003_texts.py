"""What an inbound text asked back, which act it was, and what a person made of an unclear one.

New columns without a default that rewrites the table: no long lock. Rows that were stored as
``asked_for_yes`` become what they were, a START, with the question beside it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003_texts"
down_revision = "0002_choices"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("inbound_text") as table:
        table.add_column(sa.Column("asked", sa.String(length=8), nullable=True))
        table.add_column(sa.Column("act_id", sa.String(length=64), nullable=True))
        table.add_column(sa.Column("handled_at", sa.BigInteger(), nullable=True))
        table.add_column(sa.Column("handled_by", sa.String(length=64), nullable=True))
        table.add_column(sa.Column("verdict", sa.String(length=16), nullable=True))
    op.execute("UPDATE inbound_text SET asked = 'yes', kind = 'start' WHERE kind = 'asked_for_yes'")
    op.create_index(op.f("ix_inbound_text_kind_handled_at"), "inbound_text", ["kind", "handled_at"])


def downgrade() -> None:
    op.drop_index(op.f("ix_inbound_text_kind_handled_at"), table_name="inbound_text")
    op.execute("UPDATE inbound_text SET kind = 'asked_for_yes' WHERE asked = 'yes'")
    with op.batch_alter_table("inbound_text") as table:
        for name in ("verdict", "handled_by", "handled_at", "act_id", "asked"):
            table.drop_column(name)

"""A press behind the mailed link is noted beside the proof that staff record (rules.md G-2).

Open requests that such a press alone had verified wait for staff again. Takes no long lock.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009_link_pressed"
down_revision = "0008_people"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("privacy_request", sa.Column("link_pressed_at", sa.BigInteger(), nullable=True))
    op.execute("UPDATE privacy_request SET link_pressed_at = verified_at WHERE verified_by = 'link'")
    op.execute(
        "UPDATE privacy_request SET verified_at = NULL, verified_by = NULL "
        "WHERE verified_by = 'link' AND status IN ('received', 'working')"
    )


def downgrade() -> None:
    with op.batch_alter_table("privacy_request") as batch:
        batch.drop_column("link_pressed_at")

"""Imports of other tools' lists, what confirmed them, and who exported ours to whom.

Every table is new: no long lock. ``import_confirmation`` keeps, for an imported opt-out that a
later list names again, that it must survive the undoing of the first (ux.md A5).
"""

import sqlalchemy as sa
from alembic import op

revision = "0004_imports"
down_revision = "0003_texts"
branch_labels = None
depends_on = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _counter(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), server_default="0", nullable=False)


def upgrade() -> None:
    op.create_table(
        "list_import",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("file_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("format", sa.String(length=32), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("dry_run", sa.Boolean(create_constraint=False), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("uploaded_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        _counter("first_entry"),
        _counter("last_entry"),
        sa.Column("parts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_part", sa.Integer(), server_default="0", nullable=False),
        _counter("usable"),
        _counter("added"),
        _counter("invalid"),
        _counter("ignored"),
        _counter("lifted"),
        sa.Column("error", sa.String(length=300), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_list_import")),
    )
    op.create_index(op.f("ix_list_import_file_hash"), "list_import", ["file_hash"])
    op.create_table(
        "import_confirmation",
        sa.Column("entry_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("import_id", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("entry_id", name=op.f("pk_import_confirmation")),
    )
    op.create_table(
        "export_log",
        sa.Column("id", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("recipient", sa.String(length=200), nullable=False),
        sa.Column("purpose", sa.String(length=200), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("unnamed", sa.BigInteger(), nullable=False),
        sa.Column("checksum", sa.String(length=64), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_export_log")),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    for name in ("export_log", "import_confirmation", "list_import"):
        op.drop_table(name)

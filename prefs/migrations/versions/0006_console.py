"""The staff console: users, sessions, audit log, second-person approvals, figures, provider checks.

The audit log refuses UPDATE, DELETE and TRUNCATE by trigger, like the ledger. Takes no long
lock: every table is new.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006_console"
down_revision = "0003_texts"
branch_labels = None
depends_on = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_SQLITE_GUARDS = (
    "CREATE TRIGGER audit_entry_keeps_updates_out BEFORE UPDATE ON audit_entry "
    "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END",
    "CREATE TRIGGER audit_entry_keeps_deletes_out BEFORE DELETE ON audit_entry "
    "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END",
)
_POSTGRESQL_GUARDS = (
    "CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$",
    "CREATE TRIGGER audit_entry_keeps_changes_out BEFORE UPDATE OR DELETE ON audit_entry "
    "FOR EACH ROW EXECUTE FUNCTION audit_is_append_only()",
    "CREATE TRIGGER audit_entry_keeps_truncate_out BEFORE TRUNCATE ON audit_entry "
    "FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only()",
)


def upgrade() -> None:
    op.create_table(
        "staff_user",
        sa.Column("id", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("password_hash", sa.String(length=255), nullable=True),
        sa.Column("totp", sa.LargeBinary(), nullable=True),
        sa.Column("totp_used", sa.BigInteger(), nullable=True),
        sa.Column("mfa_exempt", sa.Boolean(), nullable=False),
        sa.Column("oidc_subject", sa.String(length=255), nullable=True),
        sa.Column("time_zone", sa.String(length=64), nullable=False, server_default="UTC"),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("signed_in_at", sa.BigInteger(), nullable=True),
        sa.Column("disabled_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff_user")),
        sa.UniqueConstraint("email", name=op.f("uq_staff_user_email")),
        sa.UniqueConstraint("oidc_subject", name=op.f("uq_staff_user_oidc_subject")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "staff_recovery_code",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", "user_id", name=op.f("pk_staff_recovery_code")),
        sa.ForeignKeyConstraint(["user_id"], ["staff_user.id"], name=op.f("fk_staff_recovery_code_user_id_staff_user")),
    )
    op.create_table(
        "staff_link",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_staff_link")),
        sa.ForeignKeyConstraint(["user_id"], ["staff_user.id"], name=op.f("fk_staff_link_user_id_staff_user")),
    )
    op.create_index(op.f("ix_staff_link_user_id"), "staff_link", ["user_id"])
    op.create_table(
        "staff_session",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("stage", sa.String(length=16), nullable=False),
        sa.Column("began_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("proved_at", sa.BigInteger(), nullable=False),
        sa.Column("by_oidc", sa.Boolean(), nullable=False),
        sa.Column("draft", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_staff_session")),
        sa.ForeignKeyConstraint(["user_id"], ["staff_user.id"], name=op.f("fk_staff_session_user_id_staff_user")),
    )
    op.create_index(op.f("ix_staff_session_user_id"), "staff_session", ["user_id"])
    op.create_index(op.f("ix_staff_session_began_at"), "staff_session", ["began_at"])
    op.create_table(
        "audit_entry",
        sa.Column("id", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("action", sa.String(length=48), nullable=False),
        sa.Column("about", sa.String(length=96), nullable=True),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entry")),
        sqlite_autoincrement=True,
    )
    for column in ("actor", "action", "about"):
        op.create_index(op.f(f"ix_audit_entry_{column}_id"), "audit_entry", [column, "id"])
    op.create_table(
        "approval",
        sa.Column("id", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("about", sa.String(length=96), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("asked_by", sa.String(length=64), nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("decided_by", sa.String(length=64), nullable=True),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.Column("done_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approval")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_approval_status_id"), "approval", ["status", "id"])
    op.create_index(op.f("ix_approval_kind_about"), "approval", ["kind", "about"])
    op.create_table(
        "stop_count",
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.Column("topic", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("campaign", sa.String(length=100), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("day", "channel", "source", "topic", "campaign", name=op.f("pk_stop_count")),
    )
    op.create_table(
        "send_count",
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("topic", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("campaign", sa.String(length=100), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("day", "channel", "topic", "campaign", name=op.f("pk_send_count")),
    )
    op.create_table(
        "provider_check",
        sa.Column("id", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("provider", sa.String(length=16), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("began_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=False),
        sa.Column("error", sa.String(length=64), nullable=True),
        sa.Column("found", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_provider_check")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_provider_check_provider_id"), "provider_check", ["provider", "id"])
    sqlite = op.get_bind().dialect.name == "sqlite"
    for statement in _SQLITE_GUARDS if sqlite else _POSTGRESQL_GUARDS:
        op.execute(statement)


def downgrade() -> None:
    counts = ("provider_check", "send_count", "stop_count")
    people = ("staff_session", "staff_link", "staff_recovery_code", "staff_user")
    for name in (*counts, "approval", "audit_entry", *people):
        op.drop_table(name)
    if op.get_bind().dialect.name != "sqlite":
        op.execute("DROP FUNCTION audit_is_append_only()")

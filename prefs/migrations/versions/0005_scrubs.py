"""Scrubs of whole files: the jobs, and what changes an address's standing without an entry of its own.

``restated`` is kept by triggers, so that no code path can forget it: an address that joins or
leaves a contact, is made inside one, or is deleted, and a contact whose country or time zone changes. Each address has
one row at most. New tables only; the triggers take a short lock on ``address`` and ``contact``.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005_scrubs"
down_revision = "0004_imports"
branch_labels = None
depends_on = None

_UPSERT = (
    "INSERT INTO restated (address_key, position) {rows} "
    "ON CONFLICT (address_key) DO UPDATE SET position = excluded.position"
)
_POSITION = "(SELECT COALESCE(MAX(id), 0) FROM ledger_entry)"
# SQLite's parser needs the WHERE before ON CONFLICT.
_OF_ADDRESS = _UPSERT.format(rows=f"SELECT {{row}}.key, {_POSITION} WHERE true")
_OF_CONTACT = _UPSERT.format(rows=f"SELECT key, {_POSITION} FROM address WHERE contact = NEW.subject")

_SQLITE_TRIGGERS = (
    "CREATE TRIGGER address_joined AFTER UPDATE OF contact ON address WHEN OLD.contact IS NOT NEW.contact "
    f"BEGIN {_OF_ADDRESS.format(row='NEW')}; END",
    "CREATE TRIGGER address_made_inside AFTER INSERT ON address WHEN NEW.contact IS NOT NULL "
    f"BEGIN {_OF_ADDRESS.format(row='NEW')}; END",
    f"CREATE TRIGGER address_deleted AFTER DELETE ON address BEGIN {_OF_ADDRESS.format(row='OLD')}; END",
    "CREATE TRIGGER contact_moved AFTER UPDATE OF country, time_zone ON contact "
    "WHEN OLD.country IS NOT NEW.country OR OLD.time_zone IS NOT NEW.time_zone "
    f"BEGIN {_OF_CONTACT}; END",
)
_POSTGRESQL_TRIGGERS = (
    "CREATE FUNCTION note_restated_address() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
    f"IF TG_OP = 'DELETE' THEN {_OF_ADDRESS.format(row='OLD')}; "
    f"ELSE {_OF_ADDRESS.format(row='NEW')}; END IF; RETURN NULL; END $$",
    "CREATE FUNCTION note_restated_contact() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
    f"{_OF_CONTACT}; RETURN NULL; END $$",
    "CREATE TRIGGER address_joined AFTER UPDATE OF contact ON address FOR EACH ROW "
    "WHEN (OLD.contact IS DISTINCT FROM NEW.contact) EXECUTE FUNCTION note_restated_address()",
    "CREATE TRIGGER address_made_inside AFTER INSERT ON address FOR EACH ROW "
    "WHEN (NEW.contact IS NOT NULL) EXECUTE FUNCTION note_restated_address()",
    "CREATE TRIGGER address_deleted AFTER DELETE ON address FOR EACH ROW EXECUTE FUNCTION note_restated_address()",
    "CREATE TRIGGER contact_moved AFTER UPDATE OF country, time_zone ON contact FOR EACH ROW "
    "WHEN ((OLD.country, OLD.time_zone) IS DISTINCT FROM (NEW.country, NEW.time_zone)) "
    "EXECUTE FUNCTION note_restated_contact()",
)
_TRIGGERS = {
    "address_joined": "address",
    "address_made_inside": "address",
    "address_deleted": "address",
    "contact_moved": "contact",
}


def upgrade() -> None:
    op.create_table(
        "restated",
        sa.Column("address_key", sa.LargeBinary(length=16), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("address_key", name=op.f("pk_restated")),
    )
    op.create_index(op.f("ix_restated_position"), "restated", ["position"])
    op.create_table(
        "scrub",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("caller", sa.String(length=64), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("asked", sa.JSON(), nullable=False),
        sa.Column("result", sa.JSON(), nullable=True),
        sa.Column("error", sa.String(length=300), nullable=True),
        sa.Column("lease_until", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scrub")),
    )
    op.create_index(op.f("ix_scrub_created_at"), "scrub", ["created_at"])
    sqlite = op.get_bind().dialect.name == "sqlite"
    for statement in _SQLITE_TRIGGERS if sqlite else _POSTGRESQL_TRIGGERS:
        op.execute(statement)


def downgrade() -> None:
    sqlite = op.get_bind().dialect.name == "sqlite"
    for name, table in _TRIGGERS.items():
        op.execute(f"DROP TRIGGER {name}" + ("" if sqlite else f" ON {table}"))
    if not sqlite:
        op.execute("DROP FUNCTION note_restated_address()")
        op.execute("DROP FUNCTION note_restated_contact()")
    op.drop_table("scrub")
    op.drop_table("restated")

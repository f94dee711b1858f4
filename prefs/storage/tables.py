"""The tables. Times are whole microseconds since 1970 in UTC, the same on both databases.

``ledger_entry`` names subjects only; the address (encrypted), the person and the evidence lie
in tables of their own, so that erasure can delete them and the ledger stays whole (contract
D1, D3). ``standing`` is what the ledger says now and can be rebuilt from it at any time.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_microseconds(moment: datetime) -> int:
    """Return a moment as stored. Raises ``ValueError`` for a time without a zone."""
    if moment.tzinfo is None:
        raise ValueError("a stored time needs a time zone")
    return (moment - EPOCH) // _MICROSECOND


def from_microseconds(stored: int) -> datetime:
    """Return a stored moment as aware UTC."""
    return EPOCH + timedelta(microseconds=stored)


class UtcDateTime(TypeDecorator[datetime]):
    """Aware in, aware UTC out; naive times are refused. SQLite would lose the zone otherwise."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else to_microseconds(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        return None if value is None else from_microseconds(value)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Number = BigInteger().with_variant(Integer, "sqlite")
"""A key the database counts up itself; SQLite does that only for INTEGER."""

ledger_entry = Table(
    "ledger_entry",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=True),
    Column("entry_key", String(96), nullable=False, unique=True),
    Column("act_id", String(64), nullable=False),
    Column("act", String(16), nullable=False),
    Column("subject", BigInteger, nullable=False),
    Column("channel", String(16)),
    Column("scope", Integer, nullable=False),
    Column("reason", String(32)),
    Column("consent", String(16)),
    Column("source", String(64), nullable=False),
    Column("sender", Integer),
    Column("lifts", String(128)),
    Column("flag", String(16)),
    Column("actor", String(64)),
    Column("evidence_hash", String(64)),
    Column("effective_at", UtcDateTime, nullable=False),
    Column("occurred_at", UtcDateTime, nullable=False),
    Column("recorded_at", UtcDateTime, nullable=False),
    Column("until", UtcDateTime),
    Index(None, "subject", "id"),
    Index(None, "reason", "channel", "id"),
    Index(None, "source", "reason", "channel", "id"),
    sqlite_autoincrement=True,
)

act_reference = Table(
    "act_reference",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("entry_id", BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)

standing = Table(
    "standing",
    metadata,
    Column("address_key", LargeBinary(16), primary_key=True),
    Column("channel", String(16), primary_key=True),
    Column("scope", Integer, primary_key=True, autoincrement=False),
    Column("fact", String(32), primary_key=True),
    Column("everywhere", Boolean(create_constraint=False), primary_key=True),
    Column("entry_id", BigInteger, nullable=False),
    Column("effective_at", UtcDateTime, nullable=False),
    Column("until", UtcDateTime),
    Column("sender", Integer),
    Column("source", String(64), nullable=False),
    Column("flag", String(16)),
    Index(None, "entry_id"),
    sqlite_with_rowid=False,
)

contact = Table(
    "contact",
    metadata,
    Column("subject", BigInteger, primary_key=True, autoincrement=False),
    Column("external_id", String(255), nullable=False, unique=True),
    Column("locale", String(35)),
    Column("country", String(2)),
    Column("time_zone", String(64)),
    Column("last_entry", BigInteger, nullable=False, server_default="0"),
    Column("created_at", UtcDateTime, nullable=False),
    # Ids that begin alike, byte by byte, whatever the database's collation.
    Index("ix_contact_external_id_prefix", "external_id", postgresql_ops={"external_id": "text_pattern_ops"}),
)

address = Table(
    "address",
    metadata,
    Column("subject", BigInteger, primary_key=True, autoincrement=False),
    Column("key", LargeBinary(16), nullable=False, unique=True),
    Column("kind", String(8), nullable=False),
    Column("sealed", LargeBinary),
    Column("contact", BigInteger, ForeignKey("contact.subject")),
    Column("last_entry", BigInteger, nullable=False, server_default="0"),
    Column("created_at", UtcDateTime, nullable=False),
    Index(None, "contact"),
)

address_alias = Table(
    "address_alias",
    metadata,
    Column("key", LargeBinary(16), primary_key=True),
    Column("subject", BigInteger, ForeignKey("address.subject", ondelete="CASCADE"), nullable=False),
    Index(None, "subject"),
)

evidence = Table(
    "evidence",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=True),
    Column("act_id", String(64), nullable=False),
    Column("subject", BigInteger, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("part", String(8), nullable=False, server_default="proof"),
    Index(None, "act_id"),
    Index(None, "subject"),
    Index(None, "part", "created_at"),
)

catalogue_item = Table(
    "catalogue_item",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("kind", String(8), nullable=False),
    Column("slug", String(64), nullable=False),
    Column("position", Integer, nullable=False),
    Column("retired", Boolean(create_constraint=False), nullable=False),
    Column("body", JSON, nullable=False),
    UniqueConstraint("kind", "slug"),
    sqlite_autoincrement=True,
)

meta = Table(
    "meta",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)

inbound_text = Table(
    "inbound_text",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=True),
    Column("provider_id", String(64), nullable=False, unique=True),
    Column("subject", BigInteger, nullable=False),
    Column("channel", String(16), nullable=False),
    Column("sender", Integer),
    Column("sealed", LargeBinary),
    Column("kind", String(16), nullable=False),
    Column("rule", String(64), nullable=False),
    Column("rule_version", String(32), nullable=False),
    Column("changed", Boolean(create_constraint=False), nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    Column("asked", String(8)),
    Column("act_id", String(64)),
    Column("handled_at", UtcDateTime),
    Column("handled_by", String(64)),
    Column("verdict", String(16)),
    Index(None, "subject", "received_at"),
    Index(None, "kind", "handled_at"),
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=True),
    Column("item_key", String(96), nullable=False, unique=True),
    Column("provider", String(16), nullable=False),
    Column("problem", String(64), nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    Column("handled_at", UtcDateTime),
    Column("handled_by", String(64)),
    Index(None, "handled_at", "id"),
)

api_key = Table(
    "api_key",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(100), nullable=False),
    Column("digest", LargeBinary(32), nullable=False, unique=True),
    Column("scopes", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("revoked_at", UtcDateTime),
    Column("expires_at", UtcDateTime),
    Column("last_used_on", String(10)),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("caller", String(64), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("route", String(128), nullable=False),
    Column("body_hash", LargeBinary(32), nullable=False),
    Column("status", SmallInteger),
    Column("sealed", LargeBinary),
    Column("created_at", UtcDateTime, nullable=False),
    Index(None, "created_at"),
)

message = Table(
    "message",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("subject", BigInteger, nullable=False),
    Column("channel", String(16), nullable=False),
    Column("message_class", String(16), nullable=False),
    Column("topic", Integer),
    Column("sender", Integer, nullable=False),
    Column("campaign", String(100)),
    Column("status", String(16), nullable=False),
    Column("reason", String(32)),
    Column("sealed", LargeBinary, nullable=False),
    Column("due_at", UtcDateTime, nullable=False),
    Column("lease_until", UtcDateTime),
    Column("fence", Integer, nullable=False, server_default="0"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("provider_id", String(128)),
    Column("created_at", UtcDateTime, nullable=False),
    Index(None, "status", "due_at"),
    Index(None, "subject"),
    Index(None, "provider_id"),
    Index(None, "status", "channel", "created_at", "id"),
    Index(None, "campaign", "status", "channel", "created_at", "id"),
)

message_event = Table(
    "message_event",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=True),
    Column("message_id", String(40), ForeignKey("message.id", ondelete="CASCADE"), nullable=False),
    Column("status", String(16), nullable=False),
    Column("detail", JSON, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Index(None, "message_id", "id"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=True),
    Column("message_id", String(40), nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("sent_at", UtcDateTime, nullable=False),
)

job = Table(
    "job",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=True),
    Column("job_key", String(96), nullable=False, unique=True),
    Column("kind", String(32), nullable=False),
    Column("payload", JSON, nullable=False),
    Column("status", String(16), nullable=False),
    Column("due_at", UtcDateTime, nullable=False),
    Column("lease_until", UtcDateTime),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("last_error", String(200)),
    Column("created_at", UtcDateTime, nullable=False),
    Index(None, "status", "due_at"),
)

decision_count = Table(
    "decision_count",
    metadata,
    Column("day", String(10), primary_key=True),
    Column("channel", String(16), primary_key=True),
    Column("topic", String(64), primary_key=True),
    Column("outcome", String(16), primary_key=True),
    Column("reason", String(32), primary_key=True),
    Column("number", BigInteger, nullable=False),
)

seal = Table(
    "seal",
    metadata,
    Column("last_entry", BigInteger, primary_key=True, autoincrement=False),
    Column("entries", BigInteger, nullable=False),
    Column("digest", LargeBinary(32), nullable=False),
    Column("sealed_at", UtcDateTime, nullable=False),
)

wording = Table(
    "wording",
    metadata,
    Column("version", String(16), primary_key=True),
    Column("page", String(32), nullable=False),
    Column("language", String(8), nullable=False),
    Column("texts", JSON, nullable=False),
    Column("first_shown_at", UtcDateTime, nullable=False),
)

pending_choice = Table(
    "pending_choice",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("subject", BigInteger, nullable=False),
    Column("channel", String(16), nullable=False),
    Column("topics", JSON, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("act_id", String(64), nullable=False),
    Column("language", String(8), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("spent_at", UtcDateTime),
    Index(None, "subject"),
)

rate_limit = Table(
    "rate_limit",
    metadata,
    Column("bucket", String(96), primary_key=True),
    Column("window_start", UtcDateTime, primary_key=True, autoincrement=False),
    Column("used", Integer, nullable=False),
    Index(None, "window_start"),
)

privacy_request = Table(
    "privacy_request",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=True),
    Column("kind", String(16), nullable=False),
    Column("status", String(16), nullable=False),
    Column("subject", BigInteger),
    Column("sealed", LargeBinary),
    Column("language", String(8), nullable=False),
    Column("received_by", String(16), nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    Column("due_on", String(10), nullable=False),
    Column("verified_at", UtcDateTime),
    Column("closed_at", UtcDateTime),
    Column("request_key", String(96)),
    Column("first_due_on", String(10)),
    Column("act_by", String(10)),
    Column("owner", String(64)),
    Column("checking_at", UtcDateTime),
    Column("verified_by", String(64)),
    Column("paused_at", UtcDateTime),
    Column("acted_at", UtcDateTime),
    Column("answered_at", UtcDateTime),
    Column("link_pressed_at", UtcDateTime),
    Index(None, "request_key", unique=True),
    Index(None, "subject"),
    Index(None, "status", "due_on"),
    sqlite_autoincrement=True,
)

request_note = Table(
    "request_note",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=True),
    Column("request", BigInteger, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("actor", String(64)),
    Column("sealed", LargeBinary),
    Column("created_at", UtcDateTime, nullable=False),
    Index(None, "request"),
)

request_notice = Table(
    "request_notice",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=True),
    Column("request", BigInteger, nullable=False),
    Column("provider", String(16), nullable=False),
    Column("what", String(16), nullable=False),
    Column("status", String(16), nullable=False),
    Column("sealed", LargeBinary),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("problem", String(200)),
    Column("provider_ref", String(128)),
    Column("created_at", UtcDateTime, nullable=False),
    Column("done_at", UtcDateTime),
    Index(None, "request"),
    Index(None, "status"),
)

inbound_mail = Table(
    "inbound_mail",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=True),
    Column("mail_key", String(64), nullable=False, unique=True),
    Column("kind", String(16), nullable=False),
    Column("subject", BigInteger),
    Column("sealed", LargeBinary),
    Column("received_at", UtcDateTime, nullable=False),
    Column("handled_at", UtcDateTime),
    Column("handled_by", String(64)),
    Index(None, "kind", "received_at"),
    sqlite_autoincrement=True,
)

list_import = Table(
    "list_import",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("file_hash", LargeBinary(32), nullable=False),
    Column("format", String(32), nullable=False),
    Column("options", JSON, nullable=False),
    Column("dry_run", Boolean(create_constraint=False), nullable=False),
    Column("status", String(16), nullable=False),
    Column("actor", String(64), nullable=False),
    Column("uploaded_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
    Column("first_entry", BigInteger, nullable=False, server_default="0"),
    Column("last_entry", BigInteger, nullable=False, server_default="0"),
    Column("parts", Integer, nullable=False, server_default="0"),
    Column("next_part", Integer, nullable=False, server_default="0"),
    Column("usable", BigInteger, nullable=False, server_default="0"),
    Column("added", BigInteger, nullable=False, server_default="0"),
    Column("invalid", BigInteger, nullable=False, server_default="0"),
    Column("ignored", BigInteger, nullable=False, server_default="0"),
    Column("lifted", BigInteger, nullable=False, server_default="0"),
    Column("error", String(300)),
    Index(None, "file_hash"),
)

import_confirmation = Table(
    "import_confirmation",
    metadata,
    Column("entry_id", BigInteger, primary_key=True, autoincrement=False),
    Column("import_id", String(40), nullable=False),
)

export_log = Table(
    "export_log",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=True),
    Column("actor", String(64), nullable=False),
    Column("recipient", String(200), nullable=False),
    Column("purpose", String(200), nullable=False),
    Column("options", JSON, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("unnamed", BigInteger, nullable=False),
    Column("checksum", String(64), nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    sqlite_autoincrement=True,
)

# Addresses whose standing changed without a ledger entry of their own: they joined or left a
# contact, the contact's country changed, or a replay put them right. Written by triggers
# (migration 0005); what copies the standing (scrub, snapshot) reads it beside the ledger.
restated = Table(
    "restated",
    metadata,
    Column("address_key", LargeBinary(16), primary_key=True),
    Column("position", BigInteger, nullable=False),
    Index(None, "position"),
)

scrub = Table(
    "scrub",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("caller", String(64), nullable=False),
    Column("status", String(16), nullable=False),
    Column("asked", JSON, nullable=False),
    Column("result", JSON),
    Column("error", String(300)),
    Column("lease_until", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False),
    Index(None, "created_at"),
)

staff_user = Table(
    "staff_user",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=True),
    Column("email", String(254), nullable=False, unique=True),
    Column("role", String(16), nullable=False),
    Column("password_hash", String(255)),
    Column("totp", LargeBinary),
    Column("totp_used", BigInteger),
    Column("mfa_exempt", Boolean(create_constraint=False), nullable=False),
    Column("oidc_subject", String(255), unique=True),
    Column("time_zone", String(64), nullable=False, server_default="UTC"),
    Column("created_at", UtcDateTime, nullable=False),
    Column("signed_in_at", UtcDateTime),
    Column("disabled_at", UtcDateTime),
    sqlite_autoincrement=True,
)

staff_recovery_code = Table(
    "staff_recovery_code",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("user_id", BigInteger, ForeignKey("staff_user.id"), primary_key=True),
)

staff_link = Table(
    "staff_link",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("user_id", BigInteger, ForeignKey("staff_user.id"), nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Index(None, "user_id"),
)

staff_session = Table(
    "staff_session",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("user_id", BigInteger, ForeignKey("staff_user.id"), nullable=False),
    Column("stage", String(16), nullable=False),
    Column("began_at", UtcDateTime, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    Column("proved_at", UtcDateTime, nullable=False),
    Column("by_oidc", Boolean(create_constraint=False), nullable=False),
    Column("draft", LargeBinary),
    Index(None, "user_id"),
    Index(None, "began_at"),
)

audit_entry = Table(
    "audit_entry",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=True),
    Column("at", UtcDateTime, nullable=False),
    Column("actor", String(64), nullable=False),
    Column("action", String(48), nullable=False),
    Column("about", String(96)),
    Column("detail", JSON, nullable=False),
    Index(None, "actor", "id"),
    Index(None, "action", "id"),
    Index(None, "about", "id"),
    sqlite_autoincrement=True,
)

approval = Table(
    "approval",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=True),
    Column("kind", String(32), nullable=False),
    Column("about", String(96), nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("status", String(16), nullable=False),
    Column("asked_by", String(64), nullable=False),
    Column("asked_at", UtcDateTime, nullable=False),
    Column("decided_by", String(64)),
    Column("decided_at", UtcDateTime),
    Column("done_at", UtcDateTime),
    Index(None, "status", "id"),
    Index(None, "kind", "about"),
    sqlite_autoincrement=True,
)

stop_count = Table(
    "stop_count",
    metadata,
    Column("day", String(10), primary_key=True),
    Column("channel", String(16), primary_key=True),
    Column("source", String(64), primary_key=True),
    Column("topic", Integer, primary_key=True, autoincrement=False),
    Column("campaign", String(100), primary_key=True),
    Column("number", BigInteger, nullable=False),
)

send_count = Table(
    "send_count",
    metadata,
    Column("day", String(10), primary_key=True),
    Column("channel", String(16), primary_key=True),
    Column("topic", Integer, primary_key=True, autoincrement=False),
    Column("campaign", String(100), primary_key=True),
    Column("number", BigInteger, nullable=False),
)

provider_check = Table(
    "provider_check",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=True),
    Column("provider", String(16), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("began_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime, nullable=False),
    Column("error", String(64)),
    Column("found", JSON, nullable=False),
    Index(None, "provider", "id"),
    sqlite_autoincrement=True,
)

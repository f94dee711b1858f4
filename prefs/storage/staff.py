"""The staff at rest: users, their set-up links, recovery codes and sessions. Secrets as digests only."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from prefs.domain.roles import Role
from prefs.storage.tables import staff_link, staff_recovery_code, staff_session, staff_user


@dataclass(frozen=True, slots=True)
class StaffUser:
    """A person of the staff; ``totp`` is the sealed secret of their second factor, once it is set up."""

    id: int
    email: str
    role: Role
    password_hash: str | None
    totp: bytes | None
    totp_used: int | None
    mfa_exempt: bool
    oidc_subject: str | None
    time_zone: str
    created_at: datetime
    signed_in_at: datetime | None
    disabled_at: datetime | None

    @property
    def actor(self) -> str:
        """What entries, evidence and the audit log call this person."""
        return f"staff:{self.id}"


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session; ``stage`` is ``password`` or ``enrol`` until the second factor is proven, then ``full``."""

    digest: bytes
    user_id: int
    stage: str
    began_at: datetime
    seen_at: datetime
    proved_at: datetime
    by_oidc: bool
    draft: bytes | None


def add_user(connection: Connection, values: dict[str, Any]) -> int:
    """Store a user and return their number."""
    number: int = connection.execute(insert(staff_user).returning(staff_user.c.id), values).scalar_one()
    return number


def user(connection: Connection, number: int, *, lock: bool = False) -> StaffUser | None:
    """Return a user, or None."""
    return _one(connection, staff_user.c.id == number, lock=lock)


def user_by_email(connection: Connection, email: str) -> StaffUser | None:
    """Return the user with this address in its one form, or None."""
    return _one(connection, staff_user.c.email == email)


def user_by_oidc(connection: Connection, subject: str) -> StaffUser | None:
    """Return the user an identity provider calls by this name, or None."""
    return _one(connection, staff_user.c.oidc_subject == subject)


def users(connection: Connection) -> list[StaffUser]:
    """Return everybody, in order of address."""
    return [_user(row) for row in connection.execute(select(staff_user).order_by(staff_user.c.email))]


def users_numbered(connection: Connection, numbers: Iterable[int]) -> dict[int, StaffUser]:
    """Return some users by number."""
    query = select(staff_user).where(staff_user.c.id.in_(sorted(set(numbers))))
    return {row.id: _user(row) for row in connection.execute(query)}


def change_user(connection: Connection, number: int, **values: Any) -> None:
    """Change a user."""
    connection.execute(update(staff_user).where(staff_user.c.id == number).values(values))


def working_admins(connection: Connection, *, but: int) -> int:
    """Return how many admins other than ``but`` can sign in."""
    others = (staff_user.c.role == Role.ADMIN) & staff_user.c.disabled_at.is_(None) & (staff_user.c.id != but)
    number: int = connection.execute(select(func.count()).select_from(staff_user).where(others)).scalar_one()
    return number


def use_step(connection: Connection, number: int, step: int) -> bool:
    """Use a one-time code; False where this or a later one was used meanwhile."""
    fresh = (staff_user.c.id == number) & (staff_user.c.totp_used.is_(None) | (staff_user.c.totp_used < step))
    return connection.execute(update(staff_user).where(fresh).values(totp_used=step)).rowcount == 1


def set_recovery_codes(connection: Connection, number: int, digests: Iterable[bytes]) -> None:
    """Replace somebody's recovery codes."""
    connection.execute(delete(staff_recovery_code).where(staff_recovery_code.c.user_id == number))
    rows = [{"user_id": number, "digest": digest} for digest in digests]
    if rows:
        connection.execute(insert(staff_recovery_code), rows)


def use_recovery_code(connection: Connection, number: int, digest: bytes) -> bool:
    """Use up a recovery code; False where there is none like it."""
    mine = (staff_recovery_code.c.user_id == number) & (staff_recovery_code.c.digest == digest)
    return connection.execute(delete(staff_recovery_code).where(mine)).rowcount == 1


def recovery_codes_left(connection: Connection, number: int) -> int:
    """Return how many recovery codes are unused."""
    mine = select(func.count()).select_from(staff_recovery_code).where(staff_recovery_code.c.user_id == number)
    left: int = connection.execute(mine).scalar_one()
    return left


def add_link(connection: Connection, number: int, digest: bytes, expires_at: datetime) -> None:
    """Store a set-up link and end the ones before it."""
    connection.execute(delete(staff_link).where(staff_link.c.user_id == number))
    connection.execute(insert(staff_link), {"digest": digest, "user_id": number, "expires_at": expires_at})


def link_owner(connection: Connection, digest: bytes, now: datetime) -> StaffUser | None:
    """Return whose set-up link this is, or None where it is used up, too old, or of nobody who may sign in."""
    mine = (staff_link.c.digest == digest) & (staff_link.c.expires_at > now) & staff_user.c.disabled_at.is_(None)
    query = select(staff_user).join(staff_link, staff_link.c.user_id == staff_user.c.id).where(mine)
    row = connection.execute(query).one_or_none()
    return _user(row) if row else None


def use_link(connection: Connection, digest: bytes) -> bool:
    """Use up a set-up link; False where somebody was quicker."""
    return connection.execute(delete(staff_link).where(staff_link.c.digest == digest)).rowcount == 1


def add_session(connection: Connection, values: dict[str, Any]) -> None:
    """Store a session."""
    connection.execute(insert(staff_session), values)


def session(connection: Connection, digest: bytes) -> tuple[SessionRow, StaffUser] | None:
    """Return a session and whose it is, or None."""
    columns = [column.label(f"session_{column.name}") for column in staff_session.c]
    query = (
        select(*columns, *staff_user.c)
        .join(staff_user, staff_user.c.id == staff_session.c.user_id)
        .where(staff_session.c.digest == digest)
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    values = row._mapping
    return SessionRow(*(values[column.name] for column in columns)), _user(row)


def touch_session(connection: Connection, digest: bytes, **values: Any) -> None:
    """Change a session's times or its draft."""
    connection.execute(update(staff_session).where(staff_session.c.digest == digest).values(values))


def end_session(connection: Connection, digest: bytes) -> bool:
    """End one session; False where it had ended already."""
    return connection.execute(delete(staff_session).where(staff_session.c.digest == digest)).rowcount == 1


def end_sessions(connection: Connection, number: int) -> int:
    """End every session of a user and return how many there were."""
    return connection.execute(delete(staff_session).where(staff_session.c.user_id == number)).rowcount


def forget_sessions(connection: Connection, before: datetime) -> int:
    """Delete sessions that began before a moment, and set-up links that ended before it."""
    connection.execute(delete(staff_link).where(staff_link.c.expires_at < before))
    return connection.execute(delete(staff_session).where(staff_session.c.began_at < before)).rowcount


def _one(connection: Connection, which: Any, *, lock: bool = False) -> StaffUser | None:
    query = select(staff_user).where(which)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    return _user(row) if row else None


def _user(row: Row[Any]) -> StaffUser:
    values = row._mapping
    found = {name: values[name] for name in StaffUser.__slots__}
    return StaffUser(**{**found, "role": Role(values["role"])})

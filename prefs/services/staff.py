"""The team: who may sign in, with what role, password and second factor (reliability.md items 19-22).

Whatever changes what somebody may do, or how they prove who they are, ends all their sessions
in the same transaction.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from sqlalchemy import Connection

from prefs.domain.address import parse_address
from prefs.domain.roles import Role
from prefs.domain.terms import Channel
from prefs.errors import Conflict, InvalidInput, NotFound
from prefs.services import audit, second_factor
from prefs.services.kit import Kit
from prefs.services.passwords import Passwords
from prefs.storage import staff
from prefs.storage.staff import StaffUser

LINK_GOOD_FOR = timedelta(days=3)


@dataclass(frozen=True, slots=True)
class Team:
    """The use cases behind ``prefs users``, the team page and one's own account."""

    kit: Kit
    passwords: Passwords
    development: bool
    org_name: str

    def create(
        self, email: str, role: Role, *, by: str, password: str | None = None, mfa_exempt: bool = False
    ) -> StaffUser:
        """Add somebody; without a password they get a link (``link``) to set one.

        Raises:
            InvalidInput: An address that cannot be one, or a password that is refused.
            Conflict: There is a user with this address.
        """
        if mfa_exempt and not self.development:
            raise InvalidInput("Nobody is spared the second factor in production.", field="mfa_exempt")
        clean = parse_address(Channel.EMAIL, email).value
        hashed = self._hash(password, clean) if password is not None else None
        now = self.kit.now()
        values = {"email": clean, "role": role, "password_hash": hashed, "mfa_exempt": mfa_exempt, "created_at": now}
        with self.kit.store.write() as connection:
            if staff.user_by_email(connection, clean):
                raise Conflict("There is a user with this address already.", code="exists")
            number = staff.add_user(connection, {**values, "time_zone": "UTC"})
            audit.note(connection, now, by, "user_created", f"staff:{number}", role=role, mfa_exempt=mfa_exempt)
        return self.user(number)

    def everyone(self) -> list[StaffUser]:
        """Return the whole team, disabled people too."""
        with self.kit.store.read() as connection:
            return staff.users(connection)

    def user(self, number: int) -> StaffUser:
        """Return a user. Raises ``NotFound``."""
        with self.kit.store.read() as connection:
            return _must(staff.user(connection, number))

    def find(self, email: str) -> StaffUser:
        """Return the user with this address. Raises ``NotFound`` or ``InvalidInput``."""
        clean = parse_address(Channel.EMAIL, email).value
        with self.kit.store.read() as connection:
            return _must(staff.user_by_email(connection, clean))

    def link(self, number: int, *, by: str) -> str:
        """Return the path of a fresh one-time link to set a password; earlier ones end."""
        token, now = secrets.token_urlsafe(32), self.kit.now()
        with self.kit.store.write() as connection:
            _must(staff.user(connection, number))
            staff.add_link(connection, number, digest(token), now + LINK_GOOD_FOR)
            audit.note(connection, now, by, "user_linked", f"staff:{number}")
        return f"/admin/set-up/{token}"

    def link_owner(self, token: str) -> StaffUser | None:
        """Return whose set-up link this is, or None where it leads nowhere any more."""
        with self.kit.store.read() as connection:
            return staff.link_owner(connection, digest(token), self.kit.now())

    def set_up(self, token: str, password: str) -> StaffUser:
        """Set the password behind a set-up link, which is used up.

        Raises:
            NotFound: The link was used, or is too old.
            InvalidInput: The password is refused; the link stays good.
        """
        owner = self.link_owner(token)
        if owner is None:
            raise NotFound("This link was used already, or is older than three days. Ask an admin for another.")
        hashed = self._hash(password, owner.email)
        with self.kit.store.write() as connection:
            if not staff.use_link(connection, digest(token)):
                raise NotFound("This link was used already. Ask an admin for another.")
            self._set_password(connection, owner, hashed)
        return owner

    def change_password(self, user: StaffUser, new: str) -> None:
        """Set somebody's own new password; all their sessions end. Raises ``InvalidInput``."""
        hashed = self._hash(new, user.email)
        with self.kit.store.write() as connection:
            self._set_password(connection, user, hashed)

    def set_role(self, number: int, role: Role, *, by: str) -> None:
        """Give somebody another role.

        Raises:
            NotFound: No such user.
            Conflict: They are the last admin.
        """
        with self.kit.store.write() as connection:
            user = _must(staff.user(connection, number, lock=True))
            if role is not user.role:
                self._keep_an_admin(connection, user)
                self._change(connection, user, "user_role_changed", by, {"role": role}, old=user.role, new=role)

    def disable(self, number: int, *, by: str) -> None:
        """Keep somebody out from now on. Raises as ``set_role`` does."""
        with self.kit.store.write() as connection:
            user = _must(staff.user(connection, number, lock=True))
            self._keep_an_admin(connection, user)
            self._change(connection, user, "user_disabled", by, {"disabled_at": self.kit.now()})

    def enable(self, number: int, *, by: str) -> None:
        """Let somebody in again, with the password and second factor they had."""
        with self.kit.store.write() as connection:
            user = _must(staff.user(connection, number, lock=True))
            self._change(connection, user, "user_enabled", by, {"disabled_at": None})

    def reset_second_factor(self, number: int, *, by: str) -> None:
        """Forget a second factor that was lost; a new one is set up at the next sign-in."""
        with self.kit.store.write() as connection:
            user = _must(staff.user(connection, number, lock=True))
            staff.set_recovery_codes(connection, number, ())
            self._change(connection, user, "second_factor_reset", by, {"totp": None, "totp_used": None})

    def end_sessions(self, number: int, *, by: str) -> None:
        """Sign somebody out everywhere."""
        with self.kit.store.write() as connection:
            user = _must(staff.user(connection, number, lock=True))
            self._change(connection, user, "user_sessions_ended", by, {})

    def set_time_zone(self, user: StaffUser, zone: str) -> None:
        """Show somebody's times in this zone. Raises ``InvalidInput``."""
        if zone not in time_zones():
            raise InvalidInput("There is no such time zone. Choose one of the list.", field="time_zone")
        ZoneInfo(zone)
        with self.kit.store.write() as connection:
            staff.change_user(connection, user.id, time_zone=zone)

    def enrol(self, connection: Connection, user: StaffUser, secret: str, step: int) -> list[str]:
        """Take a proven second factor into use; returns the recovery codes, shown once. Ends all sessions."""
        codes = second_factor.new_recovery_codes()
        staff.set_recovery_codes(connection, user.id, [second_factor.digest(code) for code in codes])
        sealed = self.kit.vault.seal_text(secret, context=totp_context(user.id))
        self._change(connection, user, "second_factor_set", user.actor, {"totp": sealed, "totp_used": step})
        return codes

    def recovery_codes_left(self, user: StaffUser) -> int:
        """Return how many recovery codes somebody has left."""
        with self.kit.store.read() as connection:
            return staff.recovery_codes_left(connection, user.id)

    def _hash(self, password: str, email: str) -> str:
        about = [email, email.partition("@")[0], *email.partition("@")[2].split("."), *self.org_name.split()]
        return self.passwords.hash(self.passwords.check(password, about))

    def _set_password(self, connection: Connection, user: StaffUser, hashed: str) -> None:
        self._change(connection, user, "password_set", user.actor, {"password_hash": hashed})

    def _keep_an_admin(self, connection: Connection, user: StaffUser) -> None:
        if user.role is Role.ADMIN and not user.disabled_at and not staff.working_admins(connection, but=user.id):
            raise Conflict("This is the last admin. Make somebody else one first.", code="last_admin")

    def _change(
        self, connection: Connection, user: StaffUser, action: str, by: str, values: dict[str, Any], **detail: Any
    ) -> None:
        if values:
            staff.change_user(connection, user.id, **values)
        staff.end_sessions(connection, user.id)
        audit.note(connection, self.kit.now(), by, action, user.actor, **detail)


@lru_cache(maxsize=1)
def time_zones() -> tuple[str, ...]:
    """Return the names of all time zones, in order."""
    return tuple(sorted(available_timezones()))


def totp_context(number: int) -> bytes:
    """Return what ties a sealed second factor to its user."""
    return f"totp:{number}".encode()


def digest(token: str) -> bytes:
    """Return what is stored of a token: a session's, or a link's."""
    return hashlib.sha256(token.encode()).digest()


def _must(found: StaffUser | None) -> StaffUser:
    if found is None:
        raise NotFound("There is no such user. `prefs users list` shows them.")
    return found

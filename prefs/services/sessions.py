"""Signing in and staying signed in (reliability.md items 19, 21, 22; V43, V44, V46).

A session is a random token in a cookie and its digest in the database. It gets a new token at
each step of the sign-in, ends after 30 minutes without a request and after 12 hours anyway.

Tries are counted in the database before anything is compared: for each client with each
account, for each client, and for each account. Whoever signed in from a browser before is
counted apart there, so that strangers who guess cannot lock the account's owner out.
"""

import hashlib
import ipaddress
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from prefs.domain.roles import needs_second_factor
from prefs.errors import PrefsError, StoreUnavailable
from prefs.services import audit, second_factor
from prefs.services.kit import Kit, read_slip, write_slip
from prefs.services.passwords import Passwords
from prefs.services.staff import Team, digest, totp_context
from prefs.storage import limits, staff
from prefs.storage.staff import SessionRow, StaffUser

IDLE, ABSOLUTE, PROOF_GOOD_FOR = timedelta(minutes=30), timedelta(hours=12), timedelta(minutes=10)
KNOWN_BROWSER_FOR = timedelta(days=90)
PASSWORD, ENROL, FULL = "password", "enrol", "full"

_WITHIN = timedelta(minutes=15)
_PER_CLIENT_AND_ACCOUNT, _PER_CLIENT, _PER_ACCOUNT, _PER_CODE = 5, 30, 20, 5
_NOTED_EVERY = timedelta(minutes=1)


class SignInRefused(PrefsError):
    """Address, password or code do not fit; the same words whichever it was."""

    code = "sign_in_refused"


class TooManyTries(PrefsError):
    """Too many tries in a short time, by this client or for this account."""

    code = "too_many_tries"


@dataclass(frozen=True, slots=True)
class Session:
    """Who is signed in, and how far: only ``full`` opens the console."""

    user: StaffUser
    row: SessionRow

    @property
    def stage(self) -> str:
        """``password``, ``enrol`` or ``full``."""
        return self.row.stage


@dataclass(frozen=True, slots=True)
class Opened:
    """A new session: the token for the cookie, and the next step."""

    token: str
    stage: str
    user: StaffUser


@dataclass(frozen=True, slots=True)
class Sessions:
    """The use cases of the sign-in pages."""

    kit: Kit
    passwords: Passwords
    team: Team

    def sign_in(self, email: str, password: str, *, client: str, browser: str | None = None) -> Opened:
        """Check a password and open a session at its first step.

        Raises:
            TooManyTries: Not even compared.
            SignInRefused: Anything does not fit; says not what, and takes as long either way.
            StoreUnavailable: Nobody can sign in just now.
        """
        account = email.strip().casefold()[:254]
        buckets = self._buckets(account, client, browser)
        self._count(buckets)
        with self.kit.store.read() as connection:
            user = staff.user_by_email(connection, account)
        fits = self.passwords.matches(user.password_hash if user else None, password)
        if user is None or not fits or user.disabled_at:
            self._refused(user, "password")
            raise SignInRefused("The address or the password is not right.")
        with self.kit.store.write() as connection:
            self._uncount(connection, buckets)
            return self._open(connection, user, self._first_stage(user), by_oidc=False)

    def prove_code(self, session: Session, code: str) -> Opened:
        """Check a one-time or recovery code, and open the console.

        Raises:
            TooManyTries: Not even compared.
            SignInRefused: The code does not fit, or was used.
        """
        buckets = {f"code:{session.user.id}": _PER_CODE}
        self._count(buckets)
        with self.kit.store.write() as connection:
            fits = self._code_fits(connection, session.user, code)
            if fits:
                self._uncount(connection, buckets)
                staff.end_session(connection, session.row.digest)
                return self._open(connection, session.user, FULL, by_oidc=session.row.by_oidc)
        self._refused(session.user, "code")
        raise SignInRefused("This code is not right, or was used. Wait for the next one.")

    def begin_enrolment(self, session: Session) -> str:
        """Return the secret of the second factor that is being set up; the same one until it is done."""
        context = b"draft:" + session.row.digest
        if session.row.draft:
            return self.kit.vault.open_text(session.row.draft, context=context)
        secret = second_factor.new_secret()
        with self.kit.store.write() as connection:
            sealed = self.kit.vault.seal_text(secret, context=context)
            staff.touch_session(connection, session.row.digest, draft=sealed)
        return secret

    def finish_enrolment(self, session: Session, code: str) -> tuple[Opened, list[str]]:
        """Take the second factor into use once it gave a right code; returns a session and the recovery codes.

        Raises:
            TooManyTries, SignInRefused: As ``prove_code`` does.
        """
        buckets = {f"code:{session.user.id}": _PER_CODE}
        self._count(buckets)
        secret = self.begin_enrolment(session)
        step = second_factor.step_of(secret, code, self.kit.now(), after=None)
        if step is None:
            raise SignInRefused("This code is not right. Look at the app again: it changes every 30 seconds.")
        with self.kit.store.write() as connection:
            self._uncount(connection, buckets)
            codes = self.team.enrol(connection, session.user, secret, step)
            return self._open(connection, session.user, FULL, by_oidc=session.row.by_oidc), codes

    def open_for(self, user: StaffUser, *, by_oidc: bool = False) -> Opened:
        """Open a full session for somebody who was recognised otherwise: by single sign-on."""
        with self.kit.store.write() as connection:
            return self._open(connection, user, FULL, by_oidc=by_oidc)

    def confirm(self, session: Session, password: str) -> None:
        """Take a password again before a dangerous act (item 24).

        Raises:
            TooManyTries, SignInRefused: As ``sign_in`` does.
        """
        buckets = {f"confirm:{session.user.id}": _PER_CODE}
        self._count(buckets)
        if not self.passwords.matches(session.user.password_hash, password):
            self._refused(session.user, "confirm")
            raise SignInRefused("This is not your password.")
        with self.kit.store.write() as connection:
            self._uncount(connection, buckets)
            self.mark_proved(connection, session)

    def mark_proved(self, connection: Connection, session: Session) -> None:
        """Note that the person has just proven who they are."""
        now = self.kit.now()
        staff.touch_session(connection, session.row.digest, proved_at=now)
        audit.note(connection, now, session.user.actor, "identity_confirmed")

    def is_fresh(self, session: Session) -> bool:
        """True where the person proved who they are in the last ten minutes."""
        return self.kit.now() - session.row.proved_at < PROOF_GOOD_FOR

    def check(self, token: str | None) -> Session | None:
        """Return the live session behind a cookie, or None.

        Raises:
            StoreUnavailable: It cannot be told.
        """
        if not token:
            return None
        now = self.kit.now()
        with self.kit.store.read() as connection:
            found = staff.session(connection, digest(token))
        if found is None:
            return None
        row, user = found
        if user.disabled_at or now - row.seen_at >= IDLE or now - row.began_at >= ABSOLUTE:
            return None
        if now - row.seen_at >= _NOTED_EVERY:
            self._touch(row, now)
        return Session(user, row)

    def sign_out(self, session: Session) -> None:
        """End this session."""
        with self.kit.store.write() as connection:
            staff.end_session(connection, session.row.digest)
            audit.note(connection, self.kit.now(), session.user.actor, "signed_out")

    def browser_mark(self, user: StaffUser) -> str:
        """Return what a browser keeps to be known for this account; it opens nothing."""
        return write_slip(self.kit, "browser", {"user": user.id}, good_for=KNOWN_BROWSER_FOR)

    def _touch(self, row: SessionRow, now: datetime) -> None:
        try:
            with self.kit.store.write() as connection:
                staff.touch_session(connection, row.digest, seen_at=now)
        except StoreUnavailable:
            return  # looking goes on while the database takes no changes

    def _first_stage(self, user: StaffUser) -> str:
        if user.totp:
            return PASSWORD
        spared = user.mfa_exempt and self.team.development
        return ENROL if needs_second_factor(user.role) and not spared else FULL

    def _open(self, connection: Connection, user: StaffUser, stage: str, *, by_oidc: bool) -> Opened:
        token, now = secrets.token_urlsafe(32), self.kit.now()
        times = {"began_at": now, "seen_at": now, "proved_at": now}
        values = {"digest": digest(token), "user_id": user.id, "stage": stage, "by_oidc": by_oidc, **times}
        staff.add_session(connection, values)
        if stage == FULL:
            staff.change_user(connection, user.id, signed_in_at=now)
            audit.note(connection, now, user.actor, "signed_in", single_sign_on=by_oidc)
        return Opened(token, stage, user)

    def _code_fits(self, connection: Connection, user: StaffUser, code: str) -> bool:
        if user.totp is None:
            return False
        secret = self.kit.vault.open_text(user.totp, context=totp_context(user.id))
        step = second_factor.step_of(secret, code, self.kit.now(), after=user.totp_used)
        if step is not None:
            return staff.use_step(connection, user.id, step)
        if not staff.use_recovery_code(connection, user.id, second_factor.digest(code)):
            return False
        audit.note(connection, self.kit.now(), user.actor, "recovery_code_used")
        return True

    def _refused(self, user: StaffUser | None, step: str) -> None:
        with self.kit.store.write() as connection:
            if user is not None:
                audit.note(connection, self.kit.now(), user.actor, "sign_in_refused", step=step)
            else:
                # A name nobody has is not noted, people type passwords there; the write takes as long.
                limits.take(connection, "signin:nobody", most=0, within=_WITHIN, now=self.kit.now())

    def _buckets(self, account: str, client: str, browser: str | None) -> dict[str, int]:
        who = hashlib.sha256(account.encode()).hexdigest()[:24]
        place = _network(client)
        own = self._is_known_browser(account, browser)
        return {
            f"signin:pair:{place}:{who}": _PER_CLIENT_AND_ACCOUNT,
            f"signin:client:{place}": _PER_CLIENT,
            f"signin:{'own' if own else 'account'}:{who}": _PER_ACCOUNT,
        }

    def _is_known_browser(self, account: str, browser: str | None) -> bool:
        known = read_slip(self.kit, "browser", browser) if browser else None
        if known is None:
            return False
        with self.kit.store.read() as connection:
            user = staff.user(connection, known["user"])
        return user is not None and user.email == account

    def _count(self, buckets: dict[str, int]) -> None:
        with self.kit.store.write() as connection:
            taken = [
                limits.take(connection, name, most=most, within=_WITHIN, now=self.kit.now())
                for name, most in buckets.items()
            ]
        if not all(taken):
            raise TooManyTries("Too many tries. Wait 15 minutes, then try again.")

    def _uncount(self, connection: Connection, buckets: dict[str, int]) -> None:
        for name in buckets:
            limits.give_back(connection, name, within=_WITHIN, now=self.kit.now())


def _network(client: str) -> str:
    """Return whom tries are counted for: an IPv4 address, or the /64 an IPv6 client moves in at will."""
    try:
        found = ipaddress.ip_address(client)
    except ValueError:
        return "unknown"
    return str(found) if found.version == 4 else str(ipaddress.ip_network(f"{found}/64", strict=False))

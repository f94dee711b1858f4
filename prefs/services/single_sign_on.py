"""Single sign-on: whom the organisation's identity provider vouches for, and with what role.

The provider decides who comes in and, by group, with what role, at every sign-in; nobody is
matched to an existing account by address alone unless the provider verified the address.
"""

from dataclasses import dataclass

from prefs.domain.roles import Role
from prefs.errors import PrefsError
from prefs.providers.oidc import Begun, Identity, OidcClient
from prefs.services import audit
from prefs.services.kit import Kit
from prefs.services.sessions import Opened, Session, Sessions, SignInRefused
from prefs.services.staff import Team
from prefs.storage import staff
from prefs.storage.staff import StaffUser

# The strongest first: somebody in two groups gets the first of these.
_ORDER = (Role.ADMIN, Role.PRIVACY, Role.MARKETING, Role.ENGINEER)


class NotVouchedFor(PrefsError):
    """The identity provider knows the person, and no group of theirs has a role here."""

    code = "not_vouched_for"


@dataclass(frozen=True, slots=True)
class SingleSignOn:
    """The use cases behind "Sign in with your organisation's account"; ``roles`` maps group to role."""

    kit: Kit
    client: OidcClient
    sessions: Sessions
    team: Team
    roles: dict[str, Role]

    def begin(self, *, again: bool = False) -> Begun:
        """Return where to send the browser. Raises ``ProviderError``."""
        return self.client.begin(again=again)

    def finish(self, begun: Begun, *, code: str) -> Opened:
        """Let in whom the provider vouches for, with the role their groups give.

        Raises:
            ProviderError: The provider's answer cannot be trusted.
            NotVouchedFor: No group of theirs has a role here, or they gave no verified address.
            SignInRefused: They are disabled here.
        """
        identity = self.client.finish(begun, code=code)
        return self.sessions.open_for(self._user(identity), by_oidc=True)

    def confirm(self, session: Session, begun: Begun, *, code: str) -> None:
        """Take a fresh proof from the provider before a dangerous act (item 24).

        Raises:
            ProviderError: As ``finish`` does.
            SignInRefused: It was somebody else, or the proof is not fresh.
        """
        identity = self.client.finish(begun, code=code)
        signed_in = identity.signed_in_at
        fresh = signed_in is not None and self.kit.now().timestamp() - signed_in < 300
        if identity.subject != session.user.oidc_subject or not fresh:
            raise SignInRefused("That was somebody else, or not a fresh proof. Try again.")
        with self.kit.store.write() as connection:
            self.sessions.mark_proved(connection, session)

    def _user(self, identity: Identity) -> StaffUser:
        role = next((role for role in _ORDER if any(self.roles.get(g) is role for g in identity.groups)), None)
        if role is None:
            raise NotVouchedFor("Your organisation’s account has no role here. Ask an admin of your team.")
        with self.kit.store.read() as connection:
            found = staff.user_by_oidc(connection, identity.subject)
            if found is None and identity.email:
                found = staff.user_by_email(connection, identity.email.casefold())
        if found is None:
            found = self._create(identity, role)
        if found.disabled_at:
            raise SignInRefused("You cannot sign in here any more. Ask an admin of your team.")
        self._bring_up_to_date(found, identity, role)
        return self.team.user(found.id)

    def _create(self, identity: Identity, role: Role) -> StaffUser:
        if identity.email is None:
            raise NotVouchedFor("Your organisation’s account has no verified email address.")
        return self.team.create(identity.email, role, by="oidc")

    def _bring_up_to_date(self, user: StaffUser, identity: Identity, role: Role) -> None:
        if user.oidc_subject == identity.subject and user.role is role:
            return
        with self.kit.store.write() as connection:
            staff.change_user(connection, user.id, oidc_subject=identity.subject, role=role)
            staff.end_sessions(connection, user.id)
            detail = {"old": user.role, "new": role}
            audit.note(connection, self.kit.now(), "oidc", "user_role_changed", user.actor, **detail)

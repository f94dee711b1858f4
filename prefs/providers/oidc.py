"""Single sign-on by OpenID Connect: the authorisation code flow with PKCE, state and nonce.

Needs the extra ``oidc``. The provider's own metadata says where everything is; its ID token is
checked by signature, issuer, audience, expiry and nonce (OpenID Connect Core 3.1.3.7).
"""

import logging
import secrets
import time
from dataclasses import dataclass, field
from typing import Any

from prefs.errors import ProviderError, SettingsError

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 10
_LEEWAY_SECONDS = 60
_METADATA_FRESH_SECONDS = 600
_ALGORITHMS = ["RS256", "PS256", "ES256", "EdDSA"]


@dataclass(frozen=True, slots=True)
class Begun:
    """A sign-in on its way: where to send the browser, and what to remember until it is back."""

    url: str
    state: str
    nonce: str
    verifier: str


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom the identity provider says somebody is."""

    subject: str
    email: str | None
    groups: frozenset[str]
    signed_in_at: int | None


@dataclass
class OidcClient:
    """Talks to one identity provider; ``redirect_uri`` is registered there."""

    issuer: str
    client_id: str
    client_secret: str
    redirect_uri: str
    groups_claim: str = "groups"
    _metadata: tuple[float, dict[str, Any], Any] | None = field(default=None, repr=False)

    def begin(self, *, again: bool = False) -> Begun:
        """Return where to send the browser; ``again`` asks the person to prove themselves afresh.

        Raises:
            ProviderError: The identity provider does not answer.
            SettingsError: The extra ``oidc`` is not installed.
        """
        metadata, _ = self._known()
        verifier = secrets.token_urlsafe(48)
        more = {"prompt": "login", "max_age": "0"} if again else {}
        url, state = self._session().create_authorization_url(
            metadata["authorization_endpoint"],
            code_verifier=verifier,
            nonce=(nonce := secrets.token_urlsafe(24)),
            **more,
        )
        return Begun(url, state, nonce, verifier)

    def finish(self, begun: Begun, *, code: str) -> Identity:
        """Exchange the code for an ID token, check it, and return who it is.

        Raises:
            ProviderError: The exchange failed, or the token is not what it should be.
        """
        metadata, keys = self._known()
        session = self._session()
        try:
            token = session.fetch_token(
                metadata["token_endpoint"],
                code=code,
                grant_type="authorization_code",
                code_verifier=begun.verifier,
                timeout=TIMEOUT_SECONDS,
            )
        except Exception as error:
            # The library raises a family of its own, and the HTTP client another; both mean the same here.
            log.warning("oidc_exchange_failed", extra={"error": type(error).__name__})
            raise ProviderError("The identity provider did not accept the sign-in.", permanent=True) from error
        return self._identity(token.get("id_token", ""), keys, begun.nonce)

    def _identity(self, token: str, keys: Any, nonce: str) -> Identity:
        from joserfc import jwt  # noqa: PLC0415  only where single sign-on is configured
        from joserfc.errors import JoseError  # noqa: PLC0415

        exact: dict[str, Any] = {"iss": {"essential": True, "value": self.issuer}}
        exact |= {"nonce": {"essential": True, "value": nonce}, "aud": {"essential": True, "value": self.client_id}}
        exact |= {name: {"essential": True} for name in ("sub", "exp", "iat")}
        try:
            claims = jwt.decode(token, keys, algorithms=_ALGORITHMS).claims
            jwt.JWTClaimsRegistry(leeway=_LEEWAY_SECONDS, **exact).validate(claims)
        except (JoseError, ValueError, KeyError) as error:
            log.warning("oidc_token_refused", extra={"error": type(error).__name__})
            raise ProviderError("The identity provider’s answer is not one we can trust.", permanent=True) from error
        if claims.get("azp", self.client_id) != self.client_id:
            raise ProviderError("The identity provider’s answer is for somebody else.", permanent=True)
        groups = claims.get(self.groups_claim, [])
        listed = [groups] if isinstance(groups, str) else groups if isinstance(groups, list) else []
        verified = claims.get("email_verified") is True
        return Identity(
            subject=f"{self.issuer}#{claims['sub']}"[:255],
            email=str(claims["email"]) if verified and claims.get("email") else None,
            groups=frozenset(str(one) for one in listed),
            signed_in_at=claims.get("auth_time"),
        )

    def _session(self) -> Any:
        try:
            from authlib.integrations.requests_client import OAuth2Session  # noqa: PLC0415  only where it is used
        except ImportError as error:
            raise SettingsError("Single sign-on needs the extra: pip install 'prefs-center[oidc]'") from error
        return OAuth2Session(
            self.client_id,
            self.client_secret,
            scope="openid email profile",
            redirect_uri=self.redirect_uri,
            code_challenge_method="S256",
        )

    def _known(self) -> tuple[dict[str, Any], Any]:
        """Return the provider's metadata and keys, at most ten minutes old."""
        from joserfc.jwk import KeySet  # noqa: PLC0415  only where single sign-on is configured

        if self._metadata is None or time.monotonic() - self._metadata[0] > _METADATA_FRESH_SECONDS:
            metadata = self._fetch(f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
            if metadata.get("issuer") != self.issuer:
                raise ProviderError("The identity provider calls itself by another name.", permanent=True)
            keys = KeySet.import_key_set(self._fetch(metadata["jwks_uri"]))  # type: ignore[arg-type]  # plain JSON
            self._metadata = (time.monotonic(), metadata, keys)
        return self._metadata[1], self._metadata[2]

    def _fetch(self, url: str) -> dict[str, Any]:
        import requests  # noqa: PLC0415  loads only where it is used

        try:
            answer = requests.get(url, timeout=TIMEOUT_SECONDS, allow_redirects=False)
            answer.raise_for_status()
            found: dict[str, Any] = answer.json()
        except (requests.RequestException, ValueError) as error:
            raise ProviderError("The identity provider does not answer. Try again shortly.", permanent=False) from error
        return found

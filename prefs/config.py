"""Everything the environment decides: read once, at start, every problem reported at once."""

import base64
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import date
from pathlib import Path
from urllib.parse import urlsplit

from prefs.errors import SettingsError

DEVELOPMENT, PRODUCTION = "development", "production"
SECRETS_FILE = "secrets.env"
_SHORTEST_SECRET = 32
_ROLES = ("privacy", "marketing", "engineer", "admin")


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of contract section 2, typed. ``secret_keys`` is parsed by ``prefs.crypto``."""

    env: str
    data_dir: Path
    database_url: str
    base_url: str
    secret_keys: str
    address_keys: tuple[bytes, ...]
    org_name: str
    org_postal_address: str
    org_phone: str
    privacy_email: str
    privacy_notice_url: str
    inbound_mail_domain: str
    trusted_proxy_hops: int
    default_region: str
    email_transport: str
    sms_transport: str
    twilio_account_sid: str | None
    twilio_auth_tokens: tuple[str, ...]
    twilio_api_base_url: str | None
    twilio_marketing_messaging_service_sid: str | None
    twilio_transactional_messaging_service_sid: str | None
    sendgrid_api_key: str | None
    sendgrid_api_base_url: str | None
    sendgrid_webhook_public_keys: tuple[str, ...]
    sendgrid_inbound_secret: str | None
    push_suppressions: bool
    smtp_url: str | None
    revoke_all_from: date | None
    log_format: str | None
    oidc_issuer: str | None
    oidc_client_id: str | None
    oidc_client_secret: str | None
    oidc_groups_claim: str
    oidc_roles: dict[str, str]

    @property
    def is_development(self) -> bool:
        """True where made-up secrets and the local outbox are welcome."""
        return self.env == DEVELOPMENT

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "Settings":
        """Return the settings these variables make.

        Raises:
            SettingsError: One message that names every variable that cannot work, and its mend.
        """
        return _Reader(env).settings()


class _Reader:
    """Collects problems while it reads, so that the operator mends all of them in one go."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.problems: list[str] = []
        self.environment = {name: value.strip() for name, value in env.items()}
        self.mode = self.choice("PREFS_ENV", DEVELOPMENT, (DEVELOPMENT, PRODUCTION))
        self.data_dir = Path(self.text("PREFS_DATA_DIR", "./var")).absolute()
        self.stored = development_secrets(self.data_dir) if self.mode == DEVELOPMENT else {}

    def settings(self) -> Settings:
        database = self.text("DATABASE_URL", f"sqlite:///{self.data_dir / 'prefs.db'}")
        found = Settings(
            env=self.mode,
            data_dir=self.data_dir,
            database_url=self.parsed("DATABASE_URL", database, _database_url),
            base_url=self.parsed("PREFS_BASE_URL", self.text("PREFS_BASE_URL", "http://127.0.0.1:8080"), _origin),
            secret_keys=self.secret("PREFS_SECRET_KEYS", _new_secret_key, _check_secret_keys),
            address_keys=self.address_keys(),
            org_name=self.text("PREFS_ORG_NAME", "Northwind Imaging"),
            org_postal_address=self.text("PREFS_ORG_POSTAL_ADDRESS", "1 Sample Street, Sampletown"),
            org_phone=self.text("PREFS_ORG_PHONE", "555 0100"),
            privacy_email=self.text("PREFS_PRIVACY_EMAIL", "privacy@northwind.example"),
            privacy_notice_url=self.text("PREFS_PRIVACY_NOTICE_URL", "https://northwind.example/privacy"),
            inbound_mail_domain=self.text("PREFS_INBOUND_MAIL_DOMAIN", "u.northwind.example"),
            trusted_proxy_hops=self.number("PREFS_TRUSTED_PROXY_HOPS", 0),
            default_region=self.text("PREFS_DEFAULT_REGION", "US").upper(),
            email_transport=self.choice("PREFS_EMAIL_TRANSPORT", "outbox", ("outbox", "smtp", "sendgrid")),
            sms_transport=self.choice("PREFS_SMS_TRANSPORT", "outbox", ("outbox", "twilio")),
            twilio_account_sid=self.optional("TWILIO_ACCOUNT_SID"),
            twilio_auth_tokens=self.several("TWILIO_AUTH_TOKEN"),
            twilio_api_base_url=self.optional("TWILIO_API_BASE_URL"),
            twilio_marketing_messaging_service_sid=self.optional("TWILIO_MARKETING_MESSAGING_SERVICE_SID"),
            twilio_transactional_messaging_service_sid=self.optional("TWILIO_TRANSACTIONAL_MESSAGING_SERVICE_SID"),
            sendgrid_api_key=self.optional("SENDGRID_API_KEY"),
            sendgrid_api_base_url=self.optional("SENDGRID_API_BASE_URL"),
            sendgrid_webhook_public_keys=self.several("SENDGRID_WEBHOOK_PUBLIC_KEY"),
            sendgrid_inbound_secret=self.optional("SENDGRID_INBOUND_SECRET"),
            push_suppressions=self.choice("PREFS_PUSH_SUPPRESSIONS", "off", ("off", "on")) == "on",
            smtp_url=self.optional("SMTP_URL"),
            revoke_all_from=self.day("PREFS_REVOKE_ALL_FROM"),
            log_format=self.choice("PREFS_LOG_FORMAT", "", ("", "console", "json")) or None,
            oidc_issuer=self.optional("PREFS_OIDC_ISSUER"),
            oidc_client_id=self.optional("PREFS_OIDC_CLIENT_ID"),
            oidc_client_secret=self.optional("PREFS_OIDC_CLIENT_SECRET"),
            oidc_groups_claim=self.text("PREFS_OIDC_GROUPS_CLAIM", "groups"),
            oidc_roles=self.roles("PREFS_OIDC_ROLES"),
        )
        self.check_oidc(found)
        self.check_transports(found)
        if not found.is_development:
            self.check_production(found)
        if self.problems:
            raise SettingsError("These settings cannot work:\n" + "\n".join(f"  - {one}" for one in self.problems))
        return found

    def text(self, name: str, default: str) -> str:
        return self.environment.get(name) or self.stored_value(name) or default

    def stored_value(self, name: str) -> str | None:
        return getattr(self, "stored", {}).get(name)

    def optional(self, name: str) -> str | None:
        return self.text(name, "") or None

    def several(self, name: str) -> tuple[str, ...]:
        return tuple(part.strip() for part in self.text(name, "").split(",") if part.strip())

    def choice(self, name: str, default: str, words: tuple[str, ...]) -> str:
        value = self.text(name, default)
        if value not in words:
            self.problems.append(f"{name} is `{value}`; use one of: {', '.join(word for word in words if word)}.")
            return default
        return value

    def number(self, name: str, default: int) -> int:
        value = self.text(name, str(default))
        if not (value.isascii() and value.isdigit()):
            self.problems.append(f"{name} is `{value}`; use a whole number.")
            return default
        return int(value)

    def day(self, name: str) -> date | None:
        value = self.text(name, "")
        try:
            return date.fromisoformat(value) if value else None
        except ValueError:
            self.problems.append(f"{name} is `{value}`; use a date like 2027-01-31, or leave it unset.")
            return None

    def parsed(self, name: str, value: str, parse: Callable[[str], str]) -> str:
        try:
            return parse(value)
        except ValueError as error:
            self.problems.append(f"{name}: {error}")
            return value

    def secret(self, name: str, make: Callable[[], str], check: Callable[[str], None]) -> str:
        """Return a secret from the environment; development makes one and keeps it."""
        value = self.environment.get(name) or self.stored_value(name)
        if not value and self.mode == DEVELOPMENT:
            value = write_development_secrets(self.data_dir, {name: make()})[name]
        if not value:
            self.problems.append(f"{name} is missing. Make one with: prefs doctor --new-secrets")
            return ""
        try:
            check(value)
        except (SettingsError, ValueError) as error:
            self.problems.append(f"{name}: {str(error).removeprefix(name + ': ')}")
        return value

    def address_keys(self) -> tuple[bytes, ...]:
        text = self.secret("PREFS_ADDRESS_KEY", _new_address_key, _check_address_keys)
        try:
            return _address_keys(text)
        except ValueError:
            return ()

    def roles(self, name: str) -> dict[str, str]:
        """Return role by group of ``role=group,role=group``."""
        found: dict[str, str] = {}
        for part in self.several(name):
            role, equals, group = part.partition("=")
            if role not in _ROLES or not equals or not group:
                self.problems.append(f"{name}: write role=group with commas between; roles are {', '.join(_ROLES)}.")
                return {}
            found[group] = role
        return found

    def check_oidc(self, found: Settings) -> None:
        needed = {
            "PREFS_OIDC_CLIENT_ID": found.oidc_client_id,
            "PREFS_OIDC_CLIENT_SECRET": found.oidc_client_secret,
            "PREFS_OIDC_ROLES": found.oidc_roles,
        }
        if found.oidc_issuer:
            missing = [name for name, value in needed.items() if not value]
            self.problems += [f"{name} is missing, and PREFS_OIDC_ISSUER needs it." for name in missing]
            if not found.is_development and not found.oidc_issuer.startswith("https://"):
                self.problems.append("PREFS_OIDC_ISSUER must be an https address in production.")

    def check_transports(self, found: Settings) -> None:
        wanted: dict[str, list[tuple[str, object]]] = {
            "sendgrid": [("SENDGRID_API_KEY", found.sendgrid_api_key)],
            "smtp": [("SMTP_URL", found.smtp_url)],
            "twilio": [
                ("TWILIO_ACCOUNT_SID", found.twilio_account_sid),
                ("TWILIO_AUTH_TOKEN", found.twilio_auth_tokens),
            ],
        }
        for transport in (found.email_transport, found.sms_transport):
            missing = [name for name, value in wanted.get(transport, []) if not value]
            self.problems += [f"{name} is missing, and the transport `{transport}` needs it." for name in missing]

    def check_production(self, found: Settings) -> None:
        if not found.base_url.startswith("https://"):
            self.problems.append("PREFS_BASE_URL must be the public https address in production.")
        for name, transport in (
            ("PREFS_EMAIL_TRANSPORT", found.email_transport),
            ("PREFS_SMS_TRANSPORT", found.sms_transport),
        ):
            # Texts are optional: without them there is no Twilio account to name.
            if transport == "outbox" and (name == "PREFS_EMAIL_TRANSPORT" or found.twilio_account_sid):
                self.problems.append(f"{name} is `outbox`, which sends nothing. Name a real transport.")
        if found.email_transport == "sendgrid" and not found.sendgrid_webhook_public_keys:
            self.problems.append(
                "SENDGRID_WEBHOOK_PUBLIC_KEY is missing: unsubscribes made at SendGrid would not reach us. "
                "Copy it from the Event Webhook's settings page."
            )


def _database_url(value: str) -> str:
    if value.startswith("postgresql://"):
        return value.replace("postgresql://", "postgresql+psycopg://", 1)
    if not value.startswith(("sqlite:///", "postgresql+psycopg://")):
        raise ValueError("use sqlite:///PATH or postgresql+psycopg://USER:PASSWORD@HOST/DATABASE.")
    return value


def _origin(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path.strip("/") or parts.query:
        raise ValueError("use the public origin alone, like https://prefs.example.com.")
    return f"{parts.scheme}://{parts.netloc}"


def _new_secret_key() -> str:
    return f"dev1:{base64.b64encode(secrets.token_bytes(_SHORTEST_SECRET)).decode()}"


def _new_address_key() -> str:
    return base64.b64encode(secrets.token_bytes(_SHORTEST_SECRET)).decode()


def new_secrets() -> dict[str, str]:
    """Return fresh values for a production environment file."""
    return {
        "PREFS_SECRET_KEYS": f"k1:{base64.b64encode(secrets.token_bytes(_SHORTEST_SECRET)).decode()}",
        "PREFS_ADDRESS_KEY": _new_address_key(),
    }


def _check_secret_keys(value: str) -> None:
    from prefs.crypto import parse_secret_keys  # noqa: PLC0415  crypto loads slowly and imports nothing from here

    parse_secret_keys(value)


def _check_address_keys(value: str) -> None:
    _address_keys(value)


def _address_keys(value: str) -> tuple[bytes, ...]:
    keys = tuple(base64.b64decode(part.strip(), validate=True) for part in value.split(",") if part.strip())
    if not keys or any(len(key) < _SHORTEST_SECRET for key in keys):
        raise ValueError("use base64 of at least 32 random bytes; several with commas, the first one writes.")
    return keys


def development_secrets(data_dir: Path) -> dict[str, str]:
    """Return what development made up for itself earlier; empty at first."""
    path = data_dir / SECRETS_FILE
    return read_dotenv(path) if path.exists() else {}


def write_development_secrets(data_dir: Path, values: Mapping[str, str]) -> dict[str, str]:
    """Add secrets that are not there yet, mode 0600, and return all there are.

    Two processes may start at once: each writes a file of its own and links it into place, and
    the one that comes second reads the first one's.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    path = data_dir / SECRETS_FILE
    lock = data_dir / f".{SECRETS_FILE}.lock"
    handle = os.open(lock, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        import fcntl  # noqa: PLC0415  absent on Windows, where only one process starts

        fcntl.flock(handle, fcntl.LOCK_EX)
        merged = {**values, **development_secrets(data_dir)}
        fresh = path.with_suffix(f".{os.getpid()}")
        descriptor = os.open(fresh, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write("# Made up for development; never use these anywhere else.\n")
            file.writelines(f"{name}={value}\n" for name, value in merged.items())
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    finally:
        os.close(handle)
    return merged


def read_dotenv(path: Path) -> dict[str, str]:
    """Return the ``NAME=value`` lines of a file; comments and surrounding quotes are left out."""
    found: dict[str, str] = {}
    for line in path.read_text().splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and not name.startswith("#"):
            found[name.removeprefix("export ").strip()] = value.strip().strip("\"'")
    return found


_SECRET_FIELDS = {
    "secret_keys",
    "address_keys",
    "twilio_auth_tokens",
    "sendgrid_api_key",
    "sendgrid_inbound_secret",
    "oidc_client_secret",
}


def effective(settings: Settings) -> list[tuple[str, str]]:
    """Return each setting and what it is now, secrets hidden, for ``prefs doctor``."""
    shown = []
    for one in fields(settings):
        name, value = one.name, getattr(settings, one.name)
        hidden = name in _SECRET_FIELDS or (name in {"database_url", "smtp_url"} and value and "@" in value)
        shown.append((name, "(set)" if hidden and value else "(unset)" if not value else str(value)))
    return shown

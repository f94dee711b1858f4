"""A signed statement of what a scrub did, checked years later without the database.

HMAC-SHA-256 under a key derived from ``PREFS_SECRET_KEYS`` (contract D29): whoever holds the
keys can check it, nobody else can make one.
"""

import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefs.crypto import Keyring
from prefs.errors import InvalidInput
from prefs.services.audience import digest

_PURPOSE = "scrub-certificate"
FORMAT = "prefs scrub certificate 1"


@dataclass(frozen=True, slots=True)
class Checked:
    """What a certificate says, and for each file it names: ``same``, ``changed`` or ``missing``."""

    says: Mapping[str, Any]
    files: Mapping[str, str]

    @property
    def holds(self) -> bool:
        """True where the kept rows are there and no file that is there is another than the certificate speaks of."""
        return self.files.get("kept") == "same" and "changed" not in self.files.values()


@dataclass(frozen=True, slots=True)
class Certificates:
    """Signs and checks certificates."""

    ring: Keyring

    def sign(self, says: Mapping[str, Any]) -> dict[str, Any]:
        """Return the certificate: what it says, which key signed, and the signature."""
        body = {"format": FORMAT, **says}
        kid = self.ring.first.kid
        return {**body, "key": kid, "signature": self._signature(body, kid)}

    def check(self, path: Path) -> Checked:
        """Return what a certificate file says, its files looked for beside it.

        Raises:
            InvalidInput: It is no certificate, was not signed by us, or was changed.
        """
        try:
            found = dict(json.loads(path.read_text()))
            signature, kid = str(found.pop("signature")), str(found.pop("key"))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InvalidInput("This is not a certificate.", field="certificate", code="no_certificate") from error
        known = any(key.kid == kid for key in self.ring.keys)
        if not known or not hmac.compare_digest(self._signature(found, kid).encode(), _bytes(signature)):
            raise InvalidInput(
                "We did not sign this certificate, or it was changed.", field="certificate", code="bad_signature"
            )
        return Checked(found, {part: _compared(path.parent, file) for part, file in found["files"].items()})

    def _signature(self, body: Mapping[str, Any], kid: str) -> str:
        text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hmac.digest(self.ring.derive(_PURPOSE, kid), _bytes(text), "sha256").hex()


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")  # JSON from elsewhere may hold halves of letters


def _compared(folder: Path, file: Mapping[str, Any]) -> str:
    path = folder / Path(str(file["name"])).name
    if not path.is_file():
        return "missing"
    return "same" if digest(path)[0] == file["sha256"] else "changed"

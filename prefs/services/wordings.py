"""The words of pages, by version, so that evidence can show what somebody read (rules.md G-7)."""

import hashlib
import json
import logging
from dataclasses import dataclass, field

from prefs.errors import NotFound, StoreUnavailable
from prefs.storage import wordings
from prefs.storage.base import Store
from prefs.storage.wordings import Version

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wording:
    """Every text of a page in one language; ``version`` changes with any of them."""

    page: str
    language: str
    texts: tuple[str, ...]

    @property
    def version(self) -> str:
        """Sixteen hexadecimal digits of the SHA-256 over page, language and texts."""
        body = json.dumps([self.page, self.language, *self.texts], ensure_ascii=False)
        return hashlib.sha256(body.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Wordings:
    """Keeps each version once; what this process kept already is not asked again."""

    store: Store
    _kept: set[str] = field(default_factory=set)

    def keep(self, shown: Wording) -> None:
        """Store a version. An outage is no reason to fail what the page did: the next act tries again."""
        version = shown.version
        if version in self._kept:
            return
        try:
            with self.store.write() as connection:
                wordings.keep(
                    connection,
                    version,
                    page=shown.page,
                    language=shown.language,
                    texts=list(shown.texts),
                    now=self.store.now(),
                )
        except StoreUnavailable:
            log.warning("wording_not_kept", extra={"page": shown.page})
            return
        self._kept.add(version)

    def read(self, version: str) -> list[str] | None:
        """Return the texts of a version, or None."""
        with self.store.read() as connection:
            return wordings.read(connection, version)

    def versions(self) -> list[Version]:
        """Return every version that people acted on, by page, newest first."""
        with self.store.read() as connection:
            return wordings.versions(connection)

    def version(self, version: str) -> Version:
        """Return one version with its texts. Raises ``NotFound``."""
        with self.store.read() as connection:
            found = wordings.versions(connection, version)
        if not found:
            raise NotFound("No page was shown in this version.")
        return found[0]

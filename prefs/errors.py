"""The exception tree. Messages say the mend and never hold an address, token or secret.

::

    PrefsError                 code, message
    ├── InvalidInput           422  the caller can fix it; field is a dotted path
    │   ├── InvalidAddress
    │   └── UnknownTopic
    ├── NotFound               404
    ├── InvalidLink            404  bad or foreign token
    ├── NotAuthentic           403  webhook signature
    ├── NotAllowed             403  a key without the scope this needs
    ├── Conflict               409
    ├── StoreUnavailable       503  the database cannot take or give facts just now
    └── ProviderError          502  permanent: bool

A blocked message is a ``Decision``, not an exception.
"""


class PrefsError(Exception):
    """Base of everything this package raises on purpose.

    ``code`` is a stable machine word; ``str(error)`` is a sentence for a person.
    """

    code = "error"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code


class InvalidInput(PrefsError):
    """A value the caller can fix; ``field`` is its dotted path (contract D28)."""

    code = "invalid"

    def __init__(self, message: str, *, field: str = "", code: str | None = None) -> None:
        super().__init__(message, code=code)
        self.field = field


class InvalidAddress(InvalidInput):
    """Text that cannot be an address of the named kind; ``code`` names the problem."""

    code = "invalid_address"


class UnknownTopic(InvalidInput):
    """A topic, brand, sender or scope the catalogue does not have."""

    code = "unknown_topic"


class NotFound(PrefsError):
    """Nothing under that id."""

    code = "not_found"


class InvalidLink(PrefsError):
    """A token that was not made by us, or was made for something else."""

    code = "invalid_link"


class NotAuthentic(PrefsError):
    """A webhook whose signature is missing, wrong or unreadable, or not configured."""

    code = "not_authentic"


class NotAllowed(PrefsError):
    """The caller is known and may not do this."""

    code = "forbidden"


class Conflict(PrefsError):
    """The request cannot be carried out as things stand now."""

    code = "conflict"


class StoreUnavailable(PrefsError):
    """The database could not be reached, is full, or kept us waiting too long."""

    code = "unavailable"


class ProviderError(PrefsError):
    """A provider refused a message or did not answer.

    ``permanent`` says that trying again cannot help; ``unknown`` that the message may have
    gone out all the same; ``provider_code`` is the provider's own word for it.
    """

    code = "provider_error"

    def __init__(
        self, message: str, *, permanent: bool, unknown: bool = False, provider_code: str | None = None
    ) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.unknown = unknown
        self.provider_code = provider_code


class SettingsError(PrefsError):
    """Settings that cannot work; the message lists every problem at once."""

    code = "settings"

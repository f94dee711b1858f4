"""Reading JSON that may not be what it should be: exact types, or ``OddAnswer``."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any, NoReturn, TypeVar

from prefs.client.errors import OddAnswer

T = TypeVar("T")


class Fields:
    """A JSON object whose fields are taken by type. Unknown fields are left alone, so that the API can grow."""

    __slots__ = ("_found",)

    def __init__(self, found: object) -> None:
        if not isinstance(found, dict):
            raise OddAnswer("The answer is not the JSON object it should be.")
        self._found: dict[str, Any] = found

    def truth(self, name: str, *, absent: bool | None = None) -> bool:
        """Return a true or false; nothing else passes for one."""
        if absent is not None and name not in self._found:
            return absent
        return self._exactly(name, bool)

    def text(self, name: str) -> str:
        """Return a text that must be there."""
        return self._exactly(name, str)

    def maybe_text(self, name: str) -> str | None:
        """Return a text, or None where it is null or missing."""
        return None if self._found.get(name) is None else self.text(name)

    def number(self, name: str) -> int:
        """Return a whole number; ``true`` is none."""
        return self._exactly(name, int)

    def moment(self, name: str) -> datetime:
        """Return a time with its zone."""
        try:
            found = datetime.fromisoformat(self.text(name))
        except ValueError:
            _wrong(name)
        return found if found.tzinfo else _wrong(name)

    def maybe_moment(self, name: str) -> datetime | None:
        """Return a time, or None where it is null or missing."""
        return None if self._found.get(name) is None else self.moment(name)

    def within(self, name: str) -> "Fields":
        """Return an object inside this one."""
        return Fields(self._found.get(name))

    def maybe(self, name: str, read: "Callable[[Fields], T]") -> T | None:
        """Return an object inside this one, read, or None where it is null or missing."""
        return None if self._found.get(name) is None else read(self.within(name))

    def each(self, name: str, read: "Callable[[Fields], T]", *, absent: bool = False) -> tuple[T, ...]:
        """Return a list of objects, read; ``absent`` lets it be missing."""
        if absent and name not in self._found:
            return ()
        return tuple(read(Fields(one)) for one in self._exactly(name, list))

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of texts."""
        found = self._exactly(name, list)
        return tuple(found) if all(isinstance(one, str) for one in found) else _wrong(name)

    def words(self, name: str) -> dict[str, str]:
        """Return an object whose values are all texts, empty where it is missing."""
        found = self._found.get(name, {})
        if not isinstance(found, dict) or not all(isinstance(one, str) for one in found.values()):
            _wrong(name)
        return dict(found)

    def raw(self) -> dict[str, Any]:
        """Return the object as it came."""
        return dict(self._found)

    def _exactly(self, name: str, kind: type[T]) -> T:
        found = self._found.get(name)
        return found if type(found) is kind else _wrong(name)


def read_object(body: bytes) -> Fields:
    """Return the JSON object in a body. A name twice or NaN is refused: two readers could differ about it.

    Raises:
        OddAnswer: It is no JSON object in UTF-8.
    """
    try:
        return Fields(json.loads(body.decode("utf-8"), object_pairs_hook=_object, parse_constant=_no_constant))
    except (ValueError, RecursionError) as error:
        raise OddAnswer("The answer is not JSON.") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON value")


def _wrong(name: str) -> NoReturn:
    raise OddAnswer(f"`{name}` of the answer is missing or of the wrong type.")

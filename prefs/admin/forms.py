"""Reading forms: what was typed, and what is to be fixed, as pairs of field and sentence."""

from dataclasses import dataclass, field

from flask import request

from prefs.admin.frame import say
from prefs.errors import InvalidInput

_LONGEST = 2_000


@dataclass
class Form:
    """What was sent, and the problems found in it; a template shows both (``c.error_summary``)."""

    problems: list[tuple[str, str]] = field(default_factory=list)

    def text(self, name: str, *, longest: int = _LONGEST) -> str:
        """Return one field, trimmed. A field sent twice counts once (V46)."""
        value = request.form.get(name, "").strip()
        if len(value) > longest:
            self.problem(name, say("Use %(number)s characters at most.", number=longest))
        return value[:longest]

    def secret(self, name: str) -> str:
        """Return a field exactly as typed."""
        return request.form.get(name, "")

    def chosen(self, name: str, choices: tuple[str, ...], sentence: str) -> str:
        """Return one of some choices, or note that one is missing."""
        value = request.form.get(name, "")
        if value not in choices:
            self.problem(name, sentence)
            return ""
        return value

    def several(self, name: str, choices: tuple[str, ...]) -> tuple[str, ...]:
        """Return the ticked choices, in the order of the choices; anything else is left out."""
        ticked = set(request.form.getlist(name))
        return tuple(one for one in choices if one in ticked)

    def required(self, name: str, sentence: str) -> str:
        """Return a field, and note where it is empty."""
        value = self.text(name)
        if not value:
            self.problem(name, sentence)
        return value

    def problem(self, name: str, sentence: str) -> None:
        """Note something to fix; the sentence says the mend."""
        self.problems.append((name, sentence))

    def refused(self, error: InvalidInput, name: str | None = None) -> None:
        """Note what a service refused, at its field."""
        self.problem(name or error.field, str(error))

    def __bool__(self) -> bool:
        """True where something is to be fixed."""
        return bool(self.problems)

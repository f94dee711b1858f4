"""The readable API reference at ``/v1/docs``: from the endpoints themselves and ``reference.toml``."""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from prefs.api.http import ENDPOINTS, Endpoint
from prefs.domain.reasons import STATABLE_REASONS
from prefs.domain.terms import Reason

OTHERS = "More"
_ONE_OF = re.compile(r"\^\(([a-z_|]+)\)\$")


@dataclass(frozen=True, slots=True)
class FieldLine:
    """One field of a body, in words."""

    name: str
    kind: str
    required: bool
    meaning: str


@dataclass(frozen=True, slots=True)
class Example:
    """One request with its answer; both are text that can be shown and sent."""

    path: Mapping[str, str]
    query: str
    request: str | None
    answer: str


@dataclass(frozen=True, slots=True)
class EndpointLine:
    """One endpoint as the page shows it; ``curl`` is ready to be pasted."""

    endpoint: Endpoint
    method: str
    path: str
    fields: tuple[FieldLine, ...]
    curl: str | None
    answer: str | None


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page."""

    title: str
    text: str
    lines: tuple[EndpointLine, ...]


@dataclass(frozen=True, slots=True)
class ErrorLine:
    """A code, what it means, and what to do."""

    code: str
    status: int
    means: str
    do: str


FILE_NAME = "list.csv"
"""What the file of an example is called in its request."""


@cache
def table() -> Mapping[str, Any]:
    """Return ``reference.toml``."""
    return tomllib.loads((Path(__file__).parent / "reference.toml").read_text(encoding="utf-8"))


def sections(places: Mapping[str, tuple[str, str]], base_url: str) -> list[Section]:
    """Return the page's parts, given each endpoint's method and path; none is ever left out."""
    examples = {one["name"]: one for one in table()["example"]}
    found = [
        Section(one["title"], one["text"], _lines(one["endpoints"], places, examples, base_url))
        for one in table()["section"]
    ]
    named = {name for one in table()["section"] for name in one["endpoints"]}
    rest = [name for name in ENDPOINTS if name not in named]
    return [*found, Section(OTHERS, "", _lines(rest, places, examples, base_url))] if rest else found


def errors() -> list[ErrorLine]:
    """Return every error code, by status."""
    lines = [ErrorLine(code, one["status"], one["means"], one["do"]) for code, one in table()["error"].items()]
    return sorted(lines, key=lambda line: line.status)


def fields_of(endpoint: Endpoint) -> tuple[FieldLine, ...]:
    """Return the fields of an endpoint's body, those inside lists too."""
    return tuple(_fields(endpoint.body.model_json_schema())) if endpoint.body else ()


def _lines(
    names: list[str], places: Mapping[str, tuple[str, str]], examples: Mapping[str, Any], base_url: str
) -> tuple[EndpointLine, ...]:
    return tuple(
        _line(ENDPOINTS[name], *places[name], examples.get(name), base_url) for name in names if name in places
    )


def _line(endpoint: Endpoint, method: str, path: str, example: Mapping[str, Any] | None, base_url: str) -> EndpointLine:
    curl = _curl(method, path, example, base_url) if example else None
    return EndpointLine(endpoint, method, path, fields_of(endpoint), curl, example.get("answer") if example else None)


def filled(path: str, values: Mapping[str, str]) -> str:
    """Return a path with its values in place of their names."""
    for name, value in values.items():
        path = path.replace(f"{{{name}}}", value)
    return path


def _curl(method: str, path: str, example: Mapping[str, Any], base_url: str) -> str:
    """Return a command that can be pasted into a shell where ``PREFS_KEY`` is set."""
    query = f"?{example['query']}" if "query" in example else ""
    shown = filled(path, {**example.get("path", {}), **example.get("shown", {})})
    lines = [f"curl -s '{base_url}{shown}{query}'", '-H "Authorization: Bearer $PREFS_KEY"']
    if "request" in example:
        if method != "POST":
            lines[0] = lines[0].replace("curl -s", f"curl -s -X {method}")
        lines += ["-H 'Content-Type: application/json'", f"-d '{example['request']}'"]
    if "file" in example:
        lines += [f"-F file=@{FILE_NAME}", *(f"-F {name}={value}" for name, value in example["fields"].items())]
    return " \\\n  ".join(lines)


def _fields(schema: Mapping[str, Any], prefix: str = "", kinds: Mapping[str, Any] | None = None) -> Iterator[FieldLine]:
    kinds = kinds if kinds is not None else schema.get("$defs", {})
    meanings: Mapping[str, str] = table()["field"]
    for name, given in schema.get("properties", {}).items():
        field = _resolved(given, kinds)
        place = prefix + name
        meaning = meanings.get(place) or meanings.get(name, "")
        yield FieldLine(place, _kind(field, kinds), name in schema.get("required", ()), meaning)
        inner = _resolved(field.get("items", {}), kinds)
        if "properties" in inner:
            yield from _fields(inner, f"{place}[].", kinds)


def _resolved(field: Mapping[str, Any], kinds: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a field is, behind references and "or null"."""
    if "$ref" in field:
        found: Mapping[str, Any] = kinds[field["$ref"].rpartition("/")[2]]
        return found
    if "anyOf" in field:
        return _resolved(next(one for one in field["anyOf"] if one.get("type") != "null"), kinds)
    return field


def _kind(field: Mapping[str, Any], kinds: Mapping[str, Any]) -> str:
    if "enum" in field:
        # Of the reasons there are, callers may state some (contract D13).
        return ", ".join(
            word for word in field["enum"] if set(field["enum"]) != set(Reason) or word in STATABLE_REASONS
        )
    words_of = _ONE_OF.fullmatch(str(field.get("pattern", "")))
    if words_of:
        return words_of[1].replace("|", ", ")
    if field.get("format") == "date-time":
        return "RFC 3339 time"
    if field.get("type") == "array":
        most = f", up to {field['maxItems']:,}" if "maxItems" in field else ""
        return f"list{most}"
    words = {"string": "text", "boolean": "true or false", "integer": "whole number", "object": "object"}
    return words.get(str(field.get("type")), "text")


def pretty(text: str) -> str:
    """Return JSON as it is easiest to read, and what is no JSON (a file) as it is."""
    return json.dumps(json.loads(text), indent=2, ensure_ascii=False) if text.startswith(("{", "[")) else text

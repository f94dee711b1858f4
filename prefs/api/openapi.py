"""The OpenAPI 3.1 document, made from the endpoints themselves: one source for code and docs."""

import re
from typing import Any

from flask import current_app
from pydantic.json_schema import models_json_schema

from prefs import __version__
from prefs.api.http import ENDPOINTS, Endpoint

_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {name: {"type": "string"} for name in ("field", "code", "detail")},
            },
        },
    },
}
_REFUSALS = {
    "400": "The body is malformed",
    "401": "No key, or not a live one",
    "403": "The key lacks the scope",
    "404": "Nothing under that id",
    "409": "It cannot be carried out as things stand",
    "413": "The body is too large",
    "415": "The body is not JSON",
    "422": "Some fields cannot be as they are",
    "503": "The store cannot be asked; treat it as `do not send`",
}
_METHODS = {"GET", "POST", "PUT", "PATCH"}


def document(base_url: str) -> dict[str, Any]:
    """Return the whole document for a service at ``base_url``."""
    bodies = sorted({one.body for one in ENDPOINTS.values() if one.body}, key=lambda model: model.__name__)
    _, schemas = models_json_schema(
        [(model, "validation") for model in bodies], ref_template="#/components/schemas/{model}"
    )
    return {
        "openapi": "3.1.0",
        "info": {"title": "prefs", "version": __version__, "description": "May this be sent, and why not."},
        "servers": [{"url": base_url}],
        "security": [{"key": []}],
        "paths": _paths(),
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
            "schemas": {**schemas.get("$defs", {}), "Problem": _PROBLEM},
        },
    }


def _paths() -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for rule in current_app.url_map.iter_rules():
        entry = ENDPOINTS.get(rule.endpoint.rpartition(".")[2]) if rule.endpoint.startswith("api.") else None
        if entry is None:
            continue
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
        for method in sorted((rule.methods or set()) & _METHODS):
            paths.setdefault(path, {})[method.lower()] = _operation(entry, sorted(rule.arguments))
    return paths


def _operation(entry: Endpoint, arguments: list[str]) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in arguments
    ]
    if entry.changes:
        parameters.append({"name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "maxLength": 255}})
    operation: dict[str, Any] = {
        "operationId": entry.name,
        "summary": entry.summary,
        "description": f"Needs a key with the scope `{entry.scope}`.",
        "parameters": parameters,
        "responses": {
            "2XX": {"description": entry.answer, "content": {"application/json": {"schema": {"type": "object"}}}},
            **{status: _refusal(words) for status, words in _REFUSALS.items()},
        },
    }
    if entry.body:
        reference = {"$ref": f"#/components/schemas/{entry.body.__name__}"}
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": reference}}}
    if entry.upload:
        operation["requestBody"] = {"required": True, "content": {"multipart/form-data": {"schema": _UPLOAD}}}
    return operation


_UPLOAD = {
    "type": "object",
    "required": ["file"],
    "properties": {"file": {"type": "string", "format": "binary"}},
    "additionalProperties": {"type": "string"},
}


def _refusal(words: str) -> dict[str, Any]:
    return {
        "description": words,
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }

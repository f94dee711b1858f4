"""``/v1/imports``: lists of other tools as files, imported by the worker."""

import re
from typing import Any

from prefs.api.http import Reply, Upload, caller, endpoint
from prefs.api.routes import _channel, _time, bp
from prefs.edge import MB, body_limit, services
from prefs.errors import InvalidInput, NotFound
from prefs.services.imports import ImportRequest
from prefs.storage.imports import Import

LARGEST = 1024 * MB
_FIELDS = frozenset({"channel", "format", "scope", "column", "region", "dry_run"})
_WORDS = {"true": True, "false": False, "": False}
_OPTION = re.compile(r"--(channel|format|scope|column|region)(?: (?!or\b|and\b)([a-z0-9-]+))?")


@bp.post("/imports")
@body_limit(LARGEST)
@endpoint("suppress", answer="The import's id and status", changes=True, upload=_FIELDS)
def start_import(upload: Upload) -> Reply:
    """Import a list of suppressions: read and merged by the worker, never removing, never re-subscribing."""
    given = {name: value for name, value in upload.fields.items() if value}
    dry_run, format_ = given.get("dry_run", ""), given.get("format")
    if dry_run not in _WORDS:
        raise InvalidInput("`dry_run` is `true` or `false`.", field="dry_run")
    request = ImportRequest(
        path=upload.path,
        actor=caller().id,
        channel=_channel(given["channel"]) if "channel" in given else None,
        format=None if format_ == "auto" else format_,
        scope=given.get("scope", "all"),
        column=given.get("column"),
        region=given["region"].upper() if "region" in given else None,
        dry_run=_WORDS[dry_run],
        own=True,
    )
    try:
        found = services().imports.accept(request)
    except InvalidInput as error:
        raise _in_fields(error) from error
    return Reply({"id": found.id, "status": found.status}, 202)


def _in_fields(error: InvalidInput) -> InvalidInput:
    """Return a refusal with the fields of a request for the options of the command."""

    def field(option: re.Match[str]) -> str:
        name, value = option.groups()
        return f"`{name}={value}`" if value else f"`{name}`"

    return InvalidInput(_OPTION.sub(field, str(error)), field=error.field, code=error.code)


@bp.get("/imports/<number>")
@endpoint("suppress", answer="The import: status, counts, what a dry run would change, a link to the rejected rows")
def read_import(number: str) -> Reply:
    """How far an import is, and what it did."""
    return Reply(_import(_found(number)))


@bp.get("/imports/<number>/rejects")
@endpoint("suppress", answer="The rejected rows as CSV: the caller's columns, what is wrong, how to fix it")
def read_rejects(number: str) -> Reply:
    """The rows that could not be imported, for a day."""
    path = services().imports.rejects(_found(number).id)
    if path is None:
        raise NotFound("No row was refused, or the rows were kept for a day and are gone.")
    return Reply(file=path)


def _found(number: str) -> Import:
    """Return an import of stops that the calling key started; an ``admin`` key sees all.

    What people agreed to is the console's alone (contract D31). Raises ``NotFound``.
    """
    found, key = services().imports.view(number), caller()
    if found.are_consents or (found.actor != key.id and "admin" not in key.scopes):
        raise NotFound("There is no import with this id.")
    return found


def _import(found: Import) -> dict[str, Any]:
    kept = services().imports.rejects(found.id)
    return {
        "id": found.id,
        "status": found.status,
        "format": found.format,
        "dry_run": found.dry_run,
        "uploaded_at": _time(found.uploaded_at),
        "finished_at": _time(found.finished_at),
        "progress": round(found.next_part / found.parts, 3) if found.parts else 0.0,
        "counts": {name: getattr(found, name) for name in ("added", "already", "invalid", "ignored")},
        "difference": services().imports.difference(found.id),
        "rejects": f"{services().base_url}/v1/imports/{found.id}/rejects" if kept else None,
        "error": found.error,
    }

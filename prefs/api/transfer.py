"""``/v1/imports``: lists of other tools as files, imported by the worker."""

from typing import Any

from prefs.api.http import Reply, Upload, caller, endpoint
from prefs.api.routes import _channel, _time, bp
from prefs.edge import MB, body_limit, services
from prefs.errors import InvalidInput, NotFound
from prefs.services.imports import ImportRequest
from prefs.storage.imports import Import

LARGEST = 1024 * MB
_FIELDS = frozenset({"channel", "format", "dry_run"})
_WORDS = {"true": True, "false": False, "": False}


@bp.post("/imports")
@body_limit(LARGEST)
@endpoint("suppress", answer="The import's id and status", changes=True, upload=_FIELDS)
def start_import(upload: Upload) -> Reply:
    """Import a list of suppressions: read and merged by the worker, never removing, never re-subscribing."""
    channel, name = upload.fields.get("channel"), upload.fields.get("format")
    dry_run = upload.fields.get("dry_run", "")
    if dry_run not in _WORDS:
        raise InvalidInput("`dry_run` is `true` or `false`.", field="dry_run")
    request = ImportRequest(
        path=upload.path,
        actor=caller().id,
        channel=_channel(channel) if channel else None,
        format=None if name in {None, "", "auto"} else name,
        dry_run=_WORDS[dry_run],
    )
    found = services().imports.accept(request)
    return Reply({"id": found.id, "status": found.status}, 202)


@bp.get("/imports/<number>")
@endpoint("suppress", answer="The import: status, counts, a link to the rows that could not be imported")
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
    """Return an import of stops: what people agreed to is the console's alone (contract D31). Raises ``NotFound``."""
    found = services().imports.view(number)
    if found.are_consents:
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
        "rejects": f"{services().base_url}/v1/imports/{found.id}/rejects" if kept else None,
        "error": found.error,
    }

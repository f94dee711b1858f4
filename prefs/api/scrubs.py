"""``/v1/scrubs``: a file of people goes up, the worker splits it, its parts come down within a day."""

from datetime import datetime
from typing import Any

from prefs.api.http import Reply, Upload, caller, endpoint
from prefs.api.routes import _channel, _time, bp
from prefs.domain.regions import parse_country
from prefs.domain.terms import MessageClass
from prefs.edge import MB, body_limit, services
from prefs.errors import InvalidInput, NotFound
from prefs.services.decisions import Asked
from prefs.services.scrub_jobs import ScrubRequest
from prefs.storage.scrubs import ScrubRow

LARGEST = 2048 * MB
"""The largest upload; larger files go through ``prefs scrub``."""

_FIELDS = frozenset({"channel", "topic", "message_class", "column", "brand", "sender", "country", "at", "hashed"})
_HASHES = ("sha256", "md5")


@bp.post("/scrubs")
@body_limit(LARGEST)
@endpoint("decide", answer="The scrub's id and status", changes=True, upload=_FIELDS)
def start_scrub(upload: Upload) -> Reply:
    """Mark a CSV or Parquet file of people sendable or not; `column` may name several columns, with commas."""
    given = {name: value for name, value in upload.fields.items() if value}
    hashed = given.get("hashed")
    if "channel" not in given:
        raise InvalidInput("Name the `channel`.", field="channel", code="missing")
    if hashed not in (None, *_HASHES):
        raise InvalidInput("`hashed` is `sha256` or `md5`.", field="hashed")
    request = ScrubRequest(
        path=upload.path,
        caller=caller().id,
        asked=_asked(given),
        columns=tuple(part.strip() for part in given.get("column", "").split(",") if part.strip()),
        hashed=hashed,
    )
    found = services().scrub_jobs.accept(request)
    return Reply({"id": found.id, "status": found.status}, 202)


@bp.get("/scrubs/<number>")
@endpoint("decide", answer="The scrub: status, counts, links to its parts")
def read_scrub(number: str) -> Reply:
    """How far a scrub is, what it counted, and where its parts are for a day.

    While it runs, `progress` names the step, and of how many rows it has done how many.
    """
    return Reply(_scrub(_own(number)))


@bp.get("/scrubs/<number>/<part>")
@endpoint("decide", answer="The rows kept, blocked or rejected, or the certificate, as a file")
def read_scrub_part(number: str, part: str) -> Reply:
    """One part of a scrub: `kept`, `blocked`, `rejected` or `certificate`."""
    path = services().scrub_jobs.parts(_own(number)).get(part)
    if path is None:
        raise NotFound("There is no such part, or it was kept for a day and is gone.")
    return Reply(file=path)


def _own(number: str) -> ScrubRow:
    """Return a scrub of the calling key; an ``admin`` key sees all."""
    key = caller()
    return services().scrub_jobs.view(number, None if "admin" in key.scopes else key.id)


def _asked(given: dict[str, str]) -> Asked:
    stated, country = given.get("message_class"), given.get("country")
    if stated not in (None, MessageClass.MARKETING, MessageClass.TRANSACTIONAL):
        raise InvalidInput("`message_class` is `marketing` or `transactional`.", field="message_class")
    return Asked(
        channel=_channel(given["channel"]),
        topic=given.get("topic"),
        message_class=MessageClass(stated) if stated else None,
        brand=given.get("brand"),
        sender=given.get("sender"),
        country=parse_country(country) if country else None,
        at=_moment(given["at"]) if "at" in given else None,
    )


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput("Write the time like 2026-11-24T09:00:00Z.", field="at") from error
    if moment.tzinfo is None:
        raise InvalidInput("Give the time with its zone, like 2026-11-24T09:00:00Z.", field="at")
    if moment < services().kit.now():
        raise InvalidInput("`at` lies in the past. Name the moment the campaign starts.", field="at")
    return moment


def _scrub(found: ScrubRow) -> dict[str, Any]:
    here = f"{services().base_url}/v1/scrubs/{found.id}"
    result = found.result or {}
    return {
        "id": found.id,
        "status": found.status,
        "channel": found.asked["channel"],
        "topic": found.asked["topic"],
        "created_at": _time(found.created_at),
        "progress": services().scrub_jobs.progress(found),
        "columns": result.get("columns"),
        "counts": result.get("counts"),
        "reasons": result.get("reasons"),
        "ledger_position": result.get("ledger_position"),
        "policy_version": result.get("policy_version"),
        "key_only": result.get("key_only"),
        "links": {part: f"{here}/{part}" for part in services().scrub_jobs.parts(found)},
        "error": found.error,
    }

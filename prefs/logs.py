"""Log lines: constant names, facts in fields, and nobody's address, token or words in any of them."""

import contextvars
import logging
import re
import sys
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any

import structlog

request_id: contextvars.ContextVar[str | None] = contextvars.ContextVar("request_id", default=None)

_TOKEN = re.compile(r"/(u|p|confirm|rights)/[A-Za-z0-9_=.-]{8,}")
_EMAIL = re.compile(r"[^\s\"'<>@]+@[^\s\"'<>@]+")
_NUMBER = re.compile(r"\+[0-9]{7,15}")
_KEY = re.compile(r"prf_(live|test)_[A-Za-z0-9_]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


_request_lines: str | None = None


def configure(style: str | None = None) -> None:
    """Send log lines to stderr as JSON, or as coloured text in a terminal."""
    console = style == "console" or (style is None and sys.stderr.isatty())
    renderer: Any = structlog.dev.ConsoleRenderer() if console else structlog.processors.JSONRenderer()
    shared: list[Any] = [
        structlog.stdlib.ExtraAdder(),
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _add_request_id,
        redact,
    ]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer]
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    global _request_lines
    _request_lines = "console" if console else "json"
    # The SDKs write parameters, answers and even keys at INFO and DEBUG.
    for name in ("twilio.http_client", "python_http_client", "urllib3", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)


def request_line(method: str, route: str, status: int, seconds: float, named: str) -> None:
    """Write the one line of a request: its route, never its path.

    Past ``logging`` and structlog, whose detours cost more than a decision: every field is
    ours or checked already, and there is nothing in them to redact.
    """
    if _request_lines == "json":
        moment = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        line = (
            f'{{"event":"request","method":"{method}","route":"{route}","status":{status},'
            f'"ms":{1000 * seconds:.2f},"request_id":"{named}","level":"info","timestamp":"{moment}"}}\n'
        )
    elif _request_lines == "console":
        line = f"{method} {route} {status} {1000 * seconds:.1f} ms {named}\n"
    else:
        return
    sys.stderr.write(line)


def redact(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Return the line without tokens, addresses, numbers, keys and control characters."""
    for name, value in event.items():
        if isinstance(value, str) and name != "timestamp":
            event[name] = clean(value, lines=name == "exception")
    return event


def clean(text: str, *, lines: bool = False) -> str:
    """Return a text safe to log: one line (unless a traceback), nobody in it."""
    text = _TOKEN.sub(r"/\1/…", text)
    text = _KEY.sub("prf_…", text)
    text = _NUMBER.sub("+…", _EMAIL.sub("…@…", text))
    return text if lines else _CONTROL.sub(" ", text)


def ref(address_key: bytes) -> str:
    """Return a short name for an address: two lines about one person can be joined, nobody can be found."""
    return address_key[:5].hex()


def _add_request_id(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    current = request_id.get()
    if current:
        event["request_id"] = current
    return event

"""``prefs serve`` and ``prefs worker``."""

import gc
import signal
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import click

from prefs import cli

if TYPE_CHECKING:
    from flask import Flask

APPLICATION = "prefs.cli.serve:application"
THREADS = 512
"""Requests one process takes in at once: so many that two hundred clients who trickle their bodies do
not shut out the rest (reliability.md V38). Threads start when they are needed, and fewer connections stand
behind them.
"""
GRACE_SECONDS = 20

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def register(main: click.Group) -> None:
    """Add the commands."""
    main.add_command(serve)
    main.add_command(worker)


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=int, default=8080, show_default=True)
@click.option("--workers", type=int, help="Processes. Default: 1 on SQLite, 2 on PostgreSQL.")
@click.option("--server", type=click.Choice(["granian", "gunicorn"]), default="granian", show_default=True)
def serve(host: str, port: int, workers: int | None, server: str) -> None:
    """Run the web server; on an embedded database it migrates by itself and runs the worker too.

    \b
    Example:
      prefs serve --host 0.0.0.0 --port 8080
    """
    made = cli.services()
    embedded = made.kit.store.is_sqlite
    made.kit.store.dispose()
    made.metrics.forget_the_dead()
    run_server(host, port, workers or (1 if embedded else 2), server=server)


def run_server(host: str, port: int, workers: int, *, server: str = "granian", application: str = APPLICATION) -> None:
    """Serve until a signal ends it; requests that run then have some seconds to end."""
    _SERVERS[server](host, port, workers, application)


def application() -> Wsgi:
    """Return the app of one server process, with its side work started.

    Called in each process after the fork, so that no connection is shared: upkeep always, the
    worker too on an embedded database.
    """
    from app import main  # noqa: PLC0415  loads only where it is used

    app = main()
    start_threads(app)
    spare_the_collector()
    return whole_bodies(app)


def spare_the_collector() -> None:
    """Leave what was made at start out of garbage collections, and collect less often.

    A batch makes tens of thousands of tuples that are gone at its end; by default each 700 of
    them cost a look.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def start_threads(app: "Flask") -> None:
    """Start the side work of one web process."""
    made = app.extensions["prefs"]
    stop = threading.Event()
    jobs = [made.upkeep.run_forever] + ([made.worker.run_forever] if made.kit.store.is_sqlite else [])
    for job in jobs:
        threading.Thread(target=job, args=(stop,), daemon=True, name=job.__qualname__).start()


def whole_bodies(app: Wsgi) -> Wsgi:
    """Have a body's stated length checked: granian ends a cut body as if it were whole (reliability.md V37)."""

    def checked(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if "CONTENT_LENGTH" in environ:
            environ.pop("wsgi.input_terminated", None)
        return app(environ, start_response)

    return checked


def _granian(host: str, port: int, workers: int, application: str) -> None:
    from granian import Granian  # noqa: PLC0415  loads only where it is used
    from granian.constants import HTTPModes, Interfaces  # noqa: PLC0415
    from granian.http import HTTP1Settings  # noqa: PLC0415
    from granian.log import LogLevels  # noqa: PLC0415

    Granian(
        application,
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        factory=True,
        workers=workers,
        blocking_threads=THREADS,
        http=HTTPModes.http1,
        websockets=False,
        http1_settings=HTTP1Settings(header_read_timeout=10_000, max_buffer_size=64 * 1024),
        log_level=LogLevels.warning,
        log_dictconfig=_LOG_TO_STDERR,
        respawn_failed_workers=True,
        workers_kill_timeout=GRACE_SECONDS,
    ).serve()


_LOG_TO_STDERR = {
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "generic", "stream": "ext://sys.stderr"}},
    "loggers": {"_granian": {"handlers": ["console"], "propagate": False}},
}


def _gunicorn(host: str, port: int, workers: int, application: str) -> None:
    from gunicorn.app.base import BaseApplication  # noqa: PLC0415  loads only where it is used
    from gunicorn.util import import_app  # noqa: PLC0415

    class Server(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
        def load_config(self) -> None:
            options: dict[str, Any] = {
                "bind": f"{host}:{port}",
                "workers": workers,
                "threads": THREADS,
                "worker_class": "gthread",
                "timeout": 60,
                "graceful_timeout": GRACE_SECONDS,
                "keepalive": 5,
                "limit_request_line": 4094,
                "limit_request_fields": 60,
                "limit_request_field_size": 8190,
                "loglevel": "warning",
            }
            for name, value in options.items():
                self.cfg.set(name, value)

        def load(self) -> Any:
            return import_app(f"{application}()")

    Server().run()


_SERVERS = {"granian": _granian, "gunicorn": _gunicorn}


@click.command()
def worker() -> None:
    """Hand queued messages to providers and run jobs, until a signal ends it.

    \b
    Example:
      prefs worker
    """
    made = cli.services()
    stop = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stop.set())
    threading.Thread(target=made.upkeep.run_forever, args=(stop,), daemon=True).start()
    made.worker.run_forever(stop)

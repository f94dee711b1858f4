"""``prefs serve`` and ``prefs worker``."""

import signal
import threading
from typing import Any

import click

from prefs import cli


def register(main: click.Group) -> None:
    """Add the commands."""
    main.add_command(serve)
    main.add_command(worker)


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=int, default=8080, show_default=True)
@click.option("--workers", type=int, help="Processes. Default: 1 on SQLite, 2 on PostgreSQL.")
def serve(host: str, port: int, workers: int | None) -> None:
    """Run the web server; on an embedded database it migrates by itself and runs the worker too.

    \b
    Example:
      prefs serve --host 0.0.0.0 --port 8080
    """
    made = cli.services()
    embedded = made.kit.store.is_sqlite
    made.kit.store.dispose()
    run_server(host, port, workers or (1 if embedded else 2), with_worker=embedded)


def run_server(host: str, port: int, workers: int, *, with_worker: bool) -> None:
    """Serve until a signal ends it (gunicorn, threads; reliability.md item 29)."""
    from gunicorn.app.base import BaseApplication  # noqa: PLC0415  loads only where it is used

    class Server(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
        def load_config(self) -> None:
            options: dict[str, Any] = {
                "bind": f"{host}:{port}",
                "workers": workers,
                "threads": 8,
                "worker_class": "gthread",
                "timeout": 60,
                "graceful_timeout": 20,
                "keepalive": 5,
                "limit_request_line": 4094,
                "limit_request_fields": 60,
                "limit_request_field_size": 8190,
                "loglevel": "warning",
                "post_worker_init": lambda worker: _start_threads(worker, with_worker=with_worker),
            }
            for name, value in options.items():
                self.cfg.set(name, value)

        def load(self) -> Any:
            from app import main  # noqa: PLC0415  the app is built after the fork: no shared connections

            return main()

    Server().run()


def _start_threads(worker: Any, *, with_worker: bool) -> None:
    """Start the side work of one web process: upkeep always, the worker on an embedded database."""
    made = worker.wsgi.extensions["prefs"]
    stop = threading.Event()
    jobs = [made.upkeep.run_forever] + ([made.worker.run_forever] if with_worker else [])
    for job in jobs:
        threading.Thread(target=job, args=(stop,), daemon=True, name=job.__qualname__).start()


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

"""The product with the measuring routes beside it, in one server process: what floors are taken from.

The routes under ``/bench`` are an app of their own: no hooks, no headers, no key. ``noop`` is
the least a Flask route can cost; ``driver`` asks the database the very question a decision asks,
by the driver alone; ``query`` does the same for as many keys as it is sent; ``insert`` commits one row, ``rows``
the rows of an opt-out; ``text`` and ``events`` check a webhook's signature, parse it and write
nothing, ``text-rows`` and ``events-rows`` write the same rows after it by the driver alone.
"""

import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from flask import Flask, Response, current_app, request

from app import main
from bench import rows
from prefs.cli.serve import Wsgi, spare_the_collector, start_threads, whole_bodies
from prefs.domain.address import parse_address
from prefs.domain.terms import Channel
from prefs.storage import readers, states
from webhooks import sendgrid, twilio

_free: list[Any] = []


def application() -> Wsgi:
    """Return the product's app with the measuring app beside it; ``prefs.cli.serve`` runs it."""
    product = main()
    start_threads(product)
    spare_the_collector()
    measuring = _measuring(product)

    def both(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        chosen = measuring if environ["PATH_INFO"].startswith("/bench/") else product
        return chosen(environ, start_response)

    return whole_bodies(both)


def _measuring(product: Flask) -> Flask:
    app = Flask("bench")
    app.extensions["prefs"] = product.extensions["prefs"]
    app.config["MAX_CONTENT_LENGTH"] = None
    app.add_url_rule("/bench/noop", view_func=noop)
    app.add_url_rule("/bench/slow", view_func=slow)
    app.add_url_rule("/bench/insert", view_func=insert, methods=["POST"])
    app.add_url_rule("/bench/rows", view_func=opt_out_rows, methods=["POST"])
    app.add_url_rule("/bench/text-rows", view_func=text_rows, methods=["POST"])
    app.add_url_rule("/bench/events-rows", view_func=events_rows, methods=["POST"])
    app.add_url_rule("/bench/driver", view_func=driver, methods=["POST"])
    app.add_url_rule("/bench/query", view_func=query, methods=["POST"])
    app.add_url_rule("/bench/text", view_func=text, methods=["POST"])
    app.add_url_rule("/bench/events", view_func=events, methods=["POST"])
    return app


def noop() -> Response:
    """Answer."""
    return Response(b'{"status":"ok"}', mimetype="application/json")


def slow() -> Response:
    """Answer after two seconds, to be found under way."""
    time.sleep(2)
    return noop()


def insert() -> Response:
    """Insert one row and commit, by the driver alone: the least a durable write can cost."""
    row = (os.urandom(16), b"bench")
    with _connection() as connection:
        if os.environ["DATABASE_URL"].startswith("sqlite"):
            connection.execute("INSERT INTO bench_row (id, body) VALUES (?, ?)", row)
        else:
            connection.execute("INSERT INTO bench_row (id, body) VALUES (%b, %b)", row, prepare=True)
    return noop()


def opt_out_rows() -> Response:
    """Write the rows of one opt-out by the driver alone."""
    _write_rows(1, proofs=2)
    return noop()


def text_rows() -> Response:
    """Check an inbound text, then write the rows of one opt-out by the driver alone."""
    answer = text()
    _write_rows(1, proofs=2)  # the text itself is kept as well: a row as long as a proof
    return answer


def events_rows() -> Response:
    """Check events, then write the rows of as many opt-outs by the driver alone."""
    answer = events()
    _write_rows(len(json.loads(request.get_data())), proofs=0)
    return answer


def driver() -> Response:
    """Ask for one key, in the body."""
    found = _ask([request.get_data()])
    return Response(b'{"rows":%d}' % len(found), mimetype="application/json")


def query() -> Response:
    """Ask for the keys in the body, 16 bytes each, sorted already."""
    raw = request.get_data()
    found = _ask([raw[at : at + 16] for at in range(0, len(raw), 16)])
    return Response(b'{"rows":%d}' % len(found), mimetype="application/json")


def text() -> Response:
    """Check an inbound text's signature and read it."""
    twilio._read_text(twilio._authentic_form())  # the floor is the product's own check, and nothing more
    return Response(b"<Response/>", mimetype="text/xml")


def events() -> Response:
    """Check the signature of events, read them, and work out the keys of their addresses."""
    raw = request.get_data()
    sendgrid._check(raw)
    found, _ = sendgrid._read(raw)
    keys = current_app.extensions["prefs"].kit.address_keys
    for event in found:
        keys.candidates(parse_address(Channel.EMAIL, event.email))
    return Response(status=204)


def _write_rows(number: int, proofs: int) -> None:
    with _connection() as connection:
        rows.write(connection, number, proofs)


def _ask(keys: list[bytes]) -> list[Any]:
    with _connection() as connection:
        return _rows_of(connection, keys)


def _rows_of(connection: Any, keys: list[bytes]) -> list[Any]:
    found: list[Any] = []
    if not os.environ["DATABASE_URL"].startswith("sqlite"):
        many = {"keys": keys, "key": keys[0], "channel": "email"}
        question = states.POSTGRES_ONE if len(keys) == 1 else states.POSTGRES_MANY
        return connection.cursor(binary=True).execute(question, many, prepare=True).fetchall()
    for at in range(0, len(keys), states.SQLITE_PARAMETERS):
        chunk = keys[at : at + states.SQLITE_PARAMETERS]
        found += connection.execute(states.sqlite_query(len(chunk)), (*chunk, "email")).fetchall()
    return found


@contextmanager
def _connection() -> Iterator[Any]:
    """Yield a connection nobody else uses now, the last used first, set up as the product sets up its own."""
    try:
        connection = _free.pop()
    except IndexError:
        connection = _connect()
    yield connection
    _free.append(connection)


def _connect() -> Any:
    url = os.environ["DATABASE_URL"]
    if url.startswith("sqlite"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA synchronous=FULL")
        return connection
    made = psycopg.connect(url.replace("+psycopg", ""), autocommit=True)
    made.execute(readers.SESSION)
    return made

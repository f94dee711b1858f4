"""The real app on a real socket, and a server without manners."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from werkzeug.serving import WSGIRequestHandler, make_server

from tests.client.asking import KINDS
from tests.double.hostile import Hostile
from tests.make import World


class _Kept(WSGIRequestHandler):
    """Keeps connections, as the production server does, and says nothing about it."""

    protocol_version = "HTTP/1.1"

    def log(self, kind: str, message: str, *args: Any) -> None:
        """Stay quiet."""


@dataclass
class Live:
    """A world that answers on a socket, and the key to it."""

    world: World
    url: str

    @property
    def key(self) -> str:
        return self.world.key


@contextmanager
def served(world: World) -> Iterator[Live]:
    server = make_server("127.0.0.1", 0, world.client.application, threaded=True, request_handler=_Kept)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield Live(world, f"http://127.0.0.1:{server.server_port}")
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def live(world: World) -> Iterator[Live]:
    with served(world) as running:
        yield running


@pytest.fixture
def hostile() -> Iterator[Hostile]:
    with Hostile() as running:
        yield running


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Which of the two clients."""
    found: str = request.param
    return found

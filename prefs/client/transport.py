"""The wire: connections that are kept, and a deadline that holds whatever the other side does.

httpcore is httpx's own lower half. It follows no redirect, keeps no cookie, reads no proxy or
password from the environment, so none of that has to be switched off (docs/decisions/0012).
"""

import os
import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol
from urllib.parse import urlencode, urlsplit

import anyio
import httpcore

from prefs import __version__
from prefs.client.errors import OddAnswer, TimedOut, Unavailable, Unreachable
from prefs.client.protocol import Request, Response

_IDLE_SECONDS = 30
_PIECE = 64 * 1024


class Sender(Protocol):
    """Carries one attempt and brings back what came. A test may give a client one of its own."""

    def __call__(self, request: Request) -> Response:
        """Return the response.

        Raises:
            Unavailable: There is none.
        """


class AsyncSender(Protocol):
    """The same for the asynchronous client."""

    async def __call__(self, request: Request) -> Response:
        """Return the response. Raises ``Unavailable``."""


class Target:
    """Where the service is and with what key: checked once, never shown."""

    def __init__(self, base_url: str, key: str) -> None:
        parts = urlsplit(base_url)
        if (
            parts.scheme not in {"http", "https"}
            or not parts.hostname
            or parts.query
            or parts.fragment
            or "@" in base_url
        ):
            raise ValueError("The base URL is like https://prefs.example.com, without anything behind it.")
        if not (key.isascii() and key.isprintable() and key and " " not in key):
            raise ValueError("The API key holds characters that no key has, or is empty.")
        self.base = base_url.rstrip("/")
        self.host = parts.hostname
        self._key = key

    def url(self, request: Request) -> str:
        """Return the whole address of a request."""
        return self.base + request.path + (f"?{urlencode(request.query)}" if request.query else "")

    def headers(self, request: Request) -> list[tuple[str, str]]:
        """Return the headers of a request, the key among them."""
        own = {"Authorization": f"Bearer {self._key}", "User-Agent": f"prefs-client/{__version__}"}
        return list({**request.headers, **own}.items())


class BlockingSender:
    """Sends over a pool of kept connections. Threads may share it, and it may be made before a fork."""

    def __init__(self, target: Target, *, context: ssl.SSLContext | None, connections: int) -> None:
        self._target = target
        self._context, self._connections = context, connections
        self._deadline = _Deadline()
        self._lock = threading.Lock()
        self._pool: httpcore.ConnectionPool | None = None
        self._process = 0

    def __call__(self, request: Request) -> Response:
        """Return the response. Raises ``Unavailable``."""
        target = self._target
        self._deadline.at = time.monotonic() + request.seconds
        with (
            _explained(target),
            self._pool_of_this_process().stream(
                request.method,
                target.url(request),
                headers=target.headers(request),
                content=request.content or None,
                extensions=_timeouts(request),
            ) as answer,
        ):
            body = _Body(answer, request.most_bytes)
            for piece in answer.iter_stream():
                body.take(piece)
        return body.response()

    def close(self) -> None:
        """Close the kept connections; a later request opens new ones."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()

    def _pool_of_this_process(self) -> httpcore.ConnectionPool:
        """Return the pool; a forked child gets one of its own, since two must not speak on one connection."""
        with self._lock:
            if self._pool is None or self._process != os.getpid():
                self._process = os.getpid()
                self._pool = httpcore.ConnectionPool(
                    self._context or ssl.create_default_context(),
                    max_connections=self._connections,
                    keepalive_expiry=_IDLE_SECONDS,
                    network_backend=_TimedNetwork(self._deadline),
                )
            return self._pool


class AwaitingSender:
    """The same on asyncio, for one event loop."""

    def __init__(self, target: Target, *, context: ssl.SSLContext | None, connections: int) -> None:
        self._target = target
        self._pool = httpcore.AsyncConnectionPool(
            context or ssl.create_default_context(), max_connections=connections, keepalive_expiry=_IDLE_SECONDS
        )

    async def __call__(self, request: Request) -> Response:
        """Return the response. Raises ``Unavailable``."""
        target = self._target
        with _explained(target), anyio.fail_after(request.seconds):
            async with self._pool.stream(
                request.method,
                target.url(request),
                headers=target.headers(request),
                content=request.content or None,
                extensions=_timeouts(request),
            ) as answer:
                body = _Body(answer, request.most_bytes)
                async for piece in answer.aiter_stream():
                    body.take(piece)
        return body.response()

    async def aclose(self) -> None:
        """Close the kept connections."""
        await self._pool.aclose()


class _Body:
    """A response on its way in, never larger than allowed."""

    def __init__(self, answer: httpcore.Response, most: int) -> None:
        self._status, self._most = answer.status, most
        self._headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in answer.headers}
        self._pieces: list[bytes] = []
        self._size = 0

    def take(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > self._most:
            raise OddAnswer(f"The answer is larger than {self._most} bytes.")
        self._pieces.append(piece)

    def response(self) -> Response:
        return Response(self._status, self._headers, b"".join(self._pieces))


def _timeouts(request: Request) -> dict[str, Any]:
    seconds = request.seconds
    return {"timeout": {"connect": request.connect, "pool": seconds, "read": seconds, "write": seconds}}


@contextmanager
def _explained(target: Target) -> Iterator[None]:
    """Turn what the network says into our words."""
    try:
        yield
    except Unavailable:
        raise
    except (httpcore.TimeoutException, TimeoutError) as error:
        raise TimedOut(f"{target.host} did not answer in time.") from error
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.ConnectionNotAvailable, OSError) as error:
        raise Unreachable(f"The connection to {target.host} failed: {type(error).__name__}.") from error


class _Deadline(threading.local):
    """When the attempt of this thread must be over, on the monotonic clock."""

    at = 0.0

    def left(self, most: float | None = None) -> float:
        seconds = self.at - time.monotonic()
        if seconds <= 0:
            raise httpcore.ReadTimeout("deadline")
        return seconds if most is None else min(seconds, most)


class _TimedNetwork(httpcore.NetworkBackend):
    """The ordinary network, but every wait ends at the attempt's deadline.

    A socket's own timeout starts afresh with each byte, so a peer that sends one a second would
    hold a blocking caller for ever.
    """

    def __init__(self, deadline: _Deadline) -> None:
        self._deadline = deadline
        self._network = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        left = self._deadline.left(timeout)
        stream = self._network.connect_tcp(host, port, left, local_address, socket_options)
        return _TimedStream(stream, self._deadline)


class _TimedStream(httpcore.NetworkStream):
    """One connection under a deadline."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: _Deadline) -> None:
        self._stream, self._deadline = stream, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), _PIECE):
            self._stream.write(buffer[start : start + _PIECE], self._deadline.left(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = self._deadline.left(timeout)
        return _TimedStream(self._stream.start_tls(ssl_context, server_hostname, left), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

"""``Client`` and ``AsyncClient``: the same operations, waited for in two ways."""

import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import wraps
from types import TracebackType
from typing import Concatenate, ParamSpec, TypeVar

import anyio

from prefs.client import operations
from prefs.client.answers import Change
from prefs.client.errors import Unavailable
from prefs.client.protocol import Operation, Patience, Pause, carried_out
from prefs.client.transport import AsyncSender, AwaitingSender, BlockingSender, Sender, Target

P = ParamSpec("P")
T = TypeVar("T")


def _blocking(operation: Callable[P, Operation[T]]) -> Callable[Concatenate["Client", P], T]:
    @wraps(operation)
    def method(client: "Client", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return client.carry_out(operation(*args, **kwargs))

    return method


def _awaiting(operation: Callable[P, Operation[T]]) -> Callable[Concatenate["AsyncClient", P], Awaitable[T]]:
    @wraps(operation)
    async def method(client: "AsyncClient", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await client.carry_out(operation(*args, **kwargs))

    return method


class Client:
    """Asks a service, and waits. Threads may share one; make it once and keep it, it keeps its connections.

    ``send`` replaces the network, for a caller's own tests.
    """

    def __init__(
        self,
        base_url: str,
        key: str,
        *,
        patience: Patience | None = None,
        ssl_context: ssl.SSLContext | None = None,
        connections: int = 10,
        send: Sender | None = None,
    ) -> None:
        self.patience = patience or Patience()
        self._own = BlockingSender(Target(base_url, key), context=ssl_context, connections=connections)
        self._send: Sender = send or self._own

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the kept connections."""
        self._own.close()

    def carry_out(self, operation: Operation[T]) -> T:
        """Return an operation's value, or raise a ``ClientError``."""
        work = carried_out(operation, self.patience)
        try:
            step = next(work)
            while True:
                if isinstance(step, Pause):
                    time.sleep(step.seconds)
                    step = work.send(None)
                    continue
                try:
                    response = self._send(step)
                except Unavailable as error:
                    step = work.throw(error)
                else:
                    step = work.send(response)
        except StopIteration as done:
            value: T = done.value
            return value

    decide = _blocking(operations.decide)
    decide_many = _blocking(operations.decide_many)
    decision = _blocking(operations.decision)
    suppress = _blocking(operations.suppress)
    suppress_many = _blocking(operations.suppress_many)
    suppressions = _blocking(operations.suppressions)
    lift = _blocking(operations.lift)
    consent = _blocking(operations.consent)
    links = _blocking(operations.links)
    send = _blocking(operations.send)
    message = _blocking(operations.message)
    save_contact = _blocking(operations.save_contact)
    contact = _blocking(operations.contact)
    preferences = _blocking(operations.preferences)
    change_preferences = _blocking(operations.change_preferences)
    history = _blocking(operations.history)
    changes = _blocking(operations.changes)
    topics = _blocking(operations.topics)

    def follow(self, after: int = 0) -> Iterator[Change]:
        """Yield every entry behind a position up to the present end; keep the last ``position``."""
        while True:
            page = self.changes(after)
            yield from page.data
            if page.next is None:
                return
            after = int(page.next)


class AsyncClient:
    """The same for asyncio. Use it in the event loop that made it: ``async with AsyncClient(…)``."""

    def __init__(
        self,
        base_url: str,
        key: str,
        *,
        patience: Patience | None = None,
        ssl_context: ssl.SSLContext | None = None,
        connections: int = 10,
        send: AsyncSender | None = None,
    ) -> None:
        self.patience = patience or Patience()
        self._own = AwaitingSender(Target(base_url, key), context=ssl_context, connections=connections)
        self._send: AsyncSender = send or self._own

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the kept connections."""
        await self._own.aclose()

    async def carry_out(self, operation: Operation[T]) -> T:
        """Return an operation's value, or raise a ``ClientError``."""
        work = carried_out(operation, self.patience)
        try:
            step = next(work)
            while True:
                if isinstance(step, Pause):
                    await anyio.sleep(step.seconds)
                    step = work.send(None)
                    continue
                try:
                    response = await self._send(step)
                except Unavailable as error:
                    step = work.throw(error)
                else:
                    step = work.send(response)
        except StopIteration as done:
            value: T = done.value
            return value

    decide = _awaiting(operations.decide)
    decide_many = _awaiting(operations.decide_many)
    decision = _awaiting(operations.decision)
    suppress = _awaiting(operations.suppress)
    suppress_many = _awaiting(operations.suppress_many)
    suppressions = _awaiting(operations.suppressions)
    lift = _awaiting(operations.lift)
    consent = _awaiting(operations.consent)
    links = _awaiting(operations.links)
    send = _awaiting(operations.send)
    message = _awaiting(operations.message)
    save_contact = _awaiting(operations.save_contact)
    contact = _awaiting(operations.contact)
    preferences = _awaiting(operations.preferences)
    change_preferences = _awaiting(operations.change_preferences)
    history = _awaiting(operations.history)
    changes = _awaiting(operations.changes)
    topics = _awaiting(operations.topics)

    async def follow(self, after: int = 0) -> AsyncIterator[Change]:
        """Yield every entry behind a position up to the present end; keep the last ``position``."""
        while True:
            page = await self.changes(after)
            for change in page.data:
                yield change
            if page.next is None:
                return
            after = int(page.next)

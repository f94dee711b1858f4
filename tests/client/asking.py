"""Both clients behind one function, so that every test holds for both."""

from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio

from prefs.client import AsyncClient, AsyncGuard, Clearance, Client, Guard, Patience

KINDS = ("blocking", "awaiting")
CALM = Patience(connect=10, answer=20, first_wait=0.01, longest_wait=1.1)
QUICK = Patience(connect=1, answer=1, first_wait=0.01, longest_wait=1.1)
KEY = "prf_test_key"


def awaited(run: Callable[[], Awaitable[Any]]) -> Any:
    """Run it on a loop in a thread of its own: a browser test of this process may keep a loop in the main one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(anyio.run, run).result()


def ask(kind: str, url: str, name: str, *args: Any, key: str = KEY, patience: Patience = CALM, **more: Any) -> Any:
    """Carry out one operation with a client of its own."""
    if kind == "blocking":
        with Client(url, key, patience=patience) as client:
            return getattr(client, name)(*args, **more)

    async def run() -> Any:
        async with AsyncClient(url, key, patience=patience) as client:
            return await getattr(client, name)(*args, **more)

    return awaited(run)


def follow(kind: str, url: str, after: int, *, key: str) -> list[Any]:
    """Read the whole feed."""
    if kind == "blocking":
        with Client(url, key) as client:
            return list(client.follow(after))

    async def run() -> list[Any]:
        async with AsyncClient(url, key) as client:
            return [change async for change in client.follow(after)]

    return awaited(run)


def clear(
    kind: str, url: str, name: str, *args: Any, key: str = KEY, patience: Patience = CALM, **more: Any
) -> Clearance:
    """Pass a guard and return its clearance; raises what the guard raises."""
    if kind == "blocking":
        with Client(url, key, patience=patience) as client, getattr(Guard(client), name)(*args, **more) as clearance:
            return clearance

    async def run() -> Clearance:
        async with (
            AsyncClient(url, key, patience=patience) as client,
            getattr(AsyncGuard(client), name)(*args, **more) as clearance,
        ):
            return clearance

    return awaited(run)


def sendable(kind: str, url: str, *args: Any, key: str = KEY) -> list[str]:
    """Return what a guard lets through of a list."""
    if kind == "blocking":
        with Client(url, key, patience=CALM) as client:
            return Guard(client).sendable(*args)

    async def run() -> list[str]:
        async with AsyncClient(url, key, patience=CALM) as client:
            return await AsyncGuard(client).sendable(*args)

    return awaited(run)

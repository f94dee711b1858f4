"""The servers ``prefs serve`` can run, side by side: speed, processor time, slow clients, endings.

    python -m bench.servers

For each server, on SQLite or PostgreSQL: a route that does nothing and a decision, from 1 and 16 clients;
ordinary requests beside two hundred clients that send their headers, or their bodies, a byte a second, or
do not read their answers; SIGHUP and SIGTERM with requests under way; SIGKILL of a worker process. About
four minutes a database.
"""

import argparse
import os
import signal
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bench import decisions, load
from bench.load import Client
from bench.service import Measured, measured

SLOW = 200
ORDINARY = 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--server", action="append")
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    wanted = parser.parse_args()
    for server in wanted.server or ("granian", "gunicorn"):
        with measured(wanted.database, wanted.rows, server=server) as found:
            routes = {name: make for name, make in decisions.routes(found).items() if name != "driver-only"}
            for clients in (1, 16):
                load.compare(found.port, found.pid, routes, clients=clients, rounds=wanted.rounds, seconds=2.0).show(
                    f"{wanted.database}, {server}, {clients} clients"
                )
            _slow(found, server, "headers", b"POST /v1/decisions HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
            head = b"POST /v1/decisions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            _slow(found, server, "bodies", head + b"Content-Length: 2000\r\n\r\n{")
            _slow(found, server, "readers", b"GET /v1/openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 3)
            _reloaded(found, server)
            _killed_worker(found, server)
            _ended(found, server)


def _slow(found: Measured, server: str, what: str, start: bytes) -> None:
    """Print how ordinary requests fare beside clients that trickle."""
    with _trickling(found.port, start):
        times, lost = [], 0
        for _ in range(ORDINARY):
            started = time.perf_counter()
            if _is_answered(found, "/bench/noop", seconds=2):
                times.append(time.perf_counter() - started)
            else:
                lost += 1
            if lost >= 3:
                break
    middle = f"p50 {1000 * statistics.median(times):.1f} ms" if times else "none answered"
    print(f"{server}: beside {SLOW} slow {what}: {len(times)} of {len(times) + lost} answered, {middle}", flush=True)


@contextmanager
def _trickling(port: int, start: bytes) -> Iterator[None]:
    stop = threading.Event()
    sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(SLOW)]
    for one in sockets:
        one.sendall(start)

    def trickle() -> None:
        while not stop.wait(1.0):
            for one in sockets:
                try:
                    one.sendall(b"x")
                except OSError:
                    continue

    thread = threading.Thread(target=trickle)
    thread.start()
    time.sleep(0.5)
    try:
        yield
    finally:
        stop.set()
        thread.join()
        for one in sockets:
            one.close()
        time.sleep(1.0)


def _reloaded(found: Measured, server: str) -> None:
    """Have the processes replaced by SIGHUP and print what became of requests under way, and of those after."""
    slow = _slow_requests(found)
    assert found.service.process is not None
    found.service.process.send_signal(signal.SIGHUP)
    later, started = [], time.perf_counter()
    while time.perf_counter() - started < 8:
        later.append(_is_answered(found, "/bench/noop"))
        time.sleep(0.02)
    print(
        f"{server}: SIGHUP with 4 requests under way: {slow()} answered; {later.count(True)} of {len(later)} after it"
    )


def _slow_requests(found: Measured) -> Callable[[], int]:
    """Start four slow requests; the function returned waits for them and says how many were answered."""
    outcomes: list[bool] = []
    threads = [threading.Thread(target=lambda: outcomes.append(_is_answered(found, "/bench/slow"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)

    def end() -> int:
        for thread in threads:
            thread.join()
        return outcomes.count(True)

    return end


def _is_answered(found: Measured, path: str, *, seconds: float = 20) -> bool:
    try:
        client = Client(found.port, timeout=seconds)
        client.ask(load.request("GET", path))
        client.close()
    except (OSError, AssertionError):
        return False
    return True


def _killed_worker(found: Measured, server: str) -> None:
    """Kill the process that serves and print how long nobody answers."""
    worker = load.family(found.pid)[-1]
    os.kill(worker, signal.SIGKILL)
    started = time.perf_counter()
    while time.perf_counter() - started < 30:
        if _is_answered(found, "/healthz", seconds=1):
            print(f"{server}: a killed worker is replaced after {time.perf_counter() - started:.1f} s", flush=True)
            return
        time.sleep(0.05)
    print(f"{server}: a killed worker is not replaced within 30 s", flush=True)


def _ended(found: Measured, server: str) -> None:
    """Send SIGTERM while requests run and print what became of them."""
    slow = _slow_requests(found)
    started = time.perf_counter()
    assert found.service.process is not None
    found.service.process.send_signal(signal.SIGTERM)
    answered = slow()
    found.service.process.wait(timeout=60)
    passed = time.perf_counter() - started
    print(f"{server}: SIGTERM with 4 requests under way: {answered} answered, over in {passed:.1f} s")


if __name__ == "__main__":
    main()

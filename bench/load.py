"""Load, and how it is judged: slices of two seconds in turn, a ratio for each round, its median and spread.

The clients speak HTTP over plain sockets, so that what is timed is the server's work and not a
client library's.
"""

import os
import selectors
import socket
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

Request = Callable[[], bytes]
"""Makes the bytes of the next request."""

_TICK = os.sysconf("SC_CLK_TCK")


def request(method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> bytes:
    """Return a request as it goes over the wire, its connection kept open."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Client:
    """One connection that is kept open."""

    def __init__(self, port: int, *, timeout: float = 60) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._held = b""

    def ask(self, wire: bytes) -> bytes:
        """Send a request and return the answer's body. Raises ``AssertionError`` for any status but 2xx."""
        self.send(wire)
        return self.answer()

    def send(self, wire: bytes) -> float:
        """Send a request and return when."""
        begun = time.perf_counter()
        self._socket.sendall(wire)
        return begun

    def fileno(self) -> int:
        """Return what a selector waits on."""
        return self._socket.fileno()

    def answer(self) -> bytes:
        """Return the next answer's body. Raises ``AssertionError`` for any status but 2xx."""
        head, self._held = self._until(b"\r\n\r\n")
        lowered = head.lower()
        assert lowered[9:10] == b"2", head[:200] + self._held[:500]
        if b"transfer-encoding: chunked" in lowered:
            return self._chunks()
        at = lowered.find(b"content-length:")
        return self._exactly(int(lowered[at + 15 :].split(b"\r\n", 1)[0])) if at >= 0 else b""

    def close(self) -> None:
        """Let go of the connection."""
        self._socket.close()

    def _until(self, mark: bytes) -> tuple[bytes, bytes]:
        held = self._held
        while mark not in held:
            more = self._socket.recv(1 << 18)
            assert more, "the server closed the connection"
            held += more
        found, _, rest = held.partition(mark)
        return found, rest

    def _exactly(self, number: int) -> bytes:
        parts, have = [self._held], len(self._held)
        while have < number:
            parts.append(self._socket.recv(1 << 20))
            assert parts[-1], "the server closed the connection"
            have += len(parts[-1])
        whole = b"".join(parts)
        self._held = whole[number:]
        return whole[:number]

    def _chunks(self) -> bytes:
        found = []
        while True:
            size, self._held = self._until(b"\r\n")
            chunk = self._exactly(int(size, 16) + 2)
            if size == b"0":
                return b"".join(found)
            found.append(chunk[:-2])


@dataclass(frozen=True, slots=True)
class Slice:
    """What one route did in one slice: seconds of each call, and the server's processor seconds."""

    times: list[float]
    seconds: float
    cpu: float

    @property
    def p50(self) -> float:
        """Median seconds of a call."""
        return statistics.median(self.times)

    @property
    def cpu_each(self) -> float:
        """Processor seconds the server spent on one call."""
        return self.cpu / len(self.times)

    @property
    def rate(self) -> float:
        """Calls a second."""
        return len(self.times) / self.seconds


@dataclass
class Comparison:
    """Routes measured in turn; each round holds one slice of each."""

    rounds: list[dict[str, Slice]] = field(default_factory=list)

    def show(self, label: str) -> None:
        """Print every route: calls a second, p50, p99, processor time a call."""
        for name in self.rounds[0]:
            parts = [one[name] for one in self.rounds]
            times = sorted(time for part in parts for time in part.times)
            cpu = statistics.median(part.cpu_each for part in parts)
            print(
                f"{label:28} {name:12} {statistics.median(p.rate for p in parts):8.0f}/s"
                f"  p50 {1000 * times[len(times) // 2]:8.3f} ms  p99 {1000 * times[len(times) * 99 // 100]:8.3f} ms"
                f"  server CPU {1e6 * cpu:7.0f} us",
                flush=True,
            )

    def judge(self, what: str, name: str, floor: str, value: Callable[[Slice], float], mark: str) -> None:
        """Print the ratio of two routes, round by round, beside the mark it is judged by (``<= 2.5``)."""
        middle, told = self._ratio(name, floor, value)
        sign, number = mark.split()
        met = middle <= float(number) if sign == "<=" else middle >= float(number)
        print(f"  {'met   ' if met else 'MISSED'} {what}: {told}, mark {mark}", flush=True)

    def floor(self, what: str, name: str, floor: str, value: Callable[[Slice], float]) -> None:
        """Print the ratio of two routes that no mark is set for: what can be had at best."""
        print(f"  floor  {what}: {self._ratio(name, floor, value)[1]}", flush=True)

    def _ratio(self, name: str, floor: str, value: Callable[[Slice], float]) -> tuple[float, str]:
        ratios = [value(one[name]) / value(one[floor]) for one in self.rounds]
        middle = statistics.median(ratios)
        return middle, f"{middle:.2f} (from {min(ratios):.2f} to {max(ratios):.2f})"


def p50(one: Slice) -> float:
    """Median seconds of a call."""
    return one.p50


def cpu(one: Slice) -> float:
    """The server's processor seconds for a call."""
    return one.cpu_each


def rate(one: Slice) -> float:
    """Calls a second."""
    return one.rate


def compare(
    port: int, pid: int, routes: Mapping[str, Request], *, clients: int | Mapping[str, int], rounds: int, seconds: float
) -> Comparison:
    """Let the routes take turns for some rounds; a first short turn of each is thrown away."""
    stocks = {name: Stock(make) for name, make in routes.items()}

    def turn(name: str, long: float) -> Slice:
        return _slice(port, pid, stocks[name], clients if isinstance(clients, int) else clients[name], long)

    for name in routes:
        turn(name, min(seconds, 1.0))
    found = Comparison()
    for _ in range(rounds):
        found.rounds.append({name: turn(name, seconds) for name in routes})
    return found


class Stock:
    """Requests made before they are timed: links and signatures are not the server's work."""

    def __init__(self, make: Request) -> None:
        self._make = make
        self._ready: list[bytes] = []

    def fill(self, number: int) -> None:
        """Make requests until so many are there."""
        self._ready += [self._make() for _ in range(number - len(self._ready))]

    def take(self) -> bytes:
        """Return a request; makes one where none is left."""
        return self._ready.pop() if self._ready else self._make()


def _slice(port: int, pid: int, stock: Stock, clients: int, seconds: float) -> Slice:
    before, started = _cpu_of(pid), time.perf_counter()
    end = started + seconds
    times = _alone(port, stock, end) if clients == 1 else _together(port, stock, clients, end)
    found = Slice(times, time.perf_counter() - started, _cpu_of(pid) - before)
    stock.fill(int(1.3 * seconds * found.rate))
    return found


def _alone(port: int, stock: Stock, end: float) -> list[float]:
    client, times = Client(port), []
    while time.perf_counter() < end:
        wire = stock.take()
        begun = time.perf_counter()
        client.ask(wire)
        times.append(time.perf_counter() - begun)
    client.close()
    return times


def _together(port: int, stock: Stock, number: int, end: float) -> list[float]:
    """Keep a request of each client under way, from one thread: many would take the server's processor time."""
    times: list[float] = []
    with selectors.DefaultSelector() as waiting:
        for _ in range(number):
            client = Client(port)
            waiting.register(client, selectors.EVENT_READ, _Asked(client, client.send(stock.take())))
        while waiting.get_map():
            for key, _ in waiting.select():
                asked: _Asked = key.data
                asked.client.answer()
                now = time.perf_counter()
                times.append(now - asked.at)
                if now < end:
                    asked.at = asked.client.send(stock.take())
                else:
                    waiting.unregister(asked.client)
                    asked.client.close()
    return times


@dataclass(slots=True)
class _Asked:
    client: Client
    at: float


def _cpu_of(pid: int) -> float:
    """Return the processor seconds of a process and of all it started."""
    return sum(_ticks(one) for one in family(pid)) / _TICK


def family(pid: int) -> Sequence[int]:
    """Return a process and all it started, parents first."""
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            found += [int(child) for child in task.read_text().split()]
    return found


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])

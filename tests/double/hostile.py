"""A server that does not keep to HTTP's manners: it trickles, cuts, lies and hangs, as told per request."""

import json
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Behaviour = Callable[[socket.socket, bytes], bool]
"""Deals with one request, given its body; True keeps the connection."""


def answer(body: object, status: int = 200, kind: str = "application/json", **headers: str) -> Behaviour:
    """Answer properly: JSON of ``body``, or the text itself."""
    content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return lambda peer, _: _say(peer, status, content, kind, headers) or True


def problem(status: int, code: str, **headers: str) -> Behaviour:
    """Refuse with a problem document."""
    return answer(
        {"status": status, "code": code, "detail": "On demand."}, status, "application/problem+json", **headers
    )


def echo_decision(**changed: Any) -> Behaviour:
    """Allow whatever is asked, but for what a test changes; a value of ``...`` leaves the field out."""

    def run(peer: socket.socket, asked: bytes) -> bool:
        found = {**decision(json.loads(asked)), **changed}
        content = json.dumps({name: value for name, value in found.items() if value is not ...})
        return answer(content)(peer, asked)

    return run


def then_close(first: Behaviour) -> Behaviour:
    """Answer, and close the kept connection behind the client's back."""
    return lambda peer, asked: first(peer, asked) and False


def cut(after: bytes = b"") -> Behaviour:
    """Send so much and close."""

    def run(peer: socket.socket, _: bytes) -> bool:
        peer.sendall(after)
        return False

    return run


def hang(seconds: float = 5) -> Behaviour:
    """Say nothing until the client has gone."""

    def run(peer: socket.socket, _: bytes) -> bool:
        peer.settimeout(seconds)
        try:
            return bool(peer.recv(1)) and False
        except OSError:
            return False

    return run


def trickle(content: bytes, every: float = 0.05) -> Behaviour:
    """Send byte by byte, each well within an ordinary socket timeout."""

    def run(peer: socket.socket, _: bytes) -> bool:
        for number in range(len(content)):
            try:
                peer.sendall(content[number : number + 1])
            except OSError:
                return False
            time.sleep(every)
        return False

    return run


def flood(most: int) -> Behaviour:
    """Send JSON without end, at most so many bytes."""

    def run(peer: socket.socket, _: bytes) -> bool:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        piece = b"10000\r\n" + b" " * 65536 + b"\r\n"
        try:
            peer.sendall(head)
            for _number in range(most // 65536):
                peer.sendall(piece)
        except OSError:
            pass
        return False

    return run


def decision(asked: dict[str, Any]) -> dict[str, Any]:
    """Return an honest "allowed" to a question."""
    return {
        "id": "dec_x",
        "allowed": True,
        "outcome": "allowed",
        "reason": None,
        "channel": asked["channel"],
        "to": asked.get("to"),
        "topic": asked.get("topic"),
        "message_class": asked.get("message_class", "marketing"),
        "scope": None,
        "since": None,
        "not_before": None,
        "alternative": None,
        "suppression_id": None,
        "ledger_position": 7,
        "policy_version": "p.1",
    }


@dataclass
class Asked:
    """One request as it arrived."""

    line: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Hostile:
    """Use it in a ``with`` block; the last behaviour of ``plan`` stays when the others are used up."""

    plan: deque[Behaviour] = field(default_factory=lambda: deque([echo_decision()]))
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0

    def __enter__(self) -> "Hostile":
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._threads: list[threading.Thread] = []
        self._peers: list[socket.socket] = []
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for peer in self._peers:
            peer.close()
        for thread in self._threads:
            thread.join(10)

    def will(self, *plan: Behaviour) -> None:
        """Set what the next requests meet."""
        self.plan = deque(plan)

    def _start(self, target: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._peers.append(peer)
            self._start(self._serve, peer)

    def _serve(self, peer: socket.socket) -> None:
        try:
            with peer, peer.makefile("rb") as reader:
                while asked := _read(reader):
                    self.asked.append(asked)
                    behaviour = self.plan.popleft() if len(self.plan) > 1 else self.plan[0]
                    if not behaviour(peer, asked.body):
                        return
        except OSError:
            return


def _read(reader: Any) -> Asked | None:
    line = reader.readline().decode().strip()
    if not line:
        return None
    headers = {}
    while text := reader.readline().decode().strip():
        name, _, value = text.partition(":")
        headers[name.lower()] = value.strip()
    return Asked(line, headers, reader.read(int(headers.get("content-length", 0))))


def _say(peer: socket.socket, status: int, content: bytes, kind: str, headers: dict[str, str]) -> None:
    lines = [f"HTTP/1.1 {status} Said", f"Content-Type: {kind}", f"Content-Length: {len(content)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    peer.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + content)

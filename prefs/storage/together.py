"""Work that waits for the same disk is done in one go: the group commit that databases do, on our side of the driver.

Who finds nobody at work does its own piece at once. Who comes meanwhile waits, and one of those
then does all that is waiting: under load a transaction carries many pieces, and alone nobody
waits for company.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from prefs.errors import StoreUnavailable

Piece = TypeVar("Piece")
Answer = TypeVar("Answer")


def _shut() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock


@dataclass(slots=True, eq=False)
class _Seat(Generic[Piece, Answer]):
    """One piece of work. ``called`` opens once when it is done, or when its thread is to do what waits."""

    piece: Piece
    called: threading.Lock = field(default_factory=_shut)
    leads: bool = False
    answers: list[Answer] = field(default_factory=list)
    error: BaseException | None = None


class Together(Generic[Piece, Answer]):
    """A queue before work of one kind; up to ``most`` pieces go in one go, and one go runs at a time.

    A piece that waits longer than ``wait_seconds`` for its turn is given up.
    """

    def __init__(self, *, most: int, wait_seconds: float) -> None:
        self._most = most
        self._wait_seconds = wait_seconds
        self._lock = threading.Lock()
        self._at_work = False
        self._waiting: list[_Seat[Piece, Answer]] = []

    def do(self, piece: Piece, do_all: Callable[[Sequence[Piece]], Sequence[Answer]]) -> Answer:
        """Return the answer to one piece once it is done, alone or with others; ``do_all`` answers each in order.

        Raises:
            StoreUnavailable: Its turn did not come in time; it was not done.
            Exception: Whatever ``do_all`` raised; all that were in that go get the same.
        """
        seat = _Seat[Piece, Answer](piece)
        with self._lock:
            self._waiting.append(seat)
            seat.leads = not self._at_work
            self._at_work = True
        if not seat.leads:
            self._wait(seat)
        if seat.leads:
            self._lead(do_all)
        if seat.error is not None:
            raise seat.error
        return seat.answers[0]

    def _wait(self, seat: _Seat[Piece, Answer]) -> None:
        if seat.called.acquire(timeout=self._wait_seconds):
            return
        with self._lock:
            given_up = seat in self._waiting and not seat.leads
            if given_up:
                self._waiting.remove(seat)
        if given_up:
            raise StoreUnavailable("The database is busy. Try again shortly.")
        seat.called.acquire()

    def _lead(self, do_all: Callable[[Sequence[Piece]], Sequence[Answer]]) -> None:
        """Do what waits, the leader's own piece among it, and call who is next."""
        with self._lock:
            batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
        try:
            for seat, answer in zip(batch, do_all([seat.piece for seat in batch]), strict=True):
                seat.answers.append(answer)
        except BaseException as error:  # noqa: BLE001  whatever it is, every thread of the batch has to hear it
            for seat in batch:
                seat.error = error
        with self._lock:
            following = self._waiting[0] if self._waiting else None
            self._at_work = following is not None
            if following is not None:
                following.leads = True
        for seat in batch:
            if not seat.leads:
                seat.called.release()
        if following is not None:
            following.called.release()

"""Group commit: what waits is done in one go, each piece once, and nobody waits for company."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from prefs.errors import StoreUnavailable
from prefs.storage.together import Together

Queue = Together[int, int]


class Counter:
    """Doubles numbers, and notes what came in one go; holds the first go until ``let_go``."""

    def __init__(self) -> None:
        self.goes: list[list[int]] = []
        self.begun, self.let_go = threading.Event(), threading.Event()

    def __call__(self, pieces: Sequence[int]) -> Sequence[int]:
        self.goes.append(list(pieces))
        self.begun.set()
        self.let_go.wait(10)
        if -1 in pieces:
            raise ValueError("a piece is broken")
        return [2 * piece for piece in pieces]


def behind(queue: Queue, counter: Counter, pool: ThreadPoolExecutor, pieces: Sequence[int]) -> "list[Future[int]]":
    """Start these pieces one after the other while piece 0 is being done, and return the answers to come."""
    answers = [pool.submit(queue.do, 0, counter)]
    counter.begun.wait(10)
    for place, piece in enumerate(pieces):
        answers.append(pool.submit(queue.do, piece, counter))
        until(lambda place=place: len(queue._waiting) > place)  # type: ignore[misc]
    return answers


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_who_is_alone_is_done_at_once() -> None:
    queue, counter = Queue(most=10, wait_seconds=5), Counter()
    counter.let_go.set()

    assert [queue.do(piece, counter) for piece in (1, 2, 3)] == [2, 4, 6]
    assert counter.goes == [[1], [2], [3]]


def test_what_waits_is_done_in_one_go_and_no_more_than_fit() -> None:
    queue, counter = Queue(most=3, wait_seconds=5), Counter()
    with ThreadPoolExecutor() as pool:
        answers = behind(queue, counter, pool, [1, 2, 3, 4, 5])
        counter.let_go.set()

        assert [answer.result(10) for answer in answers] == [0, 2, 4, 6, 8, 10]
    assert counter.goes == [[0], [1, 2, 3], [4, 5]]


def test_an_error_is_heard_by_all_of_its_go_and_by_nobody_else() -> None:
    queue, counter = Queue(most=2, wait_seconds=5), Counter()
    with ThreadPoolExecutor() as pool:
        answers = behind(queue, counter, pool, [-1, 2, 3])
        counter.let_go.set()

        assert [type(answer.exception(10)) for answer in answers] == [type(None), ValueError, ValueError, type(None)]
    assert queue.do(7, counter) == 14


def test_a_piece_whose_turn_does_not_come_is_given_up_and_not_done_later() -> None:
    queue, counter = Queue(most=10, wait_seconds=0.05), Counter()
    with ThreadPoolExecutor() as pool:
        first, second = behind(queue, counter, pool, [1])
        with pytest.raises(StoreUnavailable):
            second.result(10)
        counter.let_go.set()

        assert first.result(10) == 0
    assert queue.do(3, counter) == 6
    assert counter.goes == [[0], [3]]


def test_of_a_thousand_pieces_from_thirty_threads_each_is_done_once() -> None:
    queue, goes = Queue(most=8, wait_seconds=5), list[list[int]]()

    def double(pieces: Sequence[int]) -> Sequence[int]:
        goes.append(list(pieces))
        time.sleep(0.0002)
        return [2 * piece for piece in pieces]

    with ThreadPoolExecutor(30) as pool:
        assert list(pool.map(lambda piece: queue.do(piece, double), range(1_000))) == [2 * n for n in range(1_000)]
    assert sorted(piece for go in goes for piece in go) == list(range(1_000))
    assert max(map(len, goes)) > 1

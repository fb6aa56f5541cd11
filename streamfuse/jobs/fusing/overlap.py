"""Reading ahead and writing behind, so that the network does not wait for codecs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

__all__ = ["WriteBehind", "read_ahead"]

T = TypeVar("T")


def read_ahead(pool: ThreadPoolExecutor, items: Iterable[T]) -> Iterator[T]:
    """The items, the next one being made in ``pool`` while the caller works on the present one."""
    iterator = iter(items)
    end = object()
    future: Future[T | object] = pool.submit(next, iterator, end)
    while (item := future.result()) is not end:
        future = pool.submit(next, iterator, end)
        yield item  # type: ignore[misc]  # everything but `end` is a T


class WriteBehind(Generic[T]):
    """Calls ``write`` in ``pool`` for each item and holds the caller back when too many wait."""

    def __init__(self, pool: ThreadPoolExecutor, write: Callable[[T], None], *, waiting: int) -> None:
        self._pool = pool
        self._write = write
        self._waiting = waiting
        self._futures: deque[Future[None]] = deque()

    def put(self, item: T) -> None:
        """Write an item soon; raises what an earlier write raised."""
        self._futures.append(self._pool.submit(self._write, item))
        while len(self._futures) > self._waiting:
            self._futures.popleft().result()

    def finish(self) -> None:
        """Wait for all writes; raises what one of them raised."""
        while self._futures:
            self._futures.popleft().result()

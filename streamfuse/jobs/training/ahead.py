"""Draws the batch of the next step while this one is computed."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, Self, TypeVar

__all__ = ["Ahead"]

T = TypeVar("T")


class Ahead(Generic[T]):
    """Gives ``make(step)``, usually already made by a thread of its own; a context manager.

    Args:
        make: a pure function, so that it does not matter when it is called.
        steps: nothing is made for this step or any after it.
    """

    def __init__(self, make: Callable[[int], T], *, steps: int) -> None:
        self._make = make
        self._steps = steps
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="batches")
        self._next: tuple[int, Future[T]] | None = None

    def take(self, step: int) -> T:
        """What belongs to ``step``; begins with the step after it."""
        waiting, self._next = self._next, None
        made = waiting[1].result() if waiting is not None and waiting[0] == step else self._make(step)
        if step + 1 < self._steps:
            self._next = step + 1, self._pool.submit(self._make, step + 1)
        return made

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

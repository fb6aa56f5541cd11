"""Closes files beside the stream: finishing a video waits for the disk, and the next frame shall not."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue

from streamfuse.errors import StreamfuseError
from streamfuse.io.closing import Closing

__all__ = ["Finisher"]


class Finisher(Closing):
    """Does one task after the other in a thread of its own, and keeps what went wrong."""

    def __init__(self) -> None:
        self._tasks: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._problems: deque[StreamfuseError] = deque()
        self._thread = threading.Thread(target=self._work, name="recorder-finisher", daemon=True)
        self._thread.start()

    def do(self, task: Callable[[], object]) -> None:
        """Do ``task`` after those before it; what it works on belongs to the thread from now on."""
        self._tasks.put(task)

    def problems(self) -> list[StreamfuseError]:
        """What went wrong since the last call."""
        return [self._problems.popleft() for _ in range(len(self._problems))]

    def close(self) -> None:
        """Do what is left, and end."""
        if self._thread.is_alive():
            self._tasks.put(None)
            self._thread.join()

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            try:
                task()
            except StreamfuseError as problem:
                self._problems.append(problem)

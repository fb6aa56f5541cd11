"""Words while a command works: a line that changes on a terminal, now and then a line in a pipe."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Final

from rich.console import Console
from rich.text import Text

from streamfuse.cli.show import Advance

__all__ = ["working"]

_EVERY_S: Final = 5.0


@contextmanager
def working(console: Console, first: str, *, every_s: float = _EVERY_S) -> Iterator[Advance]:
    """Show what is being done while the block runs; what takes less than ``every_s`` is silent in a pipe.

    Args:
        console: for messages, not for results.
        first: words until the first news.
        every_s: between two lines in a pipe, seconds.
    """
    line = first

    def show(done: int, total: int | None, note: str = "") -> None:
        nonlocal line
        of = f"{done} of {total} " if total else f"{done} " if done else ""
        line = f"{of}{note}"

    ended, begin_s = Event(), time.monotonic()

    def told() -> Text:
        return Text(f"{line} ({time.monotonic() - begin_s:.0f} s)", no_wrap=True, overflow="ellipsis")

    def tell() -> None:
        with console.status(told()) as status:
            while not ended.wait(0.25 if console.is_terminal else every_s):
                if console.is_terminal:
                    status.update(told())
                else:
                    console.print(told(), soft_wrap=True)

    teller = Thread(target=tell, name="working")
    teller.start()
    try:
        yield show
    finally:
        ended.set()
        teller.join()

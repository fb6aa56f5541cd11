"""The processes of a benchmark, and how the one that measures holds them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from multiprocessing import connection
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnContext
from pathlib import Path
from typing import Any, Final, cast

from streamfuse.errors import PromiseError, StreamfuseError

__all__ = ["READY", "Child", "answers", "own_nbytes"]

READY: Final = "ready"
_GRACE_S: Final = 5


class Child:
    """A spawned process with a pipe to it.

    Args:
        context: spawns it.
        what: its name in messages.
        job: called there with ``arguments`` and the other end of the pipe, last.
        arguments: travel as pickles.
    """

    pipe: Connection

    def __init__(
        self, context: SpawnContext, what: str, job: Callable[..., None], arguments: tuple[Any, ...]
    ) -> None:
        self.what = what
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(target=_run, args=(job, arguments, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def tell(self, word: Any) -> None:
        """Let it go on."""
        self.pipe.send(word)

    def answer(self) -> Any:
        """What it says next.

        Raises:
            StreamfuseError: what it raised on purpose.
            PromiseError: it failed.
        """
        try:
            said = self.pipe.recv()
        except EOFError as error:
            raise PromiseError(f"{self.what}: the process died") from error
        if isinstance(said, StreamfuseError):
            raise said
        if isinstance(said, str) and said != READY:
            raise PromiseError(f"{self.what}: {said}")
        return said

    def close(self) -> None:
        """End it: at once, unless it is leaving anyway."""
        self.pipe.close()
        self._process.join(_GRACE_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._process.close()


def answers(children: Sequence[Child], *, timeout_s: float) -> list[Any]:
    """What each child says next, in their order; the first that fails ends the wait for the others.

    Raises:
        StreamfuseError: what one raised on purpose.
        PromiseError: one failed, or not all have spoken in time.
    """
    said: dict[int, Any] = {}
    waiting = {child.pipe: index for index, child in enumerate(children)}
    while waiting:
        if not (ready := connection.wait(list(waiting), timeout_s)):
            raise PromiseError(f"{children[min(waiting.values())].what}: no answer within {timeout_s:g} s")
        for pipe in ready:
            index = waiting.pop(cast("Connection", pipe))
            said[index] = children[index].answer()
    return [said[index] for index in range(len(children))]


def own_nbytes() -> int:
    """Memory of this process alone, and its part of mapped files; shared memory is counted elsewhere."""
    lines = Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(("Pss_Anon:", "Pss_File:")))


def _run(job: Callable[..., None], arguments: tuple[Any, ...], parent: Connection) -> None:
    try:
        job(*arguments, parent)
    except (EOFError, BrokenPipeError):
        return  # the parent is gone
    except StreamfuseError as error:
        parent.send(error)
    except Exception as error:  # noqa: BLE001 - told to the parent, which raises it
        parent.send(f"{type(error).__name__}: {error}")

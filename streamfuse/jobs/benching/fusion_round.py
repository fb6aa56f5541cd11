"""The contestants of the benchmark of the fusion at one size, and the rounds in which they take turns."""

from __future__ import annotations

import multiprocessing as mp
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from streamfuse.errors import StreamfuseError
from streamfuse.jobs.benching.child import Child, answers
from streamfuse.jobs.benching.fusion_reference import refer
from streamfuse.jobs.benching.fusion_turns import Ask, Contestant, Opened, Plane, Setting, Turn, compete

__all__ = ["PATIENCE_S", "Entry", "Field", "Missing", "Rounds", "psnr_db"]

PATIENCE_S: Final = 600
"""For one turn, or for a network to be read, compiled and chosen."""
IDENTICAL_DB: Final = 120.0
"""Said of two images of which not one pixel differs; a single one in ten million would be below it."""
_TURN_MS: Final = 500
"""What a turn should take, in as many calls as it needs for that."""
_MOST_CALLS: Final = 20
_FEW, _MANY = 5, 50
"""Calls after which the memory of a process is looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """Who has no numbers, and why."""

    contestant: Contestant
    size_wh: tuple[int, int]
    why: str
    batch: int | None = None
    """None: it could not even begin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """The turns of one contestant, in the order of the rounds."""

    opened: Opened
    turns: Sequence[Turn]
    reference: Sequence[Turn]
    """Of the same rounds, on the same kind of device."""
    reference_batch: int
    psnr_db: float
    """Of the first pair against plain torch, float32, with the same weights."""
    is_default: bool
    """Whether it is what the engine chooses by itself here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounds:
    """What was measured at one size and batch."""

    size_wh: tuple[int, int]
    batch: int
    entries: Sequence[Entry]
    steady: Mapping[Opened, tuple[int, int]] = field(default_factory=dict)
    """Memory of each process in bytes after 5 calls and after 50; empty where nobody looked."""


@dataclass(slots=True, kw_only=True)
class _Runner:
    """A contestant at work."""

    asked: Contestant
    child: Child
    opened: Opened
    psnr_db: float = 0.0


class Field:
    """All contestants of one size, opened one after the other: some choose by measuring, and want quiet.

    Args:
        setting: what all are given.
        contestants: who may take part; of two that turn out to be the same the later one leaves.
        stack: ends the processes.
        say: told what is going on.

    Raises:
        StreamfuseError: not one of them works.
    """

    def __init__(
        self,
        setting: Setting,
        contestants: Sequence[Contestant],
        stack: ExitStack,
        *,
        say: Callable[[str], None],
    ) -> None:
        self._setting = setting
        self._stack = stack
        self._context = mp.get_context("spawn")
        self.missing: list[Missing] = []
        self._runners: list[_Runner] = []
        first_error: StreamfuseError | None = None
        for contestant in contestants:
            say(f"opening {contestant}")
            try:
                self._open(contestant)
            except StreamfuseError as error:
                first_error = first_error or error
                self._lost(contestant, error)
        if not self._runners and first_error is not None:
            raise first_error
        say("opening the reference")
        kinds = dict.fromkeys("cuda" if each.opened.on_gpu else "cpu" for each in self._runners)
        self._references = {kind: self._reference(kind) for kind in kinds}

    @property
    def _size_wh(self) -> tuple[int, int]:
        return self._setting.pictures[0][0].spec.size_wh

    def memory_over_calls(self) -> dict[Opened, tuple[int, int]]:
        """Memory of every contestant's process after few calls and after many, in bytes."""
        found = {}
        for runner in self._runners:
            few = _turn(runner.child, Ask(batch=1, calls=_FEW, settles=False))
            many = _turn(runner.child, Ask(batch=1, calls=_MANY - _FEW, settles=False))
            found[runner.opened] = (few.memory_nbytes, many.memory_nbytes)
        return found

    def turns(self, batch: int, rounds: int, *, say: Callable[[str, int], None]) -> list[Entry]:
        """Let everybody fuse batches of ``batch`` pairs, turn by turn.

        Raises:
            PromiseError: the reference failed.
        """
        # On a CPU the reference takes one pair at a time: its activations would leave every cache.
        sizes = {kind: batch if kind == "cuda" else 1 for kind in self._references}
        asks = {
            kind: _ask(child, sizes[kind], settles=kind == "cuda") for kind, child in self._references.items()
        }
        asked = {id(runner): ask for runner in tuple(self._runners) if (ask := self._first(runner, batch))}
        found: dict[int | str, list[Turn]] = defaultdict(list)
        for number in range(rounds):
            everyone: list[_Runner | str] = [*self._references, *self._runners]
            first = number % len(everyone)
            for each in everyone[first:] + everyone[:first]:
                if isinstance(each, str):
                    say(f"the reference, batch {batch}", number)
                    found[each].append(_turn(self._references[each], asks[each]))
                else:
                    say(f"{each.asked}, batch {batch}", number)
                    found[id(each)].append(_turn(each.child, asked[id(each)]))
        return [
            Entry(
                opened=runner.opened,
                turns=found[id(runner)],
                reference=found[kind := self._kind(runner)],
                reference_batch=sizes[kind],
                psnr_db=runner.psnr_db,
                is_default=runner.asked.backend == "auto" and runner.asked.precision == "auto",
            )
            for runner in self._runners
        ]

    def dismiss(self) -> None:
        """Let all processes end."""
        for child in (*self._references.values(), *(runner.child for runner in self._runners)):
            child.tell(None)

    def _kind(self, runner: _Runner) -> str:
        return "cuda" if runner.opened.on_gpu else "cpu"

    def _open(self, contestant: Contestant) -> None:
        child = self._child(str(contestant), compete, contestant)
        (opened,) = answers([child], timeout_s=PATIENCE_S)
        if not isinstance(opened, Opened):
            raise TypeError(f"expected an opened contestant, got {opened!r}")
        if any(_same(opened, other.opened) for other in self._runners):
            child.tell(None)
            return
        self._runners.append(_Runner(asked=contestant, child=child, opened=opened))

    def _reference(self, kind: str) -> Child:
        """Open the reference; the first one also says what everybody should have given."""
        runners = [runner for runner in self._runners if self._kind(runner) == kind]
        wanted = dict.fromkeys((each.opened.architecture, each.asked.weights) for each in runners)
        child = self._child("the reference", refer, kind, tuple(wanted))
        (truths,) = answers([child], timeout_s=PATIENCE_S)
        answers([child], timeout_s=PATIENCE_S)
        by_weights: dict[tuple[str, str], Plane] = dict(zip(wanted, truths, strict=True))
        for runner in runners:
            shown = _turn(runner.child, Ask(batch=1, calls=1, settles=False, shows=True)).shown
            assert shown is not None  # asked for
            runner.psnr_db = psnr_db(shown, by_weights[runner.opened.architecture, runner.asked.weights])
        return child

    def _child(self, what: str, job: Callable[..., None], *arguments: object) -> Child:
        return self._stack.enter_context(
            closing(Child(self._context, what, job, (*arguments, self._setting)))
        )

    def _first(self, runner: _Runner, batch: int) -> Ask | None:
        """Settle a batch: what a turn is, or None for who cannot; he leaves."""
        try:
            return _ask(runner.child, batch)
        except StreamfuseError as error:
            self._runners.remove(runner)
            self._lost(runner.asked, error, batch=batch)
            return None

    def _lost(self, contestant: Contestant, error: StreamfuseError, *, batch: int | None = None) -> None:
        why = str(error)
        self.missing.append(Missing(contestant=contestant, size_wh=self._size_wh, why=why, batch=batch))


def psnr_db(image: Plane, truth: Plane) -> float:
    """Peak signal to noise ratio of 8-bit images, at most :data:`IDENTICAL_DB`."""
    mse = float(np.mean((image.astype(np.float64) - truth) ** 2))
    return IDENTICAL_DB if mse == 0 else 10 * float(np.log10(255**2 / mse))


def _same(opened: Opened, other: Opened) -> bool:
    """Whether two names stand for the same backend with the same network in the same numbers."""
    return all(
        getattr(opened, name) == getattr(other, name)
        for name in ("architecture", "weights", "backend", "precision", "device")
    )


def _ask(child: Child, batch: int, *, settles: bool = True) -> Ask:
    """Compile for a batch, and see how many calls a turn should have.

    What has nothing to compile and takes long need not settle.
    """
    (ms,) = _turn(child, Ask(batch=batch, calls=1, settles=settles)).took_ms
    calls = max(1, min(_MOST_CALLS, round(_TURN_MS / ms)))
    return Ask(batch=batch, calls=calls, settles=ms < _TURN_MS)


def _turn(child: Child, ask: Ask) -> Turn:
    child.tell(ask)
    (turn,) = answers([child], timeout_s=PATIENCE_S)
    if not isinstance(turn, Turn):
        raise TypeError(f"expected a turn, got {turn!r}")
    return turn

"""The network that pipelines share: what they get of it, and what one that fails costs the others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from streamfuse.clock import SystemClock
from streamfuse.core.sharing import LanePolicy
from streamfuse.engine.fusion import FusionEngine, Mode, Pair
from streamfuse.engine.video import VideoFusion, VideoPairs
from streamfuse.errors import UsageError
from streamfuse.frames import Frame, FramePair, Image, PairState, StreamName
from streamfuse.runtime.stages.compute import Compute, ComputedBatch, Prepared
from streamfuse.runtime.stages.shared import Seat, SharedCompute

GOOD, SIXTEEN_BITS, POISON = 1, 2, 3
"""What a picture's first pixel says: fused, refused by the engine, or the death of the device."""


class Engine:
    """Gives the visible images back, in batches that it remembers."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.on_device: tuple[None, ...] = ()
        self.gate = threading.Event()
        """Closed while the test lays pairs down, so that it knows who is in a batch."""

    def fuse_images(self, pairs: Sequence[Pair], _mode: Mode) -> list[Image]:
        """Fail for pictures that say so."""
        assert self.gate.wait(10)
        words = {int(visible.planes[0][0, 0]) for visible, _ in pairs}
        if SIXTEEN_BITS in words:
            raise UsageError("the visible image has 16-bit samples")
        if POISON in words:
            raise RuntimeError("an illegal memory access was encountered")
        self.batches.append(len(pairs))
        self.on_device = tuple(None for _ in pairs)
        return [visible for visible, _ in pairs]


class Lane:
    """A pipeline's work beside the network."""

    def __init__(self, engine: Engine, order: list[str], name: str, *, looks: bool, breaks: bool) -> None:
        self.looking = object() if looks else None
        self._video = VideoFusion(cast("FusionEngine", engine), Mode.STREAM)
        self._breaks = breaks
        self._order = order
        self._name = name

    def prepare(self, pairs: Sequence[FramePair]) -> Prepared:
        """Register."""
        if self._breaks:
            raise ValueError("a frame nobody has thought of")
        images = [(pair.base.image, None) for pair in pairs]
        return Prepared(
            pairs=pairs,
            registered=(),
            to_fuse=VideoPairs(self._video, images, [0 for _ in pairs]),
            took_ms={},
        )

    def complete(
        self, prepared: Prepared, images: Sequence[Image], *, fuse_ms: float, size: int
    ) -> ComputedBatch:
        """Look for objects."""
        self._order.append(self._name)
        done: list[Any] = [
            SimpleNamespace(pair=pair, image=image)
            for pair, image in zip(prepared.pairs, images, strict=True)
        ]
        return ComputedBatch(done=done, took_ms={"fuse": fuse_ms}, size=size)


def pair(number: int, word: int = GOOD) -> FramePair:
    """A pair whose picture says how it goes."""
    image = Image.from_gray(np.full((2, 2), word, np.uint8))
    frame = Frame(stream=StreamName.VISIBLE, seq=number, image=image, pts_ns=0, capture_ns=0, arrival_ns=0)
    return FramePair(
        pair_id=number,
        state=PairState.VISIBLE_ONLY,
        visible=frame,
        infrared=None,
        skew_ms=None,
        infrared_age_ms=None,
    )


class Table:
    """The shared network with seats."""

    def __init__(self, stack: ExitStack) -> None:
        self.engine = Engine()
        self.order: list[str] = []
        self.shared = stack.enter_context(
            closing(SharedCompute(cast("FusionEngine", self.engine), SystemClock()))
        )
        stack.callback(self.engine.gate.set)
        self._stack = stack

    def seat(self, name: str, *, looks: bool = False, breaks: bool = False) -> Seat:
        """A seat for batches of at most four pairs, which do not wait for company."""
        lane = Lane(self.engine, self.order, name, looks=looks, breaks=breaks)
        policy = LanePolicy(max_batch=4, max_delay_ms=0, capacity=8, newest_wins=False, max_out=8)
        seat = Seat(self.shared, name, cast("Compute", lane), policy, wake=lambda: None)
        return self._stack.enter_context(closing(seat))

    def lay_down(self, *offers: tuple[Seat, FramePair]) -> None:
        """Offer pairs at one moment, so that they can come into one batch."""
        with self.shared.changed:
            for seat, each in offers:
                seat.offer(each, 0)
        self.engine.gate.set()


@pytest.fixture
def table() -> Iterator[Table]:
    """An empty one."""
    with ExitStack() as stack:
        yield Table(stack)


def numbers(batch: ComputedBatch | None) -> list[int]:
    """Pairs of a batch."""
    assert batch is not None
    return [done.pair.pair_id for done in batch.done]


def test_pairs_of_two_pipelines_are_fused_in_one_go_and_come_back_apart(table: Table) -> None:
    """Each gets its own, in order, and hears how large the batch was."""
    front, rear = table.seat("front"), table.seat("rear")
    table.lay_down((front, pair(0)), (rear, pair(7)), (front, pair(1)))
    ours, theirs = front.take(wait=True), rear.take(wait=True)
    assert (numbers(ours), numbers(theirs)) == ([0, 1], [7])
    assert ours is not None
    assert ours.size == 3
    assert table.engine.batches == [3]
    assert (front.out, rear.out) == (2, 1)
    front.settle()
    assert front.out == 1


def test_who_looks_for_nothing_does_not_wait_for_the_tasks_of_others(table: Table) -> None:
    """The pictures of a pipeline without tasks go out before the task networks of another run."""
    front, rear = table.seat("front", looks=True), table.seat("rear")
    table.lay_down((front, pair(0)), (rear, pair(1)))
    front.take(wait=True)
    assert table.order == ["rear", "front"]


@pytest.mark.parametrize(
    ("breaks", "word", "error"), [(True, GOOD, ValueError), (False, SIXTEEN_BITS, UsageError)]
)
def test_what_fails_for_one_pipeline_is_brought_to_it_alone(
    table: Table, breaks: bool, word: int, error: type[Exception]
) -> None:
    """In its own work, or by its pictures in the common batch: the other has its results."""
    front, rear = table.seat("front", breaks=breaks), table.seat("rear")
    table.lay_down((front, pair(0, word)), (rear, pair(1)))
    with pytest.raises(error):
        front.take(wait=True)
    assert numbers(rear.take(wait=True)) == [1]
    table.lay_down((rear, pair(2)))
    assert numbers(rear.take(wait=True)) == [2]


def test_a_device_that_breaks_ends_all(
    table: Table, wait_until: Callable[[Callable[[], bool]], None]
) -> None:
    """What the engine never raises on purpose may have harmed it: no pipeline goes on with it."""
    front, rear = table.seat("front"), table.seat("rear")
    table.lay_down((front, pair(0, POISON)))
    with pytest.raises(RuntimeError, match="illegal memory access"):
        front.take(wait=True)
    wait_until(lambda: table.shared.error is not None)
    with pytest.raises(RuntimeError, match="illegal memory access"):
        rear.take()


def test_results_for_a_pipeline_that_has_left_are_nobodys(table: Table) -> None:
    """Its seat may be taken again at once, and nothing of before comes to it."""
    front, rear = table.seat("front"), table.seat("rear")
    with table.shared.changed:
        front.offer(pair(0), 0)
        rear.offer(pair(1), 0)
    front.close()
    again = table.seat("front")
    table.lay_down((again, pair(5)))
    assert numbers(rear.take(wait=True)) == [1]
    assert numbers(again.take(wait=True)) == [5]

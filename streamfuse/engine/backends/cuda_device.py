"""The calls into CUDA that the backend needs; what it does with them is decided elsewhere.

Work is queued in three lanes, which are CUDA streams: one uploads, one computes, one downloads. What stands
in one lane runs in order; lanes run beside each other, and one waits for another only where it is told to.
All calls may come from any thread, one at a time.
"""

from __future__ import annotations

import enum
import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor

from streamfuse.errors import MachineError, OutOfMemory

__all__ = ["Captured", "Cuda", "Function", "Lane", "Marker"]

_NO_MEMORY = ("out of memory", "ALLOC_FAILED", "ALLOCATION_FAILED")
"""How torch, CUDA and cuDNN say it."""

_WARM_UPS = 3
"""Runs before a capture: in the first, cuDNN and Triton choose and load kernels, which cannot be captured."""

Function = Callable[..., Tensor]
"""What a graph is made of; takes and gives tensors on the device."""


class Lane(enum.Enum):
    """A queue of work on the device."""

    UPLOAD = enum.auto()
    COMPUTE = enum.auto()
    DOWNLOAD = enum.auto()


class Marker(Protocol):
    """A place in a lane."""

    def synchronize(self) -> None:
        """Wait on the host until the lane has come here."""


@contextmanager
def _errors_as_ours(what: str) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        said = str(error).partition("\n")[0]
        if isinstance(error, torch.OutOfMemoryError) or any(words in said for words in _NO_MEMORY):
            raise OutOfMemory(f"{what}, for want of memory: {said}") from error
        raise MachineError(f"{what}: {said}") from error


def _cudnn(*, search: bool) -> AbstractContextManager[Any]:
    """TF32 would cost the reference recipe its float32. The search for the fastest kernels takes long."""
    return torch.backends.cudnn.flags(enabled=True, benchmark=search, allow_tf32=False)


class Captured:
    """A function with its kernels recorded, so that one call starts them all.

    Its images lie where they lay when it was recorded: they are copied there and from there, within the
    device's memory, which costs little beside the rest and leaves the caller's tensors alone.

    Args:
        function: what to record; it must start the same kernels whatever the pixels are.
        inputs: of the shapes to come.
        pool: a graph with which to share memory; they never run at the same time.
        stream: where to record.
    """

    def __init__(
        self,
        function: Function,
        inputs: Sequence[Tensor],
        *,
        pool: Captured | None,
        stream: torch.cuda.Stream,
    ) -> None:
        with torch.cuda.stream(stream):
            self._inputs = [torch.clone(tensor) for tensor in inputs]
            for _ in range(_WARM_UPS):
                self._output = function(*self._inputs)
        self._graph = torch.cuda.CUDAGraph()
        shared = None if pool is None else pool._graph.pool()  # noqa: SLF001 - of the same class
        # "thread_local": another thread may lock memory for frames meanwhile, which is none of our business.
        with torch.cuda.graph(self._graph, pool=shared, stream=stream, capture_error_mode="thread_local"):
            self._output.copy_(function(*self._inputs))

    def __call__(self, inputs: Sequence[Tensor], out: Tensor) -> None:
        """Queue the work in the current stream."""
        for there, tensor in zip(self._inputs, inputs, strict=True):
            there.copy_(tensor, non_blocking=True)
        self._graph.replay()
        out.copy_(self._output, non_blocking=True)


class Cuda:
    """The current CUDA device.

    Raises:
        MachineError: there is none.
    """

    def __init__(self) -> None:
        if not torch.cuda.is_available():
            raise MachineError("torch finds no CUDA device; install a driver or choose another backend")
        try:
            self.device = torch.device("cuda", torch.cuda.current_device())
            self.name = torch.cuda.get_device_name(self.device)
            self._streams = {lane: _stream(self.device) for lane in Lane}
        except RuntimeError as error:
            raise MachineError(f"the CUDA device cannot be used: {error}") from error

    @property
    def has_half_tensor_cores(self) -> bool:
        """Whether it multiplies half-precision matrices in hardware as Triton can use it: since Ampere."""
        return torch.cuda.get_device_capability(self.device) >= (8, 0)

    @property
    def total_bytes(self) -> int:
        """Memory of the device."""
        return int(torch.cuda.get_device_properties(self.device).total_memory)

    @property
    def reserved_bytes(self) -> int:
        """What torch has taken of the device's memory, used or kept for later."""
        return torch.cuda.memory_reserved(self.device)

    @property
    def unused_bytes(self) -> int:
        """The part of it that is kept for later."""
        return self.reserved_bytes - torch.cuda.memory_allocated(self.device)

    def release_unused(self) -> None:
        """Give memory back that nothing refers to."""
        torch.cuda.empty_cache()

    def page_locked(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """Memory of the host from and to which lanes copy by themselves.

        Once freed, torch lends it again, but not before the lanes are done with it.
        """
        return torch.empty(tuple(shape), dtype=dtype, pin_memory=True)

    def is_page_locked(self, tensor: Tensor) -> bool:
        """Whether a tensor of the host lies in page-locked memory, whoever locked it."""
        return tensor.is_pinned()

    @contextmanager
    def work(self, what: str) -> Iterator[None]:
        """Some use of the lanes.

        They begin after what the caller's stream was told before, and are empty at the end, so that what
        they used may be freed.

        Args:
            what: fails, if it fails.

        Raises:
            OutOfMemory: the device has too little memory.
            MachineError: it failed otherwise.
        """
        with _errors_as_ours(what):
            caller = torch.cuda.current_stream(self.device)
            try:
                for stream in self._streams.values():
                    stream.wait_stream(caller)
                yield
            finally:
                for stream in self._streams.values():
                    stream.synchronize()

    def lane(self, lane: Lane) -> AbstractContextManager[object]:
        """Queue what follows in a lane."""
        return torch.cuda.stream(self._streams[lane])

    def mark(self, lane: Lane) -> Marker:
        """The place behind all that a lane was told so far."""
        marker: Marker = self._streams[lane].record_event()
        return marker

    def wait(self, lane: Lane, marker: Marker) -> None:
        """Let a lane wait until another has come to a place."""
        assert isinstance(marker, torch.cuda.Event)
        self._streams[lane].wait_event(marker)

    def capture(self, function: Function, inputs: Sequence[Tensor], pool: Captured | None) -> Captured:
        """Record a function, see :class:`Captured`.

        Raises:
            OutOfMemory: the device has too little memory for it.
            MachineError: it cannot be recorded: a driver too old, a kernel that does not compile.
        """
        with _errors_as_ours(f"{self.name} could not record its work"), _cudnn(search=True):
            return Captured(function, inputs, pool=pool, stream=self._streams[Lane.COMPUTE])

    def run(self, function: Function, inputs: Sequence[Tensor], out: Tensor) -> None:
        """Queue a function in the current lane as it is."""
        with _cudnn(search=False):
            out.copy_(function(*inputs), non_blocking=True)

    def times_ms(self, work: Callable[[], None], runs: int) -> tuple[float, ...]:
        """How long the device takes for each of some runs in a row of what ``work`` queues."""
        stream = self._streams[Lane.COMPUTE]
        with torch.cuda.stream(stream):
            events = [_timing_event() for _ in range(runs + 1)]
            events[0].record()
            for event in events[1:]:
                work()
                event.record()
        stream.synchronize()
        return tuple(before.elapsed_time(after) for before, after in itertools.pairwise(events))


def _stream(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # torch leaves it untyped


def _timing_event() -> torch.cuda.Event:
    return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]  # the same

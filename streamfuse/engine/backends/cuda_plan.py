"""What the CUDA backend decides: in which pieces a batch goes, what gets a graph, which kernels run.

Nothing here touches a GPU or torch, so all of it is tested without one.
"""

from __future__ import annotations

import statistics
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

__all__ = [
    "PLAIN",
    "Choice",
    "Shelf",
    "Trial",
    "choose",
    "chunk_sizes",
    "chunks",
    "graph_budget_bytes",
    "largest_chunk",
    "one_by_one",
]

CHUNK_PIXELS: Final = 2 * 640 * 480
"""Pixels at once. GRDB in plain torch holds 684 bytes a pixel in half precision: 420 MB for so many. A chunk
this large still has some thousand tiles of work for a GPU with some hundred processors."""

PLAIN: Final = "plain"
"""Name of the candidate that the others have to beat: torch's own kernels."""

_GRAPHS: Final = 16
_SEEN: Final = 64
_MIN_PSNR_DB: Final = 50.0
_WORTH: Final = 0.97
"""Kernels that are not at least 3 % faster than the plain ones are not worth being different."""

Value = TypeVar("Value")


def chunks(batch: int, pixels: int) -> tuple[slice, ...]:
    """The parts of a batch that go one after the other, each of a power of two images.

    So there are few sizes to make graphs for, no image is computed for nothing, and one part travels while
    another is computed. The small parts go first: the upload of the first is the one that nothing hides.

    Args:
        batch: images, at least 1.
        pixels: of one image.
    """
    largest = largest_chunk(pixels)
    whole, rest = divmod(batch, largest)
    sizes = [1 << bit for bit in range(rest.bit_length()) if rest >> bit & 1] + [largest] * whole
    ends = [sum(sizes[: index + 1]) for index in range(len(sizes))]
    return tuple(slice(end - size, end) for end, size in zip(ends, sizes, strict=True))


def chunk_sizes(batch: int, pixels: int) -> tuple[int, ...]:
    """Sizes of all chunks that batches of up to ``batch`` images are cut into, the largest first."""
    largest = min(largest_chunk(pixels), 1 << (batch.bit_length() - 1))
    return tuple(1 << bit for bit in reversed(range(largest.bit_length())))


def one_by_one(batch: int) -> tuple[slice, ...]:
    """The parts of a batch where memory is short."""
    return tuple(slice(index, index + 1) for index in range(batch))


def largest_chunk(pixels: int) -> int:
    """Images of so many pixels that are computed at once."""
    return 1 << (max(1, CHUNK_PIXELS // pixels).bit_length() - 1)


def graph_budget_bytes(total_bytes: int) -> int:
    """Of a GPU's memory, what graphs may hold: a quarter, as other networks live there too."""
    return total_bytes // 4


class Shelf(Generic[Value]):
    """The graphs that exist, as many as pay: bounded in number and in bytes.

    A shape gets a graph when it comes for the second time: of a folder of images that all differ in size
    none is worth one. All graphs share one pool of memory, as only one runs at a time. It is as large as the
    largest of them needs, and what one graph took is only given back with all the others. So the number is
    bounded by forgetting the one that was not used for longest, the bytes by forgetting all.

    Args:
        budget_bytes: of the pool.
    """

    def __init__(self, budget_bytes: int) -> None:
        self._budget_bytes = budget_bytes
        self._kept: OrderedDict[Hashable, Value] = OrderedDict()
        self._seen: OrderedDict[Hashable, None] = OrderedDict()
        self._refused: OrderedDict[Hashable, None] = OrderedDict()
        self._nbytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: Hashable) -> Value | None:
        """The graph of a shape, which becomes the last to be forgotten."""
        if key in self._kept:
            self._kept.move_to_end(key)
        return self._kept.get(key)

    def wants(self, key: Hashable) -> bool:
        """Note that a shape came that has no graph, and tell whether it is to get one now."""
        known = key in self._seen
        _remember(self._seen, key)
        return known and key not in self._refused

    def put(self, key: Hashable, value: Value, *, grew_bytes: int) -> None:
        """Keep a new graph, for which the pool grew by so much; another may have to go.

        One that brings the pool over its budget goes with all others, and its shape gets none from now on:
        otherwise two shapes that do not fit together would make their graphs anew at every turn.
        """
        if self._nbytes + grew_bytes > self._budget_bytes:
            self.refuse(key)
            self.clear()
            return
        self._nbytes += grew_bytes
        self._kept[key] = value
        if len(self._kept) > _GRAPHS:
            self._kept.popitem(last=False)

    def refuse(self, key: Hashable) -> None:
        """Never want a graph of this shape again, as making one has failed."""
        _remember(self._refused, key)

    def one(self) -> Value | None:
        """One of the graphs, for the pool that they share."""
        return next(iter(self._kept.values()), None)

    def clear(self) -> None:
        """Forget all graphs; shapes that come again get new ones."""
        self._kept.clear()
        self._nbytes = 0


def _remember(keys: OrderedDict[Hashable, None], key: Hashable) -> None:
    keys[key] = None
    keys.move_to_end(key)
    if len(keys) > _SEEN:
        keys.popitem(last=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """How a way to compute the network did: either it was measured, or it failed."""

    name: str
    times_ms: tuple[float, ...] = ()
    """Of single runs."""
    psnr_db: float = 0.0
    """Agreement of its images with those of the plain way."""
    failure: str | None = None

    def __post_init__(self) -> None:
        if (self.failure is None) != bool(self.times_ms):
            raise ValueError(f"a trial has either times or a failure, got {self}")

    @property
    def ms(self) -> float:
        """Median of the times."""
        return statistics.median(self.times_ms)


@dataclass(frozen=True, slots=True)
class Choice:
    """The way that is taken from now on, and why in one sentence."""

    name: str
    why: str


def choose(trials: Sequence[Trial]) -> Choice:
    """The fastest way that works and agrees with the plain one; the plain one unless another clearly wins.

    Args:
        trials: the plain one among them.
    """
    measured = [trial for trial in trials if trial.failure is None]
    plain = next((trial for trial in measured if trial.name == PLAIN), None)
    words = ", ".join(_words(trial) for trial in trials)
    if plain is None:
        return Choice(PLAIN, f"torch's kernels, as nothing could be measured ({words})")
    right = [trial for trial in measured if trial is plain or trial.psnr_db >= _MIN_PSNR_DB]
    best = min(right, key=lambda trial: trial.ms)
    if best.ms > plain.ms * _WORTH:
        return Choice(PLAIN, f"torch's kernels are the fastest here ({words})")
    return Choice(best.name, f"the {best.name} kernels are the fastest here ({words})")


def _words(trial: Trial) -> str:
    if trial.failure is not None:
        return f"{trial.name} failed: {trial.failure}"
    if trial.name != PLAIN and trial.psnr_db < _MIN_PSNR_DB:
        return f"{trial.name} {trial.ms:.3f} ms, but only {trial.psnr_db:.0f} dB of agreement"
    return f"{trial.name} {trial.ms:.3f} ms"

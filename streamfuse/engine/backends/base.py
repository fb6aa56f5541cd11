"""What a backend is."""

from __future__ import annotations

import enum
import platform
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from streamfuse.engine.backends.recipe import Recipe

if TYPE_CHECKING:  # a backend whose network lies compiled on disk starts without torch
    from torch import Tensor, nn

__all__ = ["Backend", "Blueprint", "Precision", "cpu_computes_bfloat16", "cpu_multiplies_bfloat16_tiles"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Blueprint:
    """A network before it is built, so that what is on disk already need not be built again."""

    build: Callable[[], nn.Module]
    """Makes a network of the caller's own; it maps two (B, 1, H, W) floating point images in 0..1 to one."""
    content: str | None = None
    """What the network is computed from, such as its name and the digest of its weights; what is compiled is
    kept on disk by it. None: nothing is kept."""


class Precision(enum.StrEnum):
    """In which numbers the network is computed; what stands around it is always float32."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


class Backend(Protocol):
    """Runs one network on one device. Not for use from two threads at once."""

    @property
    def name(self) -> str:
        """The name it is chosen by."""

    @property
    def device(self) -> str:
        """The hardware, in words."""

    @property
    def precision(self) -> Precision:
        """Of every recipe but the reference one, which is always float32."""

    @property
    def useful_batch(self) -> int | None:
        """Largest batch that is faster than its images one by one; None: the larger the better."""

    @property
    def memory_bytes(self) -> int | None:
        """Taken of the device's own memory at this moment; None where it is the host's."""

    @property
    def last_result(self) -> Tensor | None:
        """What :meth:`run` gave last, where it was computed, as a torch tensor; None if there is none."""

    def warm_up(self, recipe: Recipe, batch: int, size_wh: tuple[int, int]) -> None:
        """Do now what the first call of this shape would otherwise do.

        Raises:
            MachineError: the device cannot run it.
        """

    def run(self, recipe: Recipe, *arrays: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        """Fuse one batch; :class:`Recipe` states the arrays.

        Returns:
            An array that nothing else refers to.

        Raises:
            MachineError: the device failed, for instance for want of memory.
        """

    def close(self) -> None:
        """Free compiled graphs and device memory; may be called twice."""


def cpu_computes_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 in hardware; elsewhere float32 is faster."""
    return not {"amx_bf16", "avx512_bf16", "bf16"}.isdisjoint(_cpu_flags())


def cpu_multiplies_bfloat16_tiles() -> bool:
    """Whether it does so by whole tiles (AMX), several times as fast as in float32: no need to measure."""
    return "amx_bf16" in _cpu_flags()


def _cpu_flags() -> Collection[str]:
    if platform.system() != "Linux":
        return ()
    return Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").split()

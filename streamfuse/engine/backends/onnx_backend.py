"""Runs networks with ONNX Runtime, in float32."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import numpy.typing as npt

from streamfuse.engine.backends.base import Blueprint, Precision
from streamfuse.engine.backends.exports import Exports
from streamfuse.engine.backends.onnx_session import OnnxSession, device_name, finds_cuda
from streamfuse.engine.backends.recipe import GRAPH_REVISION, Recipe, blank_inputs
from streamfuse.errors import MachineError, UsageError

__all__ = ["OnnxBackend"]


class OnnxBackend:
    """:class:`~streamfuse.engine.backends.base.Backend` on ONNX Runtime: on CUDA if it can, else on the CPU.

    One session for each recipe takes images of any size, so nothing grows with the number of sizes. On a CPU
    images go one by one, which is no slower and takes the memory of one.

    Args:
        blueprint: of the network.
        precision: None or float32.

    Raises:
        UsageError: another precision.
        MachineError: ONNX Runtime cannot run the network here.
    """

    name = "onnx"
    memory_bytes = None
    last_result = None
    precision = Precision.FLOAT32

    def __init__(self, blueprint: Blueprint, *, precision: Precision | None = None) -> None:
        if precision not in {None, Precision.FLOAT32}:
            raise UsageError(f"onnx computes in {Precision.FLOAT32}; got {precision}")
        self._blueprint = blueprint
        self.device = device_name()
        self.useful_batch = None if finds_cuda() else 1
        self._session = functools.cache(self._open)
        self._session(Recipe.LUMA)  # weights that cannot be read are an error now, not at the first image

    def warm_up(self, recipe: Recipe, batch: int, size_wh: tuple[int, int]) -> None:
        """Open the session, and have it allocate for this size."""
        self.run(recipe, *blank_inputs(recipe, min(batch, self.useful_batch or batch), size_wh))

    def run(self, recipe: Recipe, *arrays: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        """Fuse one batch."""
        session = self._session(recipe)
        images, infrared, *levels = arrays
        fused = np.empty(images.shape, np.uint8)
        step = self.useful_batch or len(images)
        for start in range(0, len(images), step):
            some = slice(start, start + step)
            (fused[some],) = session.run(images[some], infrared[some], *levels)
        return fused

    def close(self) -> None:
        """Free the sessions."""
        self._session.cache_clear()

    def _open(self, recipe: Recipe) -> OnnxSession:
        make = functools.partial(_export, self._blueprint, recipe)
        if self._blueprint.content is None:
            return OnnxSession(make())
        exports = Exports(f"{self._blueprint.content} {recipe} {GRAPH_REVISION}", runtime="onnx")
        return exports.load((), make, OnnxSession)


def _export(blueprint: Blueprint, recipe: Recipe) -> bytes:
    try:
        from streamfuse.engine.backends.onnx_fusion import export_fusion  # noqa: PLC0415 - loads torch
    except ImportError as error:
        raise MachineError(
            f"the network cannot be exported ({error}): pip install 'streamfuse[onnx]'"
        ) from error
    return export_fusion(blueprint.build().float().eval(), recipe)

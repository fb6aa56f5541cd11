"""Runs networks with TensorRT on an NVIDIA GPU: built once for each shape, which takes minutes."""

from __future__ import annotations

import functools
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from streamfuse.engine.backends.base import Blueprint, Precision
from streamfuse.engine.backends.exports import Exports
from streamfuse.engine.backends.onnx_fusion import INPUTS, OUTPUT, export_fusion
from streamfuse.engine.backends.plan_shelf import PlanShape, PlanShelf
from streamfuse.engine.backends.recipe import GRAPH_REVISION, Recipe, blank_inputs
from streamfuse.engine.backends.tensorrt_plan import Plan, build_plan, check_device, plan_machine
from streamfuse.errors import MachineError, OutOfMemory, UsageError

__all__ = ["TensorRtBackend"]

_DTYPES: Final = {Precision.FLOAT16: torch.float16, Precision.FLOAT32: torch.float32}
_KEPT_SHAPES: Final = 4
"""Plans on the GPU, those used last; on disk there are more."""


class TensorRtBackend:
    """:class:`~streamfuse.engine.backends.base.Backend` on TensorRT, for streams of one size.

    A plan is built for each recipe, batch and size, and kept on disk for this GPU, driver and version of
    TensorRT. A batch smaller than one that was built is filled up rather than built.

    Args:
        blueprint: of the network.
        precision: None for float16.

    Raises:
        UsageError: bfloat16, which ONNX has no convolutions in.
        MachineError: there is no CUDA device.
    """

    name = "tensorrt"
    useful_batch = None

    def __init__(self, blueprint: Blueprint, *, precision: Precision | None = None) -> None:
        if precision not in {None, *_DTYPES}:
            raise UsageError(f"tensorrt computes in {', '.join(_DTYPES)}; got {precision}")
        self.device = check_device()
        self.precision = precision or Precision.FLOAT16
        self._blueprint = blueprint
        self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        self._plans = PlanShelf(self._open, kept=_KEPT_SHAPES)
        self.last_result: Tensor | None = None
        """What :meth:`run` gave last, on the device; None before, after it failed and after :meth:`close`."""

    @property
    def memory_bytes(self) -> int | None:
        """What torch has taken of the GPU's memory, and what the plans need between their layers."""
        return torch.cuda.memory_reserved() + sum(plan.memory_bytes for plan in self._plans)

    def warm_up(self, recipe: Recipe, batch: int, size_wh: tuple[int, int]) -> None:
        """Build or load the plan, and fuse black images."""
        self._plans.exact(PlanShape(recipe, batch, size_wh))
        self.run(recipe, *blank_inputs(recipe, batch, size_wh))

    def run(self, recipe: Recipe, *arrays: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        """Fuse one batch."""
        self.last_result = None
        wanted, height, width = arrays[1].shape
        batch, plan = self._plans.fitting(PlanShape(recipe, wanted, (width, height)))
        images, infrared, *levels = arrays
        filled = (_filled(images, batch), _filled(infrared, batch), *levels)
        try:
            with torch.cuda.stream(self._stream):
                # torch.tensor copies: the arrays may be read-only views, which from_numpy warns of.
                tensors = (torch.tensor(array, device="cuda") for array in filled)
                fused = plan.run(dict(zip(INPUTS, tensors, strict=False)))[OUTPUT][:wanted]
                result: npt.NDArray[np.uint8] = fused.cpu().numpy()
        except RuntimeError as error:
            kind = OutOfMemory if isinstance(error, torch.OutOfMemoryError) else MachineError
            raise kind(
                f"{self.device} failed to fuse {wanted} images of {width}x{height}: {error}"
            ) from error
        fused.record_stream(torch.cuda.current_stream())  # on which others read it
        self.last_result = fused
        return result

    def close(self) -> None:
        """Free the plans."""
        self._plans.clear()
        self.last_result = None

    def _open(self, shape: PlanShape) -> Plan:
        recipe, batch, size_wh = shape
        precision = Precision.FLOAT32 if recipe is Recipe.REFERENCE else self.precision
        make = functools.partial(_build, self._blueprint, shape, precision)
        if self._blueprint.content is None:
            return Plan(make())
        content = f"{self._blueprint.content} {recipe} {precision} {GRAPH_REVISION} {plan_machine()}"
        return Exports(content, runtime="tensorrt").load((batch, *size_wh), make, Plan)


def _filled(images: npt.NDArray[Any], batch: int) -> npt.NDArray[Any]:
    """Images with black ones behind them, up to a whole batch."""
    missing = batch - len(images)
    return (
        np.concatenate((images, np.zeros((missing, *images.shape[1:]), images.dtype))) if missing else images
    )


def _build(blueprint: Blueprint, shape: PlanShape, precision: Precision) -> bytes:
    recipe, batch, size_wh = shape
    network = blueprint.build().eval().to("cuda", _DTYPES[precision])
    title = f"the fusion network for batches of {batch} at {'x'.join(map(str, size_wh))}"
    return build_plan(export_fusion(network, recipe, batch=batch, size_wh=size_wh), title=title)

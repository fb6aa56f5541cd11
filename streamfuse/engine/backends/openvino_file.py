"""Networks as OpenVINO's files, for other programs."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor, nn

from streamfuse.engine.backends.openvino_quiet import CORE, openvino
from streamfuse.errors import MachineError

__all__ = ["run_openvino", "write_openvino"]


def write_openvino(
    path: Path,
    graph: nn.Module,
    example: Mapping[str, Tensor],
    *,
    outputs: Sequence[str],
    free: Mapping[str, Mapping[int, str]],
    notes: Mapping[str, str],
) -> None:
    """Write an .xml and, beside it, a .bin with the weights in float32.

    Args:
        path: of the .xml.
        graph: on the CPU.
        example: input by name; the shapes of the file are its shapes, but for free axes.
        outputs: names of the results.
        free: axes that may have any length.
        notes: kept in the file as its runtime information.

    Raises:
        MachineError: OpenVINO cannot take the network.
    """
    tensors = tuple(example.values())
    with warnings.catch_warnings(), torch.inference_mode():
        # What OpenVINO reads is made by torch.jit, which torch has deprecated; the tracer warns of what
        # becomes a constant: only where that is right, axes are free.
        warnings.simplefilter("ignore")
        graph(*tensors)  # what a network keeps per shape must be there before it is traced
        traced = torch.jit.trace(graph, tensors, check_trace=False)  # type: ignore[no-untyped-call]
        try:
            model = openvino.convert_model(traced, example_input=tensors)
        except RuntimeError as error:
            raise MachineError(f"this network cannot be written for OpenVINO: {error}") from error
    shapes = {}
    for place, (name, tensor) in enumerate(example.items()):
        model.inputs[place].get_tensor().set_names({name})
        sides = [-1 if axis in free.get(name, {}) else side for axis, side in enumerate(tensor.shape)]
        shapes[place] = openvino.PartialShape(sides)
    model.reshape(shapes)
    for place, name in enumerate(outputs):
        model.outputs[place].get_tensor().set_names({name})
    for key, value in notes.items():
        model.set_rt_info(value, ["streamfuse", key])
    openvino.save_model(model, path, compress_to_fp16=False)


def run_openvino(path: Path, arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """Outputs of a written file by name, computed in float32 on the CPU.

    Raises:
        MachineError: OpenVINO cannot run it here.
    """
    try:
        compiled = CORE.compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        found = compiled(dict(arrays))
    except RuntimeError as error:
        raise MachineError(f"OpenVINO cannot run what was written: {error}") from error
    return {output.get_any_name(): found[output] for output in compiled.outputs}

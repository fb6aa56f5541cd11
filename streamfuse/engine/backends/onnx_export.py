"""Networks as ONNX files, the form that ONNX Runtime, TensorRT and many others read."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from typing import Final

import onnx
import torch
from torch import Tensor, nn

from streamfuse.errors import MachineError

__all__ = ["Axes", "onnx_bytes"]

_OPSET: Final = 17

Axes = Mapping[str, Mapping[int, str]]
"""Names of the axes that may have any length, by tensor and place of the axis."""


def onnx_bytes(
    graph: nn.Module,
    example: Mapping[str, Tensor],
    *,
    outputs: Sequence[str],
    free: Axes | None = None,
    notes: Mapping[str, str] | None = None,
) -> bytes:
    """The content of an ONNX file.

    Args:
        graph: on the device of the example; it is put into eval mode.
        example: input by name; the shapes of the file are its shapes, but for free axes.
        outputs: names of the results; there may be fewer results.
        free: axes of inputs and outputs that may have any length.
        notes: kept in the file as its metadata.

    Raises:
        MachineError: the network does something that ONNX has no words for.
    """
    content = io.BytesIO()
    with warnings.catch_warnings(), torch.inference_mode():
        # The exporter by tracing is the one that needs no further package; torch has deprecated it, and warns
        # of what becomes a constant: only where that is right, axes are free.
        warnings.simplefilter("ignore")
        # What a network keeps per shape must be there before it is traced; and the exporter leaves all of its
        # parts in the mode in which it found the whole.
        results = graph.eval()(*example.values())
        count = len(results) if isinstance(results, tuple) else 1
        try:
            torch.onnx.export(
                graph,
                tuple(example.values()),
                content,  # type: ignore[arg-type]  # a file in memory is taken too
                opset_version=_OPSET,
                dynamo=False,
                input_names=list(example),
                output_names=list(outputs[:count]),
                dynamic_axes=dict(free or {}),
            )
        except torch.onnx.OnnxExporterError as error:
            raise MachineError(
                f"this network cannot be written as ONNX, run it with torch: {error}"
            ) from error
    model = onnx.load_model_from_string(content.getvalue())
    onnx.helper.set_model_props(model, dict(notes or {}))
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())

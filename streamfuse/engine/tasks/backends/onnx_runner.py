"""Runs task networks with ONNX Runtime, on CUDA where its GPU build is installed, else on the CPU."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any, Final

import onnxruntime
import torch
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, RuntimeException
from torch import nn

from streamfuse.engine.backends.exports import Exports
from streamfuse.engine.tasks.backends.base import Pixels, Raw
from streamfuse.engine.tasks.backends.onnx_export import ONNX_FILE, export_onnx
from streamfuse.errors import MachineError

__all__ = ["OnnxRunner"]

_KEPT_SHAPES: Final = 4
_PROVIDERS: Final = ("CUDAExecutionProvider", "CPUExecutionProvider")
_ERRORS: Final = (Fail, RuntimeException)


class OnnxRunner:
    """:class:`~streamfuse.engine.tasks.backends.base.TaskBackend` on ONNX Runtime, in float32.

    Args:
        graph: what to run.
        content: what it is computed from; the ONNX files are kept by it.
    """

    name = "onnx"
    takes_tensors = False

    def __init__(self, graph: nn.Module, *, content: str) -> None:
        self._graph = graph
        self._exports = Exports(content, runtime="onnxruntime")
        available = onnxruntime.get_available_providers()
        self._providers = [provider for provider in _PROVIDERS if provider in available]
        self.device = self._providers[0].removesuffix("ExecutionProvider")
        self._session = functools.lru_cache(_KEPT_SHAPES)(self._open)

    def run(self, images: Sequence[Pixels]) -> Iterator[Raw]:
        """Look at images one by one."""
        for image in images:
            try:
                found = self._session(image.shape).run(None, {"images": image[None]})
            except _ERRORS as error:
                raise MachineError(f"ONNX Runtime failed to look at {image.shape}: {error}") from error
            predictions, *prototypes = map(torch.from_numpy, found)
            yield Raw(predictions, prototypes[0] if prototypes else None)

    def close(self) -> None:
        """Free the sessions."""
        self._session.cache_clear()

    def _open(self, shape: tuple[int, ...]) -> Any:
        whole = (1, *shape)
        try:
            place = self._exports.find(whole, functools.partial(export_onnx, self._graph, whole))
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = torch.get_num_threads()
            return onnxruntime.InferenceSession(place / ONNX_FILE, options, providers=self._providers)
        except (OSError, *_ERRORS) as error:
            raise MachineError(f"ONNX Runtime cannot open the exported network: {error}") from error

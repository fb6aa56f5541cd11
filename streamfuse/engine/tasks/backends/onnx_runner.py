"""Runs task networks with ONNX Runtime, on CUDA where its GPU build and a device are, else on the CPU."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from streamfuse.engine.backends.onnx_session import OnnxSession, device_name
from streamfuse.engine.tasks.backends.base import GraphMaker, Pixels, Raw
from streamfuse.engine.tasks.backends.kept import task_exports
from streamfuse.errors import MachineError

__all__ = ["OnnxRunner"]

_KEPT_SHAPES: Final = 4


class OnnxRunner:
    """:class:`~streamfuse.engine.tasks.backends.base.TaskBackend` on ONNX Runtime, in float32.

    Args:
        make_graph: gives what to run; asked only where no exported form is kept.
        content: what it is computed from; the ONNX files are kept by it.
    """

    name = "onnx"
    takes_tensors = False

    def __init__(self, make_graph: GraphMaker, *, content: str) -> None:
        self._make_graph = make_graph
        self._exports = task_exports(content, runtime="onnx")
        self.device = device_name()
        self._session = functools.lru_cache(_KEPT_SHAPES)(self._open)

    def run(self, images: Sequence[Pixels]) -> Iterator[Raw]:
        """Look at images one by one."""
        for image in images:
            predictions, *prototypes = self._session(image.shape).run(np.asarray(image)[None])
            yield Raw(predictions, prototypes[0] if prototypes else None)

    def close(self) -> None:
        """Free the sessions."""
        self._session.cache_clear()

    def _open(self, shape: tuple[int, ...]) -> OnnxSession:
        whole = (1, *shape)
        return self._exports.load(whole, functools.partial(self._export, whole), OnnxSession)

    def _export(self, shape: tuple[int, ...]) -> bytes:
        try:
            from streamfuse.engine.tasks.backends.onnx_export import export_task  # noqa: PLC0415 - loads torch
        except ImportError as error:
            raise MachineError(
                f"the network cannot be exported ({error}): pip install 'streamfuse[onnx]'"
            ) from error
        return export_task(self._make_graph(), shape)

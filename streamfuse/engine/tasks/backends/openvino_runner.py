"""Runs task networks with OpenVINO on the CPU."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from streamfuse.engine.backends.base import cpu_computes_bfloat16
from streamfuse.engine.backends.openvino_quiet import CORE, openvino
from streamfuse.engine.tasks.backends.base import GraphMaker, Pixels, Raw
from streamfuse.engine.tasks.backends.kept import task_exports
from streamfuse.errors import MachineError

__all__ = ["OpenVinoRunner"]

_KEPT_SHAPES: Final = 4
"""Compiled shapes kept; a small network holds some 60 MB at 640x480."""
_FILE: Final = "network.xml"


class OpenVinoRunner:
    """:class:`~streamfuse.engine.tasks.backends.base.TaskBackend` on OpenVINO, with all cores.

    Compiled for each size of image, one image at a time: one keeps the cores busy. Convolutions are computed
    in bfloat16 where the CPU has it, boxes and scores always in float32.

    Args:
        make_graph: gives what to run; asked only where no converted form is kept.
        content: what it is computed from; converted forms are kept by it.

    Raises:
        MachineError: OpenVINO has no CPU plugin here.
    """

    name = "openvino"
    takes_tensors = False

    def __init__(self, make_graph: GraphMaker, *, content: str) -> None:
        self._make_graph = make_graph
        self._exports = task_exports(content, runtime="openvino")
        try:
            self.device = str(CORE.get_property("CPU", "FULL_DEVICE_NAME"))
        except RuntimeError as error:
            raise MachineError(f"OpenVINO cannot use this CPU: {error}") from error
        self._request = functools.lru_cache(_KEPT_SHAPES)(self._compile)

    def run(self, images: Sequence[Pixels]) -> Iterator[Raw]:
        """Look at images one by one."""
        for image in images:
            try:
                request = self._request(image.shape)
                found = request.infer((image[None],), share_inputs=True, share_outputs=True)
            except RuntimeError as error:
                raise MachineError(f"OpenVINO failed to look at {image.shape}: {error}") from error
            predictions, *prototypes = (found[index] for index in range(len(found)))
            yield Raw(predictions, prototypes[0] if prototypes else None)

    def close(self) -> None:
        """Free the compiled networks."""
        self._request.cache_clear()

    def _compile(self, shape: tuple[int, ...]) -> openvino.InferRequest:
        precision = "bf16" if cpu_computes_bfloat16() else "f32"
        config = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"}
        return CORE.compile_model(self._model(shape), "CPU", config).create_infer_request()

    def _model(self, shape: tuple[int, ...]) -> openvino.Model:
        """The network for one shape: from the cache, or converted now."""
        try:
            place = self._exports.find(shape, functools.partial(self._export, shape))
        except OSError:  # a cache that cannot be written costs time only
            return self._convert(shape)
        try:
            return CORE.read_model(place / _FILE)
        except RuntimeError:  # damaged, or pruned by another process at this moment
            self._exports.drop(place)
            return self._convert(shape)

    def _export(self, shape: tuple[int, ...], folder: Path) -> None:
        openvino.save_model(self._convert(shape), folder / _FILE, compress_to_fp16=False)

    def _convert(self, shape: tuple[int, ...]) -> openvino.Model:
        from streamfuse.engine.tasks.backends.openvino_convert import convert  # noqa: PLC0415 - loads torch

        return convert(self._make_graph(), shape)

"""The main function of a measuring process: ``python -m streamfuse.jobs.evaluating.worker``.

It reads orders from standard input and writes answers to standard output, one line of JSON each,
and ends with its input.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import setproctitle

from streamfuse.errors import SourceError, StreamfuseError
from streamfuse.io.images import read_image
from streamfuse.metrics.convention import Convention
from streamfuse.metrics.fusion import METRICS, fusion_metrics
from streamfuse.metrics.gray import gray_of

__all__ = ["main", "measure"]


def main() -> None:
    """Answer orders until there are no more, or nobody listens."""
    setproctitle.setproctitle("streamfuse evaluate")
    with contextlib.suppress(BrokenPipeError):
        for line in sys.stdin:
            answer = json.dumps(_answer(json.loads(line))) + "\n"
            os.write(sys.stdout.fileno(), answer.encode())  # unbuffered: nothing is left to fail at exit


def _answer(order: dict[str, Any]) -> dict[str, Any]:
    files = [Path(order[side]) for side in ("visible", "infrared", "fused")]
    try:
        return {
            "values": measure(files, convention=Convention(order["convention"]), metrics=order["metrics"])
        }
    except StreamfuseError as error:
        return {"error": str(error)}


def measure(files: list[Path], *, convention: Convention, metrics: list[str]) -> dict[str, float]:
    """Metrics of the files visible, infrared, fused; nan for one whose windows are larger than the images.

    Raises:
        SourceError: a file is no 8-bit image without alpha, or their sizes differ.
    """
    images = [_read(path) for path in files]
    fused = images[2]
    for path, image in zip(files, images, strict=True):
        if image.shape != fused.shape:
            raise SourceError(
                f"{files[2]} is {_size(fused)}, but {path} is {_size(image)}; "
                "what is compared must have one size"
            )
    fitting = [name for name in metrics if METRICS[name].min_side <= min(fused.shape)]
    values = fusion_metrics(*images, convention=convention, names=fitting)
    return {name: values.get(name, math.nan) for name in metrics}


def _read(path: Path) -> npt.NDArray[np.uint8]:
    pixels = read_image(path).planes[0]
    if pixels.dtype != np.uint8:
        raise SourceError(
            f"{path}: has 16-bit samples, and metrics are of 8-bit images; convert it to 8 bits first"
        )
    return gray_of(pixels)


def _size(image: npt.NDArray[np.uint8]) -> str:
    height, width = image.shape
    return f"{width}x{height}"


if __name__ == "__main__":
    main()

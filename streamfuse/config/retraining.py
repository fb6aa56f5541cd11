"""The file that a detector is fine-tuned by, once for each set of images, before it is judged on them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from streamfuse.config.fields import AbsolutePath, Block, TaskWeights
from streamfuse.config.overrides import with_overrides
from streamfuse.config.training_detector import Learning
from streamfuse.config.validate import validate
from streamfuse.config.yamldoc import load_yaml

__all__ = ["Retraining", "load_retraining"]


class Retraining(Block):
    """The same budget for every set: images of the same names, labels, steps, seed and start."""

    names: AbsolutePath
    """Text file of stems: the images of each folder to learn from. None of them may be judged."""
    start_from: TaskWeights | None = "default"
    """The detector that every set begins with; null = fresh weights."""
    architecture: Annotated[str, Field(min_length=1)] = "yolov8n-seg"
    """Of ``start_from``, as Ultralytics calls it. Masks are learnt as ellipses in the boxes, not judged."""
    side_px: Annotated[int, Field(ge=64, le=1280, multiple_of=32)] = 320
    """Of the squares that are cut from the images at their own size, and to which whole images are shrunk."""
    learning: Learning = Learning()
    precision: Literal["bfloat16", "float32"] = "bfloat16"
    """Of the network's layers while it learns; weights and losses stay float32."""
    device: Literal["cpu", "cuda"] = "cpu"
    threads: Annotated[int, Field(ge=0)] = 0
    """CPU threads; 0 = as many as there are cores."""


def load_retraining(path: str | Path, overrides: Sequence[str] = ()) -> Retraining:
    """Read and check such a file, with ``key.path=value`` overrides laid over it.

    Raises:
        ConfigError: all mistakes, one line each, in the order of the file.
    """
    return validate(Retraining, with_overrides(load_yaml(path), overrides))

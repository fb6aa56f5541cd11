"""The one way to Ultralytics: quiet, offline, and without side effects on the rest of the process.

Every file that needs a part of Ultralytics asks :func:`ultralytics` for it. Nothing is then downloaded,
installed or reported home, and its settings lie in our cache folder instead of the user's configuration.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import cv2
import numpy as np
import torch

from streamfuse.folders import cache_dir

__all__ = ["libraries_unchanged", "ultralytics"]

_PACKAGE: Final = "ultralytics"
_OPENMP: Final = "OMP_NUM_THREADS"

_ENVIRONMENT: Final = {
    "ULTRALYTICS_SAFE_LOAD": "true",  # weights_only
    "YOLO_AUTOINSTALL": "false",  # no pip at run time
    "YOLO_OFFLINE": "true",  # no downloads, no update check, no analytics
    "YOLO_VERBOSE": "false",
}
"""Read by Ultralytics when it is imported."""


def ultralytics(module: str = "") -> Any:
    """The package, or the module of this name inside it, such as ``nn.tasks``.

    Whoever imports it first decides how it behaves: hence no other way in this code base.
    """
    name = f"{_PACKAGE}.{module}" if module else _PACKAGE
    if name in sys.modules:
        return sys.modules[name]
    os.environ.update(_ENVIRONMENT, YOLO_CONFIG_DIR=str(cache_dir()))
    with libraries_unchanged():
        return importlib.import_module(name)


@contextmanager
def libraries_unchanged() -> Iterator[None]:
    """Undo what Ultralytics does to the whole process.

    It gives OpenCV, torch and all of OpenMP one thread, and prints arrays its own way.
    """
    opencv, torch_threads, openmp = cv2.getNumThreads(), torch.get_num_threads(), os.environ.get(_OPENMP)
    printing = np.get_printoptions()
    try:
        yield
    finally:
        cv2.setNumThreads(opencv)
        torch.set_num_threads(torch_threads)
        np.set_printoptions(**printing)
        if openmp is None:
            os.environ.pop(_OPENMP, None)

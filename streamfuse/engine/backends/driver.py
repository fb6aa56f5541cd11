"""Whether this machine has NVIDIA's driver, known without torch, which takes seconds to load."""

from __future__ import annotations

import ctypes
import functools
import sys
from typing import Final

__all__ = ["has_cuda_driver"]

_LIBRARY: Final = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"


@functools.cache
def has_cuda_driver() -> bool:
    """Whether CUDA may work here: without the driver's library it cannot, with it, it may still fail."""
    try:
        ctypes.CDLL(_LIBRARY)
    except OSError:
        return False
    return True

"""Kernels of the street, compiled once on a machine though both cameras want them at the same moment."""

from __future__ import annotations

import fcntl
import functools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import ParamSpec, TypeVar

import numba

from streamfuse.folders import cache_dir

__all__ = ["kernel"]

P = ParamSpec("P")
R = TypeVar("R")


def kernel(*, fastmath: bool = False) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Compile a function of loops at its first call, for this process and those after it.

    Who comes second to a kernel waits for the first and takes it from numba's cache: compiling takes a third
    of a second of a core, and two camera processes would spend it on the same. Another kernel cannot call
    what this gives; what it calls takes ``numba.njit`` itself.

    Args:
        fastmath: let the compiler change the order of sums and products.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        compiled = numba.njit(cache=True, error_model="numpy", fastmath=fastmath)(function)
        is_ready = False

        @functools.wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            nonlocal is_ready
            if is_ready:
                return compiled(*args, **kwargs)
            with _alone(function.__name__):
                result = compiled(*args, **kwargs)
            is_ready = True
            return result

        return run

    return decorate


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """Hold this user's lock of a kernel where there is one to be had; it ends with its holder."""
    path = cache_dir() / "kernels" / f"{name}.lock"
    with ExitStack() as stack:
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            fcntl.flock(stack.enter_context(path.open("wb")), fcntl.LOCK_EX)
        yield

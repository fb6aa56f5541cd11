"""Page-locked memory: what a GPU copies from without a detour, while the host goes on."""

from __future__ import annotations

from streamfuse.errors import MachineError

__all__ = ["pinned_memory"]


def pinned_memory(nbytes: int) -> memoryview:
    """A writable buffer of page-locked memory, freed with the last view of it.

    Raises:
        MachineError: there is no CUDA device, or it locks no more memory.
    """
    import torch  # noqa: PLC0415 - seconds to load, and only who has a GPU comes here

    try:
        return torch.empty(nbytes, dtype=torch.uint8, pin_memory=True).numpy().data
    except RuntimeError as error:
        raise MachineError(f"{nbytes} bytes of page-locked memory cannot be had: {error}") from error

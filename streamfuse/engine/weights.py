"""The numbers of a network: read from the files of the store and written there, checked.

:mod:`streamfuse.engine.store` knows where the files lie and whose they are.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from streamfuse.engine.store import WeightsFile, card_path, checked_content
from streamfuse.engine.weightscard import WeightsCard
from streamfuse.errors import OutputError, UsageError, WeightsError
from streamfuse.nets.registry import build

__all__ = [
    "check_numbers",
    "load_network",
    "load_state",
    "read_torch_file",
    "write_atomically",
    "write_weights",
]

_UNPICKLING_ERRORS = (
    pickle.UnpicklingError,
    EOFError,
    RuntimeError,
    LookupError,
    AttributeError,
    TypeError,
    ValueError,
)
"""What torch raises, by the place where a file is damaged."""


def load_network(weights: WeightsFile) -> nn.Module:
    """The network of a weights file, on the CPU, float32, in eval mode.

    Raises:
        WeightsError: the file is no longer that of its card, is no safetensors file, or does not fit the
            architecture on the card.
    """
    state = load_state(weights)
    try:
        network = build(weights.card.architecture)
    except UsageError as error:
        raise WeightsError(f"{weights.path}: {error}") from error
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        first = str(error).splitlines()[-1].strip()
        raise WeightsError(f"{weights.path} does not fit {weights.card.architecture!r}: {first}") from error
    return network.eval()


def load_state(weights: WeightsFile) -> dict[str, Tensor]:
    """The tensors of a weights file by name, on the CPU, of the dtypes in the file.

    Raises:
        WeightsError: the file is no longer that of its card, is no safetensors file, or holds infinities.
    """
    content = checked_content(weights)
    try:
        state = load(content)
    except SafetensorError as error:
        raise WeightsError(f"{weights.path} is not a safetensors file: {error}") from error
    check_numbers(state, weights.path)
    return state


def write_weights(path: Path, state: Mapping[str, Tensor], **card: object) -> WeightsFile:
    """Write a state dict and its card; ``card`` gives the fields that do not follow from the file.

    Raises:
        OutputError: the folder cannot be written.
    """
    content = save(dict(state))
    made = WeightsCard.from_json({**card, "name": path.stem, "sha256": hashlib.sha256(content).hexdigest()})
    # The card goes last: if this is interrupted, the sha256 gives it away.
    write_atomically(path, content)
    write_atomically(card_path(path), made.to_json().encode())
    return WeightsFile(path=path, card=made)


def write_atomically(path: Path, content: bytes) -> None:
    """Replace ``path`` by ``content``: a reader, or a restart after a crash, sees the old or the new file.

    Raises:
        OutputError: the folder cannot be made or written.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):  # the folder itself may be what is wrong
            partial.unlink()
        raise OutputError(f"cannot write {path}: {error.strerror}") from error


def read_torch_file(path: Path, *, device: str = "cpu") -> object:
    """Content of a file written by ``torch.save``: tensors and plain containers; code in it never runs.

    Raises:
        WeightsError: the file is missing, damaged, or holds anything else.
    """
    try:
        return torch.load(path, map_location=device, weights_only=True)
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror}") from error
    except _UNPICKLING_ERRORS as error:
        raise WeightsError(f"{path} is not a torch file of tensors alone, or is damaged") from error


def check_numbers(state: Mapping[str, Tensor], path: Path) -> None:
    """Refuse weights with infinities or NaN: they make black pictures and no error."""
    for name, tensor in state.items():
        if not torch.isfinite(tensor).all():
            raise WeightsError(
                f"{path}: {name} holds values that are no finite numbers; train or import it again"
            )

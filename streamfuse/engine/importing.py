"""Foreign weights, brought once into the user's store: safe files with a card, known by a name."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from torch import Tensor

from streamfuse.engine.store import WeightsFile, user_path
from streamfuse.engine.tasks.networks import load_task_network
from streamfuse.engine.tasks.saved import architecture_of, save_task_network
from streamfuse.engine.weights import check_numbers, read_torch_file, write_weights
from streamfuse.errors import UsageError, WeightsError
from streamfuse.nets.published import KNOWN_FILES, from_published

__all__ = ["RELEASE", "RELEASE_LICENCE", "import_detector", "import_published", "import_weights"]

RELEASE: Final = "https://github.com/ultralytics/assets/releases/download/v8.4.0"
"""Where Ultralytics publishes its networks, trained on COCO."""
RELEASE_LICENCE: Final = "AGPL-3.0 (Ultralytics)"

_UNKNOWN_LICENCE: Final = "unknown: ask the author of the file"


def import_weights(path: Path, name: str, *, trust: bool = False) -> WeightsFile:
    """Convert a published fusion checkpoint, or a .pt file of a YOLO network, into the user's store.

    Raises:
        UsageError: the name cannot be taken.
        WeightsError: see :func:`import_published` and :func:`import_detector`.
        OutputError: the store cannot be written.
    """
    if path.suffix.lower() == ".pt" and not _is_plain(path):
        return import_detector(path, name, trust=trust)
    return import_published(path, name)


def import_published(path: Path, name: str) -> WeightsFile:
    """Convert a published SeAFusion checkpoint into the user's store.

    The file is unpickled with ``weights_only=True``: tensors and plain containers, no code. A name that
    the user's store already has is replaced.

    Args:
        path: the ``.pth`` file, a plain state dict.
        name: lower-case letters, digits, ``.``, ``_`` and ``-``; not ``default`` nor a shipped name.

    Raises:
        UsageError: the name cannot be taken.
        WeightsError: the file is unreadable or no such checkpoint.
        OutputError: the store cannot be written.
    """
    kept_at = user_path(name)
    state = from_published(_published_state(path))
    check_numbers(state, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return write_weights(
        kept_at,
        {key: tensor.float().contiguous() for key, tensor in state.items()},
        architecture="grdb",
        data="as published",
        licence=KNOWN_FILES.get(digest, _UNKNOWN_LICENCE),
        made_by=f"streamfuse weights import {path.name} --as {name}",
        source=f"{path.name}, sha256 {digest}",
    )


def import_detector(
    path: Path, name: str, *, trust: bool = False, source: str = "", licence: str = _UNKNOWN_LICENCE
) -> WeightsFile:
    """Convert a YOLO network of Ultralytics into the user's store, in half precision.

    A name that the user's store already has is replaced.

    Args:
        path: the ``.pt`` file.
        name: as for :func:`import_published`.
        trust: run the code in the file, if it holds any beyond a known network.
        source: where the file comes from, for the card; its name and sha256 are added.
        licence: for the card.

    Raises:
        UsageError: the name cannot be taken.
        WeightsError: the file is missing, damaged, not trusted, no YOLO network for detection or
            segmentation, or one of an architecture that Ultralytics does not ship.
        OutputError: the store cannot be written.
    """
    kept_at = user_path(name)
    network = load_task_network(str(path), kind="detect", trust=trust, where="weights import")
    card = {
        "architecture": architecture_of(network.module),
        "data": "as published",
        "licence": licence,
        "made_by": f"streamfuse weights import {path.name} --as {name}",
        "source": f"{source or path.name}, sha256 {network.sha256}",
    }
    try:
        return save_task_network(network.module, network.names, path=kept_at, card=card)
    except UsageError as error:
        raise WeightsError(
            f"{path} has layers of its own design and cannot be kept under a name; use it by its path"
        ) from error


def _is_plain(path: Path) -> bool:
    """Whether a file holds nothing but tensors by name, as fusion checkpoints do."""
    try:
        _published_state(path)
    except WeightsError:
        return False
    return True


def _published_state(path: Path) -> dict[str, Tensor]:
    """A plain state dict from a torch file, and nothing else."""
    content = read_torch_file(path)
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise WeightsError(f"{path} is not a plain state dict of tensors; only such files can be imported")
    return content

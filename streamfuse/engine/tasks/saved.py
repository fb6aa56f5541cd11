"""Our own files of task networks: safetensors with a card, from which the network is built by its name.

Large tensors are kept in half precision, vectors (biases, statistics of normalisations) in full.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from streamfuse.engine.store import WeightsFile
from streamfuse.engine.tasks.library import libraries_unchanged, ultralytics
from streamfuse.engine.weights import check_numbers, load_state, write_weights
from streamfuse.errors import UsageError, WeightsError

__all__ = ["architecture_of", "build_task_network", "load_saved", "save_task_network"]

_ARCHITECTURE: Final = re.compile(r"(yolov?\d+)([a-z]?)((?:-(?:ghost|p2|p6|spp|tiny|seg))*)")


def build_task_network(architecture: str, names: Mapping[int, str]) -> nn.Module:
    """A network of Ultralytics with fresh weights, in eval mode.

    Args:
        architecture: ``yolov8n``, ``yolov8n-seg``, ``yolo11s``, …: as its weights files are called.
        names: of the classes.

    Raises:
        UsageError: there is no such network for detection or segmentation.
    """
    layers = _layers(architecture)
    tasks = ultralytics("nn.tasks")
    build = tasks.SegmentationModel if "-seg" in architecture else tasks.DetectionModel
    with libraries_unchanged(), torch.random.fork_rng(devices=[]):
        network: Any = build({**layers, "nc": len(names)}, verbose=False)
    network.names = dict(names)
    network.task = "segment" if "-seg" in architecture else "detect"
    return network.eval()  # type: ignore[no-any-return]  # Ultralytics has no type information


def save_task_network(
    module: nn.Module, names: Mapping[int, str], *, path: Path, card: Mapping[str, object]
) -> WeightsFile:
    """Write a network and its card.

    Args:
        module: of Ultralytics, not fused; with layers as its ``architecture`` has them.
        names: of the classes, numbered from 0.
        path: ends in ``.safetensors``; the card is written beside it.
        card: ``architecture``, ``data``, ``licence``, ``made_by``, ``source`` and, if any, ``metrics``.

    Raises:
        UsageError: the network is not of its architecture, or the names are not numbered from 0.
        WeightsError: a value is no finite number, or none in half precision.
        OutputError: the folder cannot be written.
    """
    architecture = str(card["architecture"])
    if not names or sorted(names) != list(range(len(names))):
        raise UsageError(f"classes must be numbered from 0 without a gap, got {sorted(names)}")
    state = {key: _kept(tensor) for key, tensor in module.state_dict().items()}
    check_numbers(state, path)
    try:
        _fill(build_task_network(architecture, names), state)
    except RuntimeError as error:
        raise UsageError(
            f"the network is no {architecture!r} of {len(names)} classes: {_last_line(error)}"
        ) from error
    return write_weights(path, state, **card, classes=tuple(names[number] for number in range(len(names))))


def load_saved(weights: WeightsFile) -> nn.Module:
    """The network of a file that :func:`save_task_network` wrote; float32, on the CPU, in eval mode.

    Raises:
        WeightsError: the file is damaged, its card names no classes or another architecture.
    """
    card, path = weights.card, weights.path
    if not card.classes:
        raise WeightsError(f"{path} is no detector: its card ({card.architecture!r}) names no classes")
    try:
        network = build_task_network(card.architecture, dict(enumerate(card.classes)))
    except UsageError as error:
        raise WeightsError(f"{path}: {error}") from error
    try:
        return _fill(network, load_state(weights))
    except RuntimeError as error:
        raise WeightsError(f"{path} does not fit {card.architecture!r}: {_last_line(error)}") from error


def architecture_of(module: nn.Module) -> str:
    """What a network of Ultralytics says it is (``yolov8n-seg``), or was; empty: nothing known."""
    layers = getattr(module, "yaml", {})
    match = _ARCHITECTURE.fullmatch(Path(str(layers.get("yaml_file", ""))).stem)
    if match is None:
        return ""
    version, scale, rest = match.groups()
    return f"{version}{scale or layers.get('scale') or ''}{rest}"


def _layers(architecture: str) -> dict[str, Any]:
    """The description of an architecture that Ultralytics ships; never one from the working directory."""
    match = _ARCHITECTURE.fullmatch(architecture)
    if match is not None:
        utils = ultralytics("utils")
        version, scale, rest = match.groups()
        for stem in (architecture, f"{version}{rest}"):
            for path in sorted((utils.ROOT / "cfg" / "models").rglob(f"{stem}.yaml")):
                return {**utils.YAML.load(path), "scale": scale, "yaml_file": f"{architecture}.yaml"}
    raise UsageError(
        f"{architecture!r} is no network for detection or segmentation; expected one of Ultralytics, "
        "such as yolov8n or yolov8n-seg"
    )


def _kept(tensor: Tensor) -> Tensor:
    """As it is written: on the CPU, contiguous, matrices and kernels in half precision."""
    tensor = tensor.detach().cpu()
    if tensor.is_floating_point():
        tensor = tensor.to(torch.float16 if tensor.ndim > 1 else torch.float32)
    return tensor.contiguous()


def _fill(network: nn.Module, state: Mapping[str, Tensor]) -> nn.Module:
    network.load_state_dict(state)
    return network


def _last_line(error: RuntimeError) -> str:
    return str(error).splitlines()[-1].strip()

"""Task networks in the architectures Ultralytics ships, with weights set by hand, as files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from constant_network import save_constant_network

from streamfuse.engine.tasks.library import ultralytics

ARCHITECTURES = ("yolov8n", "yolov8n-seg", "yolov5n")


@pytest.fixture(scope="session", autouse=True)
def task_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Settings of Ultralytics and exported networks are kept here, not in the home folder."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory, task_cache: Path) -> dict[str, str]:  # noqa: ARG001 - set first
    """Files of networks that see the same everywhere, by architecture.

    Every middle anchor sees class 3 with confidence 0.5, 15 by 15 strides large.
    """
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    return {
        name: str(save_constant_network(folder / f"{name}.pt", architecture=name, class_id=3))
        for name in ARCHITECTURES
    }


@pytest.fixture(scope="session")
def seeing_weights(tmp_path_factory: pytest.TempPathFactory, task_cache: Path) -> dict[str, str]:  # noqa: ARG001 - set first
    """Files of networks whose objects depend on the picture, of many sizes, classes and scores."""
    folder = tmp_path_factory.mktemp("seeing")
    torch.manual_seed(1)
    return {name: _save_seeing(name, folder) for name in ("yolov8n", "yolov8n-seg")}


@pytest.fixture(scope="session")
def scene() -> np.ndarray:
    """A 640x480 RGB picture with some structure: soft blobs of colour."""
    return blobs((640, 480), seed=3)


def blobs(size_wh: tuple[int, int], *, seed: int) -> np.ndarray:
    """Soft blobs of colour: HxWx3 uint8."""
    width, height = size_wh
    coarse = np.random.default_rng(seed).random((1, 3, 12, 16), np.float32)
    fine = torch.nn.functional.interpolate(torch.from_numpy(coarse), (height, width), mode="bicubic")
    return np.ascontiguousarray((fine[0].clamp(0, 1) * 255).byte().permute(1, 2, 0).numpy())


def _save_seeing(name: str, folder: Path) -> str:
    """Random weights see next to nothing: normalised by the statistics of a picture they see a lot."""
    model = ultralytics().YOLO(f"{name}.yaml")
    network = model.model
    picture = torch.from_numpy(blobs((640, 480), seed=3)).permute(2, 0, 1)[None] / 255.0
    for part in network.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.momentum = 1.0
    with torch.no_grad():
        network.train()
        network(picture)
        network.eval()
        for box, score in zip(network.model[-1].cv2, network.model[-1].cv3, strict=True):
            torch.nn.init.normal_(score[-1].weight, std=0.5)
            score[-1].bias.fill_(-4.0)
            torch.nn.init.normal_(box[-1].weight, std=0.2)
    path = folder / f"{name}.pt"
    model.save(path)
    return str(path)

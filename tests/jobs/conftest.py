"""What the tests of training share: small pairs to learn from, and the number of threads given back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch


@pytest.fixture(scope="module")
def same_threads() -> Iterator[None]:
    """Give the number of threads back that a run sets."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    """Six small pairs of two file types: colours in the visible image, a warm disc in the infrared one."""
    rng = np.random.default_rng(0)
    for stream in ("visible", "infrared"):
        (tmp_path / "scenes" / stream).mkdir(parents=True)
    for index in range(6):
        visible = cv2.GaussianBlur(rng.integers(0, 256, (40, 48, 3), dtype=np.uint8), (0, 0), 2)
        infrared = np.full((40, 48), 40, np.uint8)
        cv2.circle(infrared, (24, 20), 6 + index, 220, -1)
        cv2.imwrite(str(tmp_path / f"scenes/visible/{index}.bmp"), visible)
        cv2.imwrite(str(tmp_path / f"scenes/infrared/{index}.png"), infrared)
    return tmp_path / "scenes"

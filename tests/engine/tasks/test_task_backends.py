"""Every backend says the same of an image, from host memory or from the device."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from streamfuse.config.tasks import Detect, Tasks
from streamfuse.engine.tasks.backends.choosing import open_task_backend
from streamfuse.engine.tasks.graph import TaskGraph
from streamfuse.engine.tasks.letterbox import Letterbox
from streamfuse.engine.tasks.letterbox_torch import boxed_tensor
from streamfuse.engine.tasks.networks import load_task_network
from streamfuse.engine.tasks.runner import TaskRunner
from streamfuse.errors import MachineError

SIZE_WH = (96, 64)
TOLERANCE = {"openvino": (2.0, 0.1), "onnx": (0.01, 1e-3)}  # px, score: OpenVINO may compute in bfloat16


@pytest.mark.parametrize("name", ["openvino", "onnx"])
def test_backends_agree_with_torch(weights: dict[str, str], name: str) -> None:
    """Boxes, scores and prototypes of each backend are those of torch in float32."""
    network = load_task_network(weights["yolov8n-seg"], kind="segment", where="test")
    image = np.random.default_rng(0).integers(0, 256, (SIZE_WH[1], SIZE_WH[0], 3), np.uint8)
    boxes, scores = TOLERANCE[name]
    results = []
    for backend in ("torch", name):
        runner = open_task_backend(backend, lambda: TaskGraph(network, masks=True), content=network.sha256)
        assert runner.name == backend
        (raw,) = runner.run([image])
        assert raw.prototypes is not None
        results.append((torch.as_tensor(raw.predictions).clone(), torch.as_tensor(raw.prototypes).clone()))
        runner.close()
    (expected, prototypes), (found, other) = results
    assert found.shape == expected.shape == (1, 4 + 80 + 32, 12 * 8 + 6 * 4 + 3 * 2)
    assert other.shape == prototypes.shape == (1, 32, 16, 24)
    assert (found - expected)[:, :4].abs().max() <= boxes
    assert (found - expected)[:, 4:84].abs().max() <= scores


def test_tensors_are_looked_at_like_arrays(seeing_weights: dict[str, str], scene: np.ndarray) -> None:
    """An image that lies on the device already gives the same objects, among arrays too."""
    detect = Detect(weights=seeing_weights["yolov8n"], most=20)
    runner = TaskRunner.load(Tasks(detect=detect, backend="torch"))
    assert runner.takes_tensors
    one, other = runner.run([scene, torch.tensor(scene)], pair_ids=[0, 1])
    assert one.detections
    assert one == other


@pytest.mark.parametrize("size_wh", [(640, 480), (320, 240), (1000, 333)])
def test_the_letterbox_is_the_same_on_the_device(size_wh: tuple[int, int]) -> None:
    """To a few levels where pixels are interpolated, else exactly."""
    image = np.random.default_rng(0).integers(0, 256, (size_wh[1], size_wh[0], 3), np.uint8)
    letterbox = Letterbox.fit(size_wh)
    expected = letterbox.apply(image).astype(int)
    found = boxed_tensor(letterbox, torch.tensor(image)).numpy()
    assert np.abs(found - expected).max() <= (0 if letterbox.scaled_wh == size_wh else 2)


def test_a_backend_that_is_not_here_says_how_to_get_it(weights: dict[str, str]) -> None:
    """Asked for by name, it is not silently replaced by another."""
    tasks = Tasks(detect=Detect(weights=weights["yolov8n"]), backend="tensorrt")
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(MachineError, match=r"no TensorRT here .*pip install|TensorRT needs an NVIDIA GPU"):
        TaskRunner.load(tasks)
    with pytest.raises(MachineError, match="torch finds no CUDA device; install a driver"):
        TaskRunner.load(tasks.model_copy(update={"backend": "torch-cuda"}))

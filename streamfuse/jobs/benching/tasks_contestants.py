"""The three contestants of the benchmark of the task stage."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import replace
from types import MappingProxyType
from typing import Final, cast

import numpy as np

from streamfuse.config.tasks import Detect, Segment, TaskBackend, Tasks
from streamfuse.engine.tasks.graph import TaskGraph
from streamfuse.engine.tasks.letterbox import Letterbox
from streamfuse.engine.tasks.library import ultralytics
from streamfuse.engine.tasks.networks import TaskNetwork, load_task_network
from streamfuse.engine.tasks.runner import TaskRunner
from streamfuse.jobs.benching.tasks_bare import Forward, open_bare
from streamfuse.jobs.benching.tasks_turns import BARE, PREDICT, STAGE, Images, Opened, Setting

__all__ = ["Run", "open_contestant"]

Run = Callable[[Images], int]
"""One call with a batch: how many objects it found."""


def open_contestant(name: str, setting: Setting) -> AbstractContextManager[tuple[Opened, Run]]:
    """Make a contestant ready; it is closed when the block ends."""
    return _OPENERS[name](setting)


@contextmanager
def _stage(setting: Setting) -> Iterator[tuple[Opened, Run]]:
    network = _network(setting)
    detect = Detect(weights=setting.weights)
    segment = Segment(weights=setting.weights) if network.kind == "segment" else None
    tasks = Tasks(detect=detect, segment=segment, backend=cast("TaskBackend", setting.backend))
    with closing(TaskRunner.load(tasks)) as runner:
        pair_id = 0

        def run(images: Images) -> int:
            nonlocal pair_id
            pair_ids = range(pair_id, pair_id + len(images))
            pair_id += len(images)
            return sum(len(looked.detections) for looked in runner.run(images, pair_ids=pair_ids))

        yield _opened(network, setting, backend=runner.backend, device=runner.device, precision=""), run


@contextmanager
def _bare(setting: Setting) -> Iterator[tuple[Opened, Run]]:
    network = _network(setting)
    opened = _opened(network, setting, backend=setting.backend, device="", precision="")
    prepare, precision = open_bare(network, setting.backend)
    width, height = opened.network_wh
    rng = np.random.default_rng(0)
    forwards: dict[int, Forward] = {}

    def run(images: Images) -> int:
        batch = len(images)
        if batch not in forwards:
            forwards[batch] = prepare(rng.random((batch, 3, height, width), np.float32))
        forwards[batch]()
        return 0

    yield replace(opened, precision=str(precision)), run


@contextmanager
def _predict(setting: Setting) -> Iterator[tuple[Opened, Run]]:
    network = _network(setting)
    device = "cuda" if setting.backend in _ON_CUDA else "cpu"
    opened = _opened(network, setting, backend="ultralytics", device=device, precision="float32")
    side_px = TaskGraph(network, masks=False).side_px
    yolo = ultralytics().YOLO(_ANY_MODEL[network.kind])
    yolo.model = network.module

    def run(images: Images) -> int:
        bgr = [np.ascontiguousarray(image[..., ::-1]) for image in images]  # what it takes, as OpenCV has it
        results = yolo.predict(bgr, imgsz=side_px, device=device, verbose=False)
        return sum(len(result.boxes.data.cpu()) for result in results)

    yield opened, run


_OPENERS: Final[Mapping[str, Callable[[Setting], AbstractContextManager[tuple[Opened, Run]]]]] = (
    MappingProxyType({STAGE: _stage, BARE: _bare, PREDICT: _predict})
)
_ON_CUDA: Final = {"torch-cuda", "tensorrt"}
_ANY_MODEL: Final = MappingProxyType({"detect": "yolov8n.yaml", "segment": "yolov8n-seg.yaml"})
"""What Ultralytics makes a model object of, whose network is then replaced."""


def _network(setting: Setting) -> TaskNetwork:
    """What the weights hold: masks too, or boxes only."""
    return load_task_network(setting.weights, kind="detect", where="--weights")


def _opened(network: TaskNetwork, setting: Setting, **words: str) -> Opened:
    graph = TaskGraph(network, masks=False)
    height, width = setting.images[0].shape[:2]
    box = Letterbox.fit((width, height), side_px=graph.side_px, stride=graph.stride)
    return Opened(kind=network.kind, network_wh=box.network_wh, **words)

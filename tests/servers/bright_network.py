"""A small detector that sees a person wherever a picture is bright: what moves there, it follows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from streamfuse.engine.tasks.library import ultralytics

__all__ = ["BOX", "save_bright_network"]

BOX = 32
"""Width and height of all its boxes, in pixels; their middles lie on a grid of 8."""

_LAYERS = """
nc: 1
backbone: [[-1, 1, Conv, [16, 3, 2]], [-1, 1, Conv, [16, 3, 2]], [-1, 1, Conv, [16, 3, 2]]]
head: [[[2], 1, HEAD]]
"""
_GAIN = 16.0
_BINS = 16


def save_bright_network(path: Path, *, side: int, masks: bool = False) -> Path:
    """A YOLO file for pictures of ``side`` pixels: the surer the brighter, 0.5 at three quarters of white.

    With ``masks`` it is a segmentation network, whose masks are what is brighter than half of white.
    """
    layers = path.with_suffix(".yaml")
    layers.write_text(_LAYERS.replace("HEAD", "Segment, [nc, 8, 8]" if masks else "Detect, [nc]"))
    model = ultralytics().YOLO(str(layers))
    network = model.model
    network.names = {0: "person"}
    network.args["imgsz"] = side
    *stem, head = network.model
    boxes, scores = head.cv2[0], head.cv3[0]
    with torch.no_grad():
        for number, layer in enumerate(stem):
            _average(layer.conv, inputs=1 if number else 3, gain=1.0 if number else _GAIN)
        for layer in scores.modules():
            if isinstance(layer, torch.nn.Conv2d) and layer is not scores[-1]:
                _average(layer, inputs=1, gain=1.0, only_middle=True)
        scores[-1].weight.zero_()
        scores[-1].weight[0, 0] = 1.0
        scores[-1].bias.fill_(-0.75 * _GAIN)
        boxes[-1].weight.zero_()
        boxes[-1].bias.copy_(_distance(BOX // 2 // 8))
        if masks:
            _mask_what_is_bright(head)
    model.save(path)
    return path


def _mask_what_is_bright(head: Any) -> None:
    """Two prototypes, brightness and a constant; the mask is where the first is larger."""
    proto = head.proto
    for layer in (proto.cv1.conv, proto.cv2.conv, proto.cv3.conv):
        _average(layer, inputs=1, gain=1.0, only_middle=True)
    proto.upsample.weight.zero_()
    proto.upsample.weight[0, 0] = 1.0
    proto.upsample.bias.zero_()
    proto.cv3.bn.bias[1] = 0.5 * _GAIN
    shares = head.cv4[0][-1]
    shares.weight.zero_()
    shares.bias.zero_()
    shares.bias[0], shares.bias[1] = 1.0, -1.0


def _average(conv: Any, *, inputs: int, gain: float, only_middle: bool = False) -> None:
    """Make the first channel the mean of the first ``inputs`` ones, times ``gain``; the others nothing."""
    conv.weight.zero_()
    rows, columns = conv.weight.shape[-2:]
    if only_middle:
        conv.weight[0, :inputs, rows // 2, columns // 2] = gain / inputs
    else:
        conv.weight[0, :inputs] = gain / (inputs * rows * columns)


def _distance(cells: int) -> torch.Tensor:
    """Biases by which the four sides of a box are so many cells away from its middle."""
    bias = torch.full((4, _BINS), -20.0)
    bias[:, cells] = 20.0
    return bias.flatten()

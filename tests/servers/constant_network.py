"""A detector that sees the same in every picture: what becomes of its objects can be told beforehand."""

from __future__ import annotations

from pathlib import Path

import torch

from streamfuse.engine.tasks.library import ultralytics

__all__ = ["save_constant_network"]


def save_constant_network(path: Path, *, class_name: str = "person") -> Path:
    """A YOLOv8n file that sees one class with confidence 0.5 all over the picture, in boxes of 240 pixels."""
    model = ultralytics().YOLO("yolov8n.yaml")
    network = model.model
    network.names[0] = class_name
    head = network.model[-1]
    with torch.no_grad():
        for box, score in zip(head.cv2, head.cv3, strict=True):
            for layer in (box[-1], score[-1]):
                layer.weight.zero_()
                layer.bias.zero_()
            score[-1].bias.fill_(-20.0)
        head.cv3[1][-1].bias[0] = 0.0
    model.save(path)
    return path

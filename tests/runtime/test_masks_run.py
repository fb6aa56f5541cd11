"""A whole run that finds shapes: masks as run lengths and polygons, and classes of all pixels."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch
from bright_network import save_bright_network
from torch import Tensor

from streamfuse.core.masks import decode_mask
from streamfuse.engine.weights import write_weights
from streamfuse.frames import Image
from streamfuse.io.images import write_png
from streamfuse.io.shelf import list_segments
from streamfuse.nets.segmentation import BilateralAttentionNet

SIZE_WH = (96, 64)
FRAMES = 6
NAMES = ("background", "road", "sky")

Mask = npt.NDArray[np.bool_]


def write_pictures(folder: Path) -> None:
    """Dark noise without any colour, and a bright square that moves to the right."""
    rng = np.random.default_rng(3)
    for number in range(FRAMES):
        gray = rng.integers(0, 90, SIZE_WH[::-1], dtype=np.uint8)
        gray[24:48, 8 * number : 8 * number + 24] = 255
        for stream, image in (
            ("visible", Image.from_rgb(np.repeat(gray[..., None], 3, axis=2))),
            ("infrared", Image.from_gray(gray)),
        ):
            (folder / stream).mkdir(exist_ok=True)
            write_png(folder / stream / f"{number}.png", image)


def save_semantic_network(folder: Path) -> Path:
    """Random weights of the network of a joint training; in noise it sees each of its classes somewhere."""
    torch.manual_seed(0)
    network = BilateralAttentionNet(len(NAMES)).eval()
    features: list[Tensor] = []
    network.head[1].register_forward_hook(lambda _module, inputs, _scores: features.append(inputs[0]))
    noise = torch.rand(1, 1, *SIZE_WH[::-1]).expand(-1, 3, -1, -1) * 0.35
    with torch.inference_mode():
        network(noise)
        mean = features[0].mean(dim=(0, 2, 3))
        weight = network.head[1].weight[:, :, 0, 0]
        weight -= (weight @ mean / (mean @ mean))[:, None] * mean  # no class is ahead of the others
    return write_weights(
        folder / "random-segmentation.safetensors",
        network.state_dict(),
        architecture="banet",
        classes=NAMES,
        data="none",
        licence="MIT",
        made_by="a test",
        source="nothing",
    ).path


def mask_of(found: Mapping[str, Any]) -> Mask:
    """Of a detection or an area of a record."""
    return decode_mask(found["mask"], SIZE_WH)


def drawn(polygons: list[list[list[float]]]) -> Mask:
    """The pixels whose middles lie within polygons, drawn eight times as large."""
    scale = 8
    canvas = np.zeros((SIZE_WH[1] * scale, SIZE_WH[0] * scale), np.uint8)
    for corners in polygons:
        cv2.fillPoly(canvas, [np.round(np.array(corners) * scale).astype(int)], 1)
    return canvas[scale // 2 :: scale, scale // 2 :: scale] > 0


def colour_of(path: Path) -> list[npt.NDArray[np.float64]]:
    """How far each pixel of each picture of a video is from grey."""
    with av.open(str(path)) as container:
        pictures = [frame.to_ndarray(format="rgb24").astype(float) for frame in container.decode(video=0)]
    return [np.ptp(picture, axis=2) for picture in pictures]


@pytest.mark.slow
def test_masks_polygons_and_areas_come_out_of_a_run(world) -> None:
    """The same in messages and index; polygons are those of the masks; areas tint the recorded pictures."""
    write_pictures(world.folder)
    weights = save_bright_network(world.folder / "bright.pt", side=96, masks=True)
    world.write_pipeline(
        "every_frame",
        "visible",
        "infrared",
        f"tasks:\n  segment: {{weights: {weights}, overlap: 0.1}}\n"
        f"  semantic: {{weights: {save_semantic_network(world.folder)}}}\n  backend: torch\n"
        "publish:\n  - {kind: jsonl, path: shapes.jsonl, polygons: true}\n"
        "  - {kind: jsonl, path: plain.jsonl}\n",
    )
    code, words = world.run("--set", "record.overlay=true")
    assert code == 0, words
    shapes, plain = (
        [json.loads(line) for line in (world.folder / name).read_text().splitlines()]
        for name in ("shapes.jsonl", "plain.jsonl")
    )
    (segment,) = list_segments(world.folder / "recordings")
    assert segment.index is not None
    _, *lines = (json.loads(line) for line in segment.index.read_text().splitlines())
    (video,) = world.recorded()
    assert len(shapes) == len(plain) == len(lines) == FRAMES

    for number, (told, line, colour) in enumerate(zip(shapes, lines, colour_of(video), strict=True)):
        assert told["areas"] == plain[number]["areas"] == line["areas"]
        (found,) = told["detections"]
        polygons = found.pop("polygons")
        assert [found] == plain[number]["detections"] == line["detections"]
        _check_outline(polygons, mask_of(found), square_left=8 * number)
        _check_areas(told["areas"], colour, away_from=found["box"])


def _check_outline(polygons: list[list[list[float]]], mask: Mask, *, square_left: int) -> None:
    """Polygons around the square, which leave its mask nowhere by more than they may."""
    square = np.zeros_like(mask)
    square[24:48, square_left : square_left + 24] = True
    assert (mask & square).sum() / (mask | square).sum() > 0.6
    assert polygons
    assert all(len(corners) >= 3 for corners in polygons)
    near = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    assert not ((drawn(polygons) != mask) & ~near).any()
    assert (drawn(polygons) != mask).mean() < 0.02


def _check_areas(
    areas: list[dict[str, Any]], colour: npt.NDArray[np.float64], *, away_from: list[float]
) -> None:
    """Shares that are those of the masks, which do not meet; colour within them, grey elsewhere."""
    masks = [mask_of(area) for area in areas]
    assert areas
    assert {area["class"] for area in areas} <= set(NAMES[1:])
    assert [area["share"] for area in areas] == [round(float(mask.mean()), 6) for mask in masks]
    assert np.sum(masks, axis=0).max() == 1
    free = np.ones_like(masks[0])
    left, top, right, bottom = (round(side) for side in away_from)
    free[max(0, top - 16) : bottom + 4, max(0, left - 4) : right + 40] = False  # the box and its label
    within = np.any(masks, axis=0)
    assert colour[within & free].mean() > 2 * colour[~within & free].mean()

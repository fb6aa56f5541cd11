"""Label maps made by networks."""

from __future__ import annotations

import numpy as np
import torch

from streamfuse.core.masks import encode_mask
from streamfuse.engine.tasks.semantic import SemanticNetwork
from streamfuse.frames import Detection
from streamfuse.jobs.evaluating.segmenters import SemanticSegmenter, label_map
from streamfuse.nets.segmentation import BilateralAttentionNet


def found(name: str, confidence: float, columns: slice) -> Detection:
    """An object that fills some columns of a 4x2 image."""
    mask = np.zeros((2, 4), np.bool_)
    mask[:, columns] = True
    return Detection(
        box_xyxy=(0, 0, 4, 2), class_id=9, class_name=name, confidence=confidence, mask_rle=encode_mask(mask)
    )


def test_where_objects_overlap_the_surer_one_is_seen() -> None:
    """Whatever their order; objects without mask or of other classes are not there."""
    objects = [
        found("car", 0.9, slice(1, 3)),
        found("person", 0.5, slice(2, 4)),
        found("kite", 0.99, slice(0, 4)),
        Detection(box_xyxy=(0, 0, 4, 2), class_id=0, class_name="car", confidence=1.0),
    ]
    for detections in (objects, objects[::-1]):
        labels = label_map(detections, ("nothing", "person", "car"), size_wh=(4, 2))
        assert labels.tolist() == [[0, 2, 2, 1]] * 2


def test_a_semantic_network_is_read_by_the_names_of_its_classes() -> None:
    """Its ids become the places of the names; what was not asked for is background."""
    torch.manual_seed(0)
    network = SemanticNetwork(
        module=BilateralAttentionNet(4).eval(),
        names=("nothing", "car", "kite", "person"),
        sha256="",
        title="",
    )
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    ids = network.labels(torch.from_numpy(image).permute(2, 0, 1)[None] / 255.0)[0].numpy()
    assert len(np.unique(ids)) > 1
    segmenter = SemanticSegmenter(network)
    assert segmenter.class_names == {"car", "kite", "person"}
    labels = segmenter.label(image, ("background", "person", "car"))
    assert np.array_equal(labels, np.array([0, 2, 0, 1], np.uint8)[ids])

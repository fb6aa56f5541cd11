"""The segmentation network of a joint training, as a task."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from streamfuse.core.masks import decode_mask
from streamfuse.engine.tasks.semantic import ARCHITECTURE, areas_of, load_semantic_network
from streamfuse.engine.weights import write_weights
from streamfuse.errors import WeightsError
from streamfuse.nets.segmentation import BilateralAttentionNet

NAMES = ("background", "person", "car")
CARD = {"data": "none", "licence": "MIT", "made_by": "a test", "source": "nothing"}
WHERE = "tasks.semantic.weights"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights whose head sees class 2 where it saw something, class 1 elsewhere."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("semantic") / "random-segmentation.safetensors"
    state = BilateralAttentionNet(len(NAMES)).state_dict()
    return write_weights(path, state, architecture=ARCHITECTURE, classes=NAMES, **CARD).path


def test_every_pixel_gets_the_class_with_the_highest_score(weights: Path) -> None:
    """The labels are those of the main head, for any size of image, and the areas are made of them."""
    network = load_semantic_network(str(weights), where=WHERE)
    assert (network.names, network.title) == (NAMES, "random-segmentation")
    assert not network.module.training
    rgb = torch.rand(2, 3, 50, 70)
    labels = network.labels(rgb)
    assert (labels.shape, labels.dtype) == ((2, 50, 70), torch.uint8)
    with torch.inference_mode():
        assert torch.equal(labels, network.module(rgb)[0].argmax(1).to(torch.uint8))
    for areas, of_one in zip(network.areas(rgb), labels.numpy(), strict=True):
        assert areas == areas_of(of_one, NAMES)


def test_areas_cover_what_is_there_but_the_background() -> None:
    """Each class that is there once, with its share and its pixels."""
    labels = np.zeros((4, 5), np.uint8)
    labels[1:3, 2:4] = 2
    (car,) = areas_of(labels, NAMES)
    assert (car.class_name, car.share) == ("car", 0.2)
    assert np.array_equal(decode_mask(car.mask_rle, (5, 4)), labels == 2)
    labels[0] = 1
    assert [area.class_name for area in areas_of(labels, NAMES)] == ["person", "car"]
    assert areas_of(np.zeros((4, 5), np.uint8), NAMES) == ()
    (everything,) = areas_of(np.ones((4, 5), np.uint8), NAMES)
    assert everything.share == 1.0


def test_nothing_is_shipped_to_be_the_default() -> None:
    """``default`` says where such weights come from."""
    with pytest.raises(
        WeightsError, match=r"^tasks.semantic.weights: no semantic segmentation is shipped; name"
    ):
        load_semantic_network("default", where=WHERE)


@pytest.mark.parametrize("classes", [(), ("background", "car")], ids=["none", "too few"])
def test_the_card_must_name_the_classes(weights: Path, tmp_path: Path, classes: tuple[str, ...]) -> None:
    """A card without names, or of fewer classes than the network has, is refused."""
    state = BilateralAttentionNet(len(NAMES)).state_dict()
    path = tmp_path / "a.safetensors"
    write_weights(path, state, architecture=ARCHITECTURE, classes=classes, **CARD)
    words = "does not fit its card" if classes else "its card lacks `classes`"
    with pytest.raises(WeightsError, match=rf"^{WHERE}: {re.escape(str(path))}:? {words}"):
        load_semantic_network(str(path), where=WHERE)
    assert load_semantic_network(str(weights), where=WHERE).names == NAMES


def test_other_networks_are_refused() -> None:
    """Weights of a fusion network are told by what they are."""
    with pytest.raises(
        WeightsError, match=r"holds weights of 'grdb'; expected 'banet', the segmentation netw"
    ):
        load_semantic_network("grdb", where=WHERE)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    """In one sentence that begins with the place."""
    with pytest.raises(WeightsError, match=rf"^{WHERE}: cannot read the weights {tmp_path}/no.safetensors"):
        load_semantic_network(str(tmp_path / "no.safetensors"), where=WHERE)

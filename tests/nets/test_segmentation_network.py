"""The segmentation network: its size, what it takes and gives, and how gradients pass it."""

from __future__ import annotations

import pytest
import torch
from torchvision.models import resnet18

from streamfuse.nets.segmentation import BilateralAttentionNet


def test_nine_classes_take_12_89_million_parameters() -> None:
    """The number that the description of the released network gives."""
    count = sum(parameter.numel() for parameter in BilateralAttentionNet(9).parameters())
    assert round(count / 1e6, 2) == 12.89


@pytest.mark.parametrize(("height", "width"), [(16, 16), (33, 47), (96, 64)])
def test_both_heads_answer_in_the_size_of_the_image(height: int, width: int) -> None:
    """Any size, also one that is no multiple of 32."""
    main, auxiliary = BilateralAttentionNet(4)(torch.rand(2, 3, height, width))
    assert main.shape == auxiliary.shape == (2, 4, height, width)


def test_the_backbone_takes_the_weights_of_torchvision() -> None:
    """Only the classifier of ResNet-18 is left over."""
    state = {key: value for key, value in resnet18(weights=None).state_dict().items() if key[:3] != "fc."}
    assert BilateralAttentionNet(2).backbone.load_state_dict(state)


def test_gradients_reach_the_image_through_a_frozen_network() -> None:
    """In eval mode with frozen parameters the image still learns what would be understood better."""
    network = BilateralAttentionNet(3).eval().requires_grad_(False)
    image = torch.rand(1, 3, 32, 32, requires_grad=True)
    main, auxiliary = network(image)
    (main.square().sum() + auxiliary.square().sum()).backward()
    assert image.grad is not None
    assert image.grad.abs().sum() > 0


def test_the_heads_are_trained_apart_from_the_rest() -> None:
    """Four tensors in each head: a kernel, two of a normalisation, and the classifier without bias."""
    network = BilateralAttentionNet(5)
    heads = network.head_parameters()
    assert sum(parameter.numel() for parameter in heads) == sum(
        part.numel() for name, part in network.named_parameters() if "head" in name
    )
    assert len(heads) == 8


def test_one_class_is_nothing_to_tell_apart() -> None:
    """The error says what it got."""
    with pytest.raises(ValueError, match="at least 2 classes, got 1"):
        BilateralAttentionNet(1)

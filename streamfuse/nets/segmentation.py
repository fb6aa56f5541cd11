"""The segmentation network that tells a fusion network, in training, what its image is good for.

A ResNet-18 gives features at 1/8, 1/16 and 1/32 of the size; attention refines each, the coarse ones are
brought up to 1/8, and what the coarse ones hold important gates the fine ones. Source: the network of the
released SeAFusion code (Tang et al. 2022), there derived from BiSeNet (Yu et al. 2018) and called a
bilateral attention network. It runs only in training and evaluation, never in a stream.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import resnet18  # type: ignore[import-untyped]  # has no type information

__all__ = ["BilateralAttentionNet"]

_WIDTH = 128
"""Channels of every map after the backbone."""
_SLOPE = 0.01


class BilateralAttentionNet(nn.Module):
    """Classes of the pixels of an RGB image; 12.89 million parameters for nine classes.

    Fresh weights: nothing is downloaded. ``backbone`` carries the parameter names of torchvision's
    ``resnet18``, whose weights therefore fit.

    Args:
        classes: how many there are, background included.

    Raises:
        ValueError: fewer than two classes.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        if classes < 2:
            raise ValueError(f"a segmentation needs at least 2 classes, got {classes}")
        self.backbone = _Backbone()
        self.refine8, self.refine16, self.refine32 = (_Refinement(inputs) for inputs in (128, 256, 512))
        self.join8, self.join16 = _Join(), _Join()
        self.gate8, self.gate16 = _Gate(), _Gate()
        self.mix = _conv(_WIDTH, _WIDTH, 1)
        self.head = _head(_WIDTH, classes)
        self.auxiliary_head = _head(64, classes)

    def head_parameters(self) -> tuple[nn.Parameter, ...]:
        """Parameters of both heads, which the released code trains faster than the rest."""
        return (*self.head.parameters(), *self.auxiliary_head.parameters())

    def forward(self, rgb: Tensor) -> tuple[Tensor, Tensor]:
        """Classify.

        Args:
            rgb: (B, 3, H, W) floating point in 0..1, any H and W; B at least 2 in training mode. No mean
                is taken away.

        Returns:
            Logits of the main head and of the auxiliary head, each (B, classes, H, W).
        """
        at8, at16, at32 = self.backbone(rgb)
        fine, middle, coarse = self.refine8(at8), self.refine16(at16), self.refine32(at32)
        joined16 = _resized(self.join16(coarse, middle), fine)
        joined8 = self.join8(middle, fine)
        gated16 = self.gate16(_resized(coarse, fine)) * joined16
        gated8 = self.gate8(gated16) * joined8
        logits = self.head(self.mix(gated8)), self.auxiliary_head(middle)
        main, auxiliary = (_resized(scores, rgb, align_corners=True) for scores in logits)
        return main, auxiliary


class _Backbone(nn.Module):
    """ResNet-18 without its classifier: (B, 3, H, W) to 128, 256 and 512 channels at 1/8, 1/16 and 1/32."""

    def __init__(self) -> None:
        super().__init__()
        whole = resnet18(weights=None)
        self.conv1, self.bn1, self.maxpool = whole.conv1, whole.bn1, whole.maxpool
        self.layer1, self.layer2 = whole.layer1, whole.layer2
        self.layer3, self.layer4 = whole.layer3, whole.layer4

    def forward(self, rgb: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Features at three scales, fine to coarse."""
        at4 = self.layer1(self.maxpool(functional.relu(self.bn1(self.conv1(rgb)))))
        at8 = self.layer2(at4)
        at16 = self.layer3(at8)
        return at8, at16, self.layer4(at16)


class _Refinement(nn.Module):
    """Narrows a map to ``_WIDTH`` channels and weighs each by what the whole image holds."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.narrow = _conv(inputs, _WIDTH, 3)
        self.gate = _Gate()

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, h, w) to (B, 128, h, w)."""
        x = self.narrow(x)
        weights: Tensor = self.gate(x.mean(dim=(2, 3), keepdim=True))
        return x * weights


class _Join(nn.Module):
    """Puts a coarse map beside a fine one and mixes the two."""

    def __init__(self) -> None:
        super().__init__()
        self.smooth = _conv(_WIDTH, _WIDTH, 3)
        self.mix = _conv(2 * _WIDTH, _WIDTH, 1)

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        """Both (B, 128, ., .), the answer of the size of ``fine``."""
        mixed: Tensor = self.mix(torch.cat((self.smooth(_resized(coarse, fine)), fine), dim=1))
        return mixed


class _Gate(nn.Sequential):
    """Weights in 0..1 for every value of a map."""

    def __init__(self) -> None:
        super().__init__(nn.Conv2d(_WIDTH, _WIDTH, 1, bias=False), nn.BatchNorm2d(_WIDTH), nn.Sigmoid())


def _conv(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    """Convolution, batch normalisation, leaky ReLU."""
    convolution = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
    nn.init.kaiming_normal_(convolution.weight, a=_SLOPE)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.LeakyReLU(_SLOPE))


def _head(width: int, classes: int) -> nn.Sequential:
    """Logits of a map."""
    return nn.Sequential(_conv(_WIDTH, width, 3), nn.Conv2d(width, classes, 1, bias=False))


def _resized(x: Tensor, like: Tensor, *, align_corners: bool = False) -> Tensor:
    """Bilinear, to the height and width of ``like``."""
    return functional.interpolate(x, like.shape[2:], mode="bilinear", align_corners=align_corners)

"""Holds the kernels of GRDB against torch; run with TRITON_INTERPRET=1, which needs no GPU."""

from __future__ import annotations

import torch
from torch import nn

from streamfuse.engine.backends.triton_grdb import _Conv, _End, with_kernels
from streamfuse.nets.grdb import GradientResidualDenseBlock
from streamfuse.nets.registry import build

SIZES = ((1, 1), (9, 5), (11, 18))  # rows, columns; a tile has 8 and 16
CONVOLUTIONS = (  # channels of the first map, of the second, and out: all that the networks have
    *((1, 0, 16), (4, 0, 16), (16, 0, 16), (16, 16, 16), (32, 0, 32), (32, 32, 32)),
    *((48, 48, 64), (64, 0, 32), (32, 0, 16), (16, 0, 1)),
)


def noise(channels: int, rows: int, columns: int) -> torch.Tensor:
    """Two images in channels-last memory."""
    return torch.randn(2, channels, rows, columns).contiguous(memory_format=torch.channels_last)


def check_convolutions() -> None:
    """Over one map and over two, with bias and activation."""
    for index, (first, second, out) in enumerate(CONVOLUTIONS):
        conv = nn.Conv2d(first + second, out, 3, padding=1)
        x = noise(first + second, *SIZES[index % len(SIZES)])
        parts = x.split((first, second), dim=1) if second else (x,)
        found = _Conv(conv)(*parts)
        torch.testing.assert_close(found, nn.functional.leaky_relu(conv(x), 0.2), rtol=1e-4, atol=1e-5)
        assert found.is_contiguous(memory_format=torch.channels_last)


def check_ends() -> None:
    """All that closes a block, for both widths."""
    for channels, out in ((16, 32), (32, 48)):
        block = GradientResidualDenseBlock(channels, out)
        for weight in block.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
        for size in SIZES:
            x, a, b = (noise(channels, *size) for _ in range(3))
            assert block.gradient is not None
            assert block.residual is not None
            merged = block.merge(torch.cat((x, a, b), dim=1)) + block.residual(block.gradient(x))
            found = _End(block)(x, a, b)
            torch.testing.assert_close(found, nn.functional.leaky_relu(merged, 0.1), rtol=1e-4, atol=1e-4)


def check_networks() -> None:
    """Both ways to compute each network, in half precision, which is what they are for."""
    for name in ("grdb", "grdb-edge"):
        network = build(name)
        images = torch.rand(2, 1, 1, 9, 7)
        expected = network(*images)
        ways = with_kernels(network)
        assert list(ways) == ["block-end", "convolution"]
        for way in ways.values():
            found = way.half().to(memory_format=torch.channels_last)(*images.half()).float()
            torch.testing.assert_close(found, expected, rtol=0, atol=2e-3)
    assert with_kernels(build("grdb-edge-dense")) == {}


if __name__ == "__main__":
    torch.manual_seed(0)
    with torch.no_grad():
        check_convolutions()
        check_ends()
        check_networks()
    print("agree")  # noqa: T201 - what the test waits for

"""Colour arithmetic: the way there, the way back and the two endings."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from streamfuse.nets.color import reference_postprocess, rgb_to_ycrcb, stream_postprocess, ycrcb_to_rgb


def pixel(*values: float) -> torch.Tensor:
    """One pixel as (1, 3, 1, 1)."""
    return torch.tensor(values).view(1, 3, 1, 1)


@pytest.mark.parametrize(
    ("rgb", "luma", "cr", "cb"),
    [
        ((1.0, 0.0, 0.0), 0.299, 0.5 + 0.701 * 0.713, 0.5 - 0.299 * 0.564),
        ((0.0, 1.0, 0.0), 0.587, 0.5 - 0.587 * 0.713, 0.5 - 0.587 * 0.564),
        ((0.0, 0.0, 1.0), 0.114, 0.5 - 0.114 * 0.713, 0.5 + 0.886 * 0.564),
        ((1.0, 1.0, 1.0), 1.0, 0.5, 0.5),
    ],
)
def test_primaries_have_the_luma_and_differences_of_the_formula(
    rgb: tuple[float, ...], luma: float, cr: float, cb: float
) -> None:
    """Y, Cr and Cb of red, green, blue and white come out in this order."""
    got = torch.cat(rgb_to_ycrcb(pixel(*rgb))).flatten()
    torch.testing.assert_close(got, torch.tensor([luma, cr, cb]), atol=1e-6, rtol=0)


def test_red_difference_makes_red_and_blue_difference_makes_blue() -> None:
    """Cr and Cb are not swapped on the way back."""
    half, more = torch.full((1, 1, 1, 1), 0.5), torch.full((1, 1, 1, 1), 0.6)
    torch.testing.assert_close(ycrcb_to_rgb(half, more, half), pixel(0.6403, 0.4286, 0.5))
    torch.testing.assert_close(ycrcb_to_rgb(half, half, more), pixel(0.5, 0.4656, 0.6773))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 255), min_size=3, max_size=3))
def test_there_and_back_returns_the_same_grey_levels(levels: list[int]) -> None:
    """The rounded coefficients cost less than half a grey level."""
    rgb = pixel(*(level / 255 for level in levels))
    back = stream_postprocess(ycrcb_to_rgb(*rgb_to_ycrcb(rgb)))
    assert back.flatten().tolist() == levels


def test_stream_ending_clamps_and_rounds() -> None:
    """Values below 0 and above 1 are clamped, the rest goes to the nearest level."""
    values = torch.tensor([-0.5, 0.4 / 255, 0.6 / 255, 254.6 / 255, 1.5]).view(1, 1, 1, 5)
    assert stream_postprocess(values).flatten().tolist() == [0, 0, 1, 255, 255]


def test_reference_ending_stretches_each_image_over_all_its_channels_and_truncates() -> None:
    """One minimum and maximum per image, shared by the channels, not by the batch; no rounding."""
    first = pixel(0.25, 0.5, 0.75)
    second = pixel(0.0, 0.6 / 255, 1.0)
    got = reference_postprocess(torch.cat((first, second)))
    assert got.flatten().tolist() == [0, 127, 255, 0, 0, 255]


def test_reference_ending_clamps_before_it_stretches() -> None:
    """A colour outside of the range does not widen the range."""
    assert reference_postprocess(pixel(-1.0, 0.5, 3.0)).flatten().tolist() == [0, 127, 255]


def test_reference_ending_leaves_a_flat_image_as_it_is() -> None:
    """Without contrast there is nothing to stretch, and nothing divides by zero."""
    assert reference_postprocess(torch.full((1, 3, 2, 2), 0.5)).unique().tolist() == [127]

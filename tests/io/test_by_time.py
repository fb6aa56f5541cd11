"""Recorded frames matched by their times."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from streamfuse.frames import Image, ImageSpec, PixelFormat
from streamfuse.io.by_time import pair_by_time
from streamfuse.io.source import SourceFrame


class Frames:
    """Frames that are nothing but their times."""

    def __init__(self, times_ns: Sequence[int]) -> None:
        image = Image(ImageSpec(format=PixelFormat.GRAY8, size_wh=(1, 1)), (np.zeros((1, 1), np.uint8),))
        self._frames = iter([SourceFrame(image=image, pts_ns=time_ns) for time_ns in times_ns])

    def read(self) -> SourceFrame | None:
        """The next one."""
        return next(self._frames, None)


Times = st.lists(st.integers(0, 2000), unique=True, max_size=30).map(sorted)


@given(visible=Times, infrared=Times, max_skew_ns=st.integers(0, 100))
def test_pairs_are_the_nearest_in_time(visible: list[int], infrared: list[int], max_skew_ns: int) -> None:
    """Every visible frame comes out once, with the nearest infrared frame if one is near enough."""
    pairs = list(pair_by_time(Frames(visible), Frames(infrared), max_skew_ns=max_skew_ns))
    assert [frame.pts_ns for frame, _ in pairs] == visible
    for frame, partner in pairs:
        nearest = min((abs(time - frame.pts_ns) for time in infrared), default=None)
        if partner is None:
            assert nearest is None or nearest > max_skew_ns
        else:
            assert abs(partner.pts_ns - frame.pts_ns) == nearest
            assert nearest <= max_skew_ns

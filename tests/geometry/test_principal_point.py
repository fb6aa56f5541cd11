"""Where the principal point of a camera may be."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamfuse.config.rig import load_rig_config
from streamfuse.errors import ConfigError
from streamfuse.geometry.camera import Camera

RIG = (
    "visible:\n  size_wh: [640, 480]\n"
    "  intrinsics: {{model: pinhole, fx: 700, fy: 700, cx: {cx}, cy: {cy}}}\n"
)


@pytest.mark.parametrize(("cx", "cy"), [(1281, 240), (-641, 240), (320, 961), (320, -481)])
def test_a_principal_point_far_outside_the_picture_is_refused(tmp_path: Path, cx: int, cy: int) -> None:
    """By a camera, and by a rig file with the place."""
    with pytest.raises(ValueError, match="the principal point must lie in the picture of 640x480"):
        Camera(size_wh=(640, 480), fx=700, fy=700, cx=cx, cy=cy)
    path = tmp_path / "rig.yaml"
    path.write_text(RIG.format(cx=cx, cy=cy))
    with pytest.raises(ConfigError, match=r"rig\.yaml:3:\d+: .*cx and cy in the picture"):
        load_rig_config(path)


def test_a_picture_that_was_cut_out_of_another_is_fine(tmp_path: Path) -> None:
    """The principal point of a crop may lie outside of it, within its size."""
    Camera(size_wh=(640, 480), fx=700, fy=700, cx=-640, cy=960)
    path = tmp_path / "rig.yaml"
    path.write_text(RIG.format(cx=-640, cy=960))
    assert load_rig_config(path).visible is not None

"""``calibrate report``: what it says of a rig, and a page that shows nothing it should not."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from streamfuse.config.rig import MadeBy, PictureNote, RigConfig
from streamfuse.errors import UsageError
from streamfuse.frames import Image
from streamfuse.io.images import write_png
from streamfuse.io.rig_file import write_rig_config
from streamfuse.jobs.calibrating.report import Report, ReportFacts, facts_of, write_report
from streamfuse.jobs.calibrating.report_parallax import LIMITS_PX, Parallax
from streamfuse.jobs.calibrating.report_residuals import bars, residual_map
from streamfuse.jobs.calibrating.residual_maps import mean_residuals

_EVIL = "<script>alert(1)</script>"
_SIZE_WH = (320, 240)
_SHIFT = 9.0
"""Pixels to the right by which the rig of :func:`_rig` moves infrared pictures."""


def _rig(**changes: Any) -> RigConfig:
    lens = {"model": "pinhole", "fx": 620.0, "fy": 620.0, "cx": 160.0, "cy": 120.0}
    plane = {"distance_m": 8, "H_visible_from_infrared": [[1, 0, _SHIFT], [0, 1, 0], [0, 0, 1]]}
    values = {
        "visible": {"size_wh": list(_SIZE_WH), "intrinsics": lens, "made_by": {"board": _EVIL}},
        "infrared": {"size_wh": list(_SIZE_WH)},
        "planes": (plane,),
    }
    return RigConfig.model_validate(values | changes)


def _with_lenses() -> RigConfig:
    """Both lenses and a pose: the registration is known at all distances."""
    lens = {"model": "pinhole", "fx": 620.0, "fy": 620.0, "cx": 159.5, "cy": 119.5}
    camera = {"size_wh": list(_SIZE_WH), "intrinsics": lens}
    pose = {"rotation_vector": (0.0, 0.0, 0.0), "translation_m": (0.1, 0.0, 0.0)}
    return _rig(visible=camera, infrared=camera, T_visible_from_infrared=pose, planes=())


def _scene() -> npt.NDArray[np.uint8]:
    """Blobs and edges, larger than the pictures."""
    noise = np.random.default_rng(0).normal(size=(300, 400)).astype(np.float32)
    blobs = cv2.GaussianBlur(noise, (0, 0), 6)
    return np.where(blobs > 0, 200, 60).astype(np.uint8)


def _pictures(folder: Path, *, shift: int = 0, names: tuple[str, ...] = ("a&b.png",)) -> dict[str, str]:
    """A scene, and in infrared inverted, so that it belongs ``shift`` px further right than it is shown."""
    scene = _scene()
    views = {"visible": scene[30:270, 40:360], "infrared": 255 - scene[30:270, 40 + shift : 360 + shift]}
    for stream, pixels in views.items():
        (folder / stream).mkdir()
        for name in names:
            write_png(folder / stream / name, Image.from_gray(np.ascontiguousarray(pixels)))
    return {stream: str(folder / stream) for stream in views}


def _report(folder: Path, rig: RigConfig, **options: Any) -> tuple[ReportFacts, str]:
    """What is said, and the page."""
    path, out = folder / "rig.yaml", folder / "rig.html"
    write_rig_config(path, rig)
    facts = write_report(Report(rig=path, out=out, **options))
    return facts, out.read_text(encoding="utf-8")


def test_the_range_of_good_distances_solves_the_formula() -> None:
    """At both ends the error is the limit, and within it is less."""
    found = Parallax(baseline_m=0.12, focal_px=620, plane_distance_m=8)
    for limit_px in LIMITS_PX:
        near, far = found.range_m(limit_px)
        assert near < 8 < far
        assert found.error_px(near) == pytest.approx(limit_px)
        assert found.error_px(far) == pytest.approx(limit_px)
    far_away = Parallax(baseline_m=0.12, focal_px=620, plane_distance_m=math.inf)
    near, far = far_away.range_m(2.0)
    assert near == pytest.approx(620 * 0.12 / 2)
    assert far == math.inf


def test_an_empty_rig_lists_all_commands() -> None:
    """Each thing that is missing names the command that measures it."""
    facts = facts_of(RigConfig())
    assert "Not ready" in facts.verdict[0]
    said = " ".join(facts.missing)
    assert all(f"calibrate {command}" in said for command in ("intrinsics", "stereo", "align", "time"))
    assert "calibrate align" in facts.next_step


def test_without_a_pose_the_baseline_is_asked_for() -> None:
    """And taken, when given."""
    assert "--baseline-m" in facts_of(_rig()).no_parallax
    assert len(facts_of(_rig(), baseline_m=0.1).parallaxes) == 1


def test_the_verdict_tells_distances_lenses_and_time() -> None:
    """With numbers where there are some, and what it means where there are none."""
    said = " ".join(facts_of(_rig(), baseline_m=0.1).verdict)
    assert "at most 2 px for objects 6.36 m to 10.8 m" in said
    assert "The infrared lens is not known" in said
    assert "The time offset is not known: 10 ms move" in said
    known = facts_of(_rig(time_offset_ms=12.5), baseline_m=0.1)
    assert "The time offset is known: +12.5 ms" in " ".join(known.verdict)
    assert "streamfuse run" in known.next_step


def test_a_registration_that_is_not_known_well_is_said_before_all() -> None:
    """What stereo found out by leaving pairs out; the next step is what mends it."""
    plane = _rig().planes[0]
    poor = plane.model_copy(update={"made_by": MadeBy(uncertainty={"registration_px": 33.0})})
    facts = facts_of(_rig(planes=(poor,)))
    assert "It can run, but not well yet" in facts.verdict[0]
    assert "For 8 m the registration is known to ± 33 px, which is poor" in " ".join(facts.verdict)
    assert "calibrate align --distance" in facts.next_step
    assert "Ready to run" in facts_of(_rig()).verdict[0]


def test_a_right_registration_measures_as_nothing(tmp_path: Path) -> None:
    """The infrared picture lies where the rig says."""
    facts, _ = _report(tmp_path, _rig(), **_pictures(tmp_path, shift=int(_SHIFT)))
    assert facts.measured is not None
    assert facts.measured.refused == ""
    assert facts.measured.off_px < 1.0
    assert "which is good" in " ".join(facts.verdict)
    assert facts.as_dict()["measured"]["off_px"] == facts.measured.off_px


def test_a_shift_along_the_baseline_is_a_distance(tmp_path: Path) -> None:
    """Pictures of something near, registered for far away: how near is told, and there it fits."""
    places = _pictures(tmp_path, shift=12)
    facts, _ = _report(tmp_path, _with_lenses(), **places)
    assert facts.measured is not None
    assert facts.measured.shift_px == pytest.approx((12, 0), abs=1.0)
    assert facts.measured.scene_m == pytest.approx(620 * 0.1 / 12, rel=0.1)
    assert "--distance" in facts.next_step
    again, _ = _report(tmp_path, _with_lenses(), distance_m=facts.measured.scene_m, **places)
    assert again.measured is not None
    assert again.measured.off_px < 1.5


def test_pictures_of_nothing_are_shown_and_not_measured(tmp_path: Path) -> None:
    """The verdict says why."""
    for stream in ("visible", "infrared"):
        (tmp_path / stream).mkdir()
        write_png(tmp_path / stream / "a.png", Image.from_gray(np.full((240, 320), 90, np.uint8)))
    places = {stream: str(tmp_path / stream) for stream in ("visible", "infrared")}
    facts, html = _report(tmp_path, _rig(), **places)
    assert facts.measured is not None
    assert facts.measured.refused
    assert "could not be measured" in " ".join(facts.verdict)
    assert facts.as_dict()["measured"].keys() == {"pairs", "distance_m", "refused"}
    assert html.count("<figure>") == 4


def test_the_page_needs_nothing_else_and_escapes_all_text(tmp_path: Path) -> None:
    """No script, no address of another file; the pictures and the plot are within."""
    names = tuple(f"{number}&.png" for number in range(5))
    facts, html = _report(tmp_path, _rig(), baseline_m=0.1, **_pictures(tmp_path, names=names))
    assert _EVIL not in html
    assert "&lt;script&gt;" in html
    assert "0&amp;.png" in html
    sources = re.findall(r'src="([^"]*)"', html)
    assert len(sources) == 3 * 5 + 1
    assert all(source.startswith("data:image/") for source in sources)
    assert facts.field_xywh is not None
    assert facts.as_dict()["field_xywh"] == list(facts.field_xywh)


def test_pictures_are_named_with_how_they_fit() -> None:
    """A row each, escaped, with the reason where one was left out."""
    note = MadeBy(
        pictures=(
            PictureNote(name="<a>", corners=54, rms_px=0.25),
            PictureNote(name="b", corners=50, rms_px=0.5),
        ),
        images_left_out={"b": "moved & blurred", "c": "no board was found"},
    )
    html = bars(note)
    assert html.index("&lt;a&gt;") < html.index("moved &amp; blurred") < html.index("no board was found")
    assert 'width:50.0%"' in html
    assert "0.25" in html
    assert bars(MadeBy()) == ""


def test_residuals_are_drawn_where_they_are() -> None:
    """Means by cell, and an arrow for each cell that has some."""
    pixels = np.array([[10.0, 10.0], [20.0, 20.0], [639.0, 479.0]])
    offs = np.array([[0.2, 0.0], [0.4, 0.2], [-0.1, 0.0]])
    found = mean_residuals(pixels, offs, (640, 480))
    assert sum(map(sum, found.corners)) == 3
    assert (found.corners[0][0], found.dx_px[0][0], found.dy_px[0][0]) == (2, 0.3, 0.1)
    assert (found.corners[-1][-1], found.dx_px[-1][-1]) == (1, -0.1)
    svg = residual_map(found, (640, 480))
    assert svg.count('class="count"') == 2
    assert svg.count('class="cell none"') == 46
    empty = mean_residuals(np.empty((0, 2)), np.empty((0, 2)), (640, 480))
    assert "1 px" in residual_map(empty, (640, 480))


def test_what_cannot_be_reported_is_said(tmp_path: Path) -> None:
    """One camera's pictures, a baseline or a distance of nothing, no rig."""
    paths: dict[str, Any] = {"rig": tmp_path / "rig.yaml", "out": tmp_path / "rig.html"}
    with pytest.raises(UsageError, match="go together"):
        Report(**paths, visible="somewhere")
    for option in ({"baseline_m": 0}, {"distance_m": 0}, {"distance_m": math.nan}):
        with pytest.raises(UsageError, match="more than 0"):
            Report(**paths, **option)
    with pytest.raises(UsageError, match="no rig file"):
        write_report(Report(**paths))
    assert not paths["out"].exists()

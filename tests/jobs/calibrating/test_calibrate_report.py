"""``calibrate report``: what it says of a rig, and a page that shows nothing it should not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamfuse.config.rig import RigConfig
from streamfuse.errors import UsageError
from streamfuse.frames import Image
from streamfuse.io.images import write_png
from streamfuse.io.rig_file import write_rig_config
from streamfuse.jobs.calibrating.report import GOOD_PX, Parallax, Report, facts_of, write_report

_EVIL = "<script>alert(1)</script>"


def _rig(**changes: Any) -> RigConfig:
    lens = {"model": "pinhole", "fx": 620.0, "fy": 620.0, "cx": 80.0, "cy": 60.0}
    plane = {"distance_m": 8, "H_visible_from_infrared": [[1, 0, 6], [0, 1, -4], [0, 0, 1]]}
    values = {
        "visible": {"size_wh": [160, 120], "intrinsics": lens, "made_by": {"board": _EVIL}},
        "infrared": {"size_wh": [160, 120]},
        "planes": (plane,),
    }
    return RigConfig.model_validate(values | changes)


def test_the_range_of_good_distances_solves_the_formula() -> None:
    """At both ends the error is what is still good, and within it is less."""
    found = Parallax.of(baseline_m=0.12, focal_px=620, plane_distance_m=8)
    assert found.error_px(found.near_m) == pytest.approx(GOOD_PX)
    assert found.error_px(found.far_m) == pytest.approx(GOOD_PX)
    assert found.error_px(8.0) == 0
    assert Parallax.of(baseline_m=0.12, focal_px=620, plane_distance_m=np.inf).far_m == np.inf


def test_an_empty_rig_lists_all_commands() -> None:
    """Each thing that is missing names the command that measures it."""
    facts = facts_of(RigConfig())
    assert "Not ready" in facts.verdict[0]
    said = " ".join(facts.missing)
    assert all(f"calibrate {command}" in said for command in ("intrinsics", "stereo", "align", "time"))


def test_without_a_pose_the_baseline_is_asked_for() -> None:
    """And taken, when given."""
    assert "--baseline-m" in facts_of(_rig()).no_parallax
    assert facts_of(_rig(), baseline_m=0.1).parallax is not None


def test_the_page_needs_nothing_else_and_escapes_all_text(tmp_path: Path) -> None:
    """No script, no address of another file; the pictures and the plot are within."""
    rng = np.random.default_rng(0)
    for stream in ("visible", "infrared"):
        folder = tmp_path / stream
        folder.mkdir()
        write_png(folder / "a&b.png", Image.from_gray(rng.integers(0, 255, (120, 160), np.uint8)))
    rig, out = tmp_path / "rig.yaml", tmp_path / "rig.html"
    write_rig_config(rig, _rig())
    places = {stream: str(tmp_path / stream) for stream in ("visible", "infrared")}
    facts = write_report(Report(rig=rig, out=out, baseline_m=0.1, **places))
    html = out.read_text(encoding="utf-8")
    assert _EVIL not in html
    assert "&lt;script&gt;" in html
    assert "a&amp;b.png" in html
    sources = re.findall(r'src="([^"]*)"', html)
    assert len(sources) == 6
    assert all(source.startswith("data:image/") for source in sources)
    assert facts.field_xywh is not None
    assert facts.as_dict()["field_xywh"] == list(facts.field_xywh)


def test_what_cannot_be_reported_is_said(tmp_path: Path) -> None:
    """One camera's pictures, a baseline of nothing, no rig."""
    paths = {"rig": tmp_path / "rig.yaml", "out": tmp_path / "rig.html"}
    with pytest.raises(UsageError, match="go together"):
        Report(**paths, visible="somewhere")
    with pytest.raises(UsageError, match="more than 0"):
        Report(**paths, baseline_m=0)
    with pytest.raises(UsageError, match="no rig file"):
        write_report(Report(**paths))
    assert not paths["out"].exists()

"""The page of a report: one HTML file that needs nothing else, and shows no text that was not escaped."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import Any, Final

from streamfuse.config.rig import CameraConfig, MadeBy, RigConfig
from streamfuse.core.convert import image_to_rgb
from streamfuse.frames import Image
from streamfuse.geometry.rig import RigGeometry
from streamfuse.geometry.warp import Registration
from streamfuse.jobs.calibrating.pictures import PicturePair
from streamfuse.jobs.calibrating.report import ReportFacts
from streamfuse.jobs.calibrating.report_plots import (
    checkerboard,
    edges_over,
    gray_rgb,
    parallax_plot,
    picture,
)

__all__ = ["page"]

_STYLE: Final = """
:root { color-scheme: light dark; --line: #8884; --accent: #0072b2; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { margin-top: 2.2rem; border-bottom: 1px solid var(--line); font-size: 1.2rem; }
.verdict { border-left: 4px solid var(--accent); padding: .2rem 1rem; background: #0072b214; }
table { border-collapse: collapse; } th, td { text-align: left; padding: .2rem 1.2rem .2rem 0;
  border-bottom: 1px solid var(--line); vertical-align: top; } td.n { font-variant-numeric: tabular-nums; }
img { max-width: 100%; height: auto; display: block; } img.plot { background: white; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(24rem, 1fr)); gap: 1rem; }
figure { margin: 0; } figcaption { font-size: .9rem; opacity: .8; }
.blink { position: relative; } .blink img + img { position: absolute; inset: 0;
  animation: blink 1.6s steps(1) infinite; }
.blink:hover img + img { animation-play-state: paused; }
@keyframes blink { 50% { opacity: 0; } }
code { background: #8882; padding: 0 .3em; border-radius: 3px; }
"""


def page(facts: ReportFacts, *, name: str, pairs: Sequence[PicturePair] = ()) -> str:
    """The whole page.

    Args:
        facts: what there is to say.
        name: of the rig file.
        pairs: pictures to show registered.

    Raises:
        UsageError: pictures of other sizes than the rig's.
    """
    sections = (
        f'<div class="verdict">{_paragraphs(facts.verdict)}</div>',
        _section("Missing", f"<ul>{''.join(f'<li>{_text(each)}</li>' for each in facts.missing)}</ul>")
        if facts.missing
        else "",
        _section("Lenses", "".join(_camera(facts.rig, each) for each in ("visible", "infrared"))),
        _section("How they stand to each other", _table(_standing(facts))),
        _section("Error by distance", _parallax(facts)),
        _section("Pictures", "".join(_pair(facts.rig, each) for each in pairs)) if pairs else "",
    )
    title = f"Calibration of {escape(name)}"
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>\n'
        f"<body><h1>{title}</h1>\n{''.join(sections)}\n</body></html>\n"
    )


def _section(title: str, body: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{body}</section>\n"


def _text(sentence: str) -> str:
    """Escaped; what stands between backticks is code."""
    parts = escape(sentence).split("`")
    return "".join(f"<code>{part}</code>" if place % 2 else part for place, part in enumerate(parts))


def _paragraphs(sentences: Iterable[str]) -> str:
    return "".join(f"<p>{_text(each)}</p>" for each in sentences)


def _table(rows: Iterable[tuple[str, str]]) -> str:
    lines = (f'<tr><th>{escape(name)}</th><td class="n">{escape(value)}</td></tr>' for name, value in rows)
    return f"<table>{''.join(lines)}</table>"


def _camera(rig: RigConfig, name: str) -> str:
    camera: CameraConfig | None = getattr(rig, name)
    if camera is None:
        return f"<h3>{name}</h3><p>Nothing is known.</p>"
    return f"<h3>{name}</h3>{_table(_lens(camera))}"


def _lens(camera: CameraConfig) -> Iterator[tuple[str, str]]:
    yield "size", f"{camera.size_wh[0]} x {camera.size_wh[1]} px"
    lens = camera.intrinsics
    if lens is None:
        return
    spread = camera.made_by.uncertainty if camera.made_by is not None else {}
    yield "model", lens.model
    for key in ("fx", "fy", "cx", "cy"):
        deviation = f" ± {spread[key]:.2f}" if key in spread else ""
        yield key, f"{getattr(lens, key):.2f}{deviation} px"
    if lens.distortion:
        yield "distortion", ", ".join(f"{each:.4g}" for each in lens.distortion)
    across = math.degrees(2 * math.atan(camera.size_wh[0] / 2 / lens.fx))
    if lens.model == "pinhole":
        yield "field of view across", f"{across:.1f}°"
    yield from _made(camera.made_by)


def _made(note: MadeBy | None) -> Iterator[tuple[str, str]]:
    if note is None:
        return
    yield "found by", " ".join(filter(None, (note.command or note.tool, note.date)))
    if note.board:
        yield "board", note.board
    if note.images_used:
        left_out = f", {len(note.images_left_out)} left out" if note.images_left_out else ""
        yield "pictures", f"{len(note.images_used)} used{left_out}"
    for picture_name, reason in note.images_left_out.items():
        yield f"left out: {picture_name}", reason
    for key, value in note.residuals.items():
        yield key.replace("_", " "), f"{value:.3g}"


def _standing(facts: ReportFacts) -> Iterator[tuple[str, str]]:
    rig = facts.rig
    pose = rig.T_visible_from_infrared
    if pose is not None:
        x, y, z = (100 * each for each in pose.translation_m)
        yield "infrared camera from the visible one", f"{x:.2f}, {y:.2f}, {z:.2f} cm (right, down, ahead)"
        yield "turned by", f"{math.degrees(math.hypot(*pose.rotation_vector)):.2f}°"
        yield from _made(pose.made_by)
    for plane in rig.planes:
        what = "homography and a smooth correction" if plane.dense else "homography"
        yield "plane", f"{plane.distance_m:g} m, {what}"
        yield from _made(plane.made_by)
    if rig.residual_px is not None:
        yield "residual", f"{rig.residual_px:.2f} px"
    if rig.confidence is not None:
        yield "confidence", f"{rig.confidence:.2f}"
    if facts.field_xywh is not None:
        x0, y0, width, height = facts.field_xywh
        yield "seen by both cameras", f"{width} x {height} px from ({x0}, {y0})"
    yield (
        "time offset",
        f"{rig.time_offset_ms:+.1f} ms are added to infrared times{_time_spread(rig.made_by)}",
    )


def _time_spread(note: MadeBy | None) -> str:
    extra: dict[str, Any] = (note.model_extra or {}) if note is not None else {}
    found = extra.get("time_offset")
    spread = found.get("uncertainty", {}).get("time_offset_ms") if isinstance(found, dict) else None
    return f" (± {spread:.1f} ms)" if isinstance(spread, float | int) else ""


def _parallax(facts: ReportFacts) -> str:
    found = facts.parallax
    if found is None:
        return f"<p>{_text(facts.no_parallax)}</p>"
    formula = (
        f"error = f b |1/Z - 1/Z₀|, with f = {found.focal_px:.0f} px, "
        f"b = {100 * found.baseline_m:.1f} cm and the plane at Z₀ = {found.plane_distance_m:g} m."
    )
    return f'<p>{escape(formula)}</p><img class="plot" alt="plot" src="{parallax_plot(found)}">'


def _pair(rig: RigConfig, pair: PicturePair) -> str:
    visible, infrared = pair.visible.image, pair.infrared.image
    if not (rig.planes or rig.has_lenses_and_pose):
        return "<p>The pictures cannot be registered yet.</p>"
    way = Registration.of(
        RigGeometry.of(rig), visible_size_wh=visible.spec.size_wh, infrared_size_wh=infrared.spec.size_wh
    )
    after = way.apply(infrared, visible)
    figures = [_figure(checkerboard(visible, after), "registered, in squares")]
    if infrared.spec.size_wh == visible.spec.size_wh:
        figures.insert(0, _figure(checkerboard(visible, infrared), "as they came, in squares"))
    figures += [
        _blink(visible, after),
        _figure(edges_over(visible, after), "edges of the infrared one"),
    ]
    return f'<h3>{escape(pair.name)}</h3><div class="pair">{"".join(figures)}</div>'


def _figure(rgb: Any, caption: str) -> str:
    words = escape(caption)
    return f'<figure><img alt="{words}" src="{picture(rgb)}"><figcaption>{words}</figcaption></figure>'


def _blink(visible: Image, infrared: Image) -> str:
    both = {"visible": picture(image_to_rgb(visible)), "infrared": picture(gray_rgb(infrared))}
    images = "".join(f'<img alt="{name}" src="{uri}">' for name, uri in both.items())
    return (
        f'<figure><div class="blink">{images}</div>'
        "<figcaption>both in turn; point at it to stop</figcaption></figure>"
    )

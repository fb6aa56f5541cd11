"""The page of a report: one HTML file that needs nothing else, and shows no text that was not escaped."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import Any, Final

from streamfuse.config.rig import CameraConfig, MadeBy, PlaneConfig, RigConfig
from streamfuse.geometry.rig import RigGeometry
from streamfuse.jobs.calibrating.pictures import PicturePair
from streamfuse.jobs.calibrating.report import ReportFacts
from streamfuse.jobs.calibrating.report_parallax import LIMITS_PX
from streamfuse.jobs.calibrating.report_pictures import Looks, checkerboard, edges_over, picture
from streamfuse.jobs.calibrating.report_plots import parallax_plot
from streamfuse.jobs.calibrating.report_residuals import bars, residual_map
from streamfuse.jobs.calibrating.report_style import STYLE
from streamfuse.jobs.calibrating.report_verdict import metres, span

__all__ = ["page"]

_SHOWN: Final = 3
"""Pairs on the page: more make a file that nobody can send."""
_TRUST: Final = (
    "The ± are standard deviations for corners that err independently. The corners of one picture do not: "
    "the warmth of a board spreads and its sheet bends. True deviations are larger, often several times."
)
_HELD_OUT: Final = (
    "Each pair is also held out, and predicted from the others: the board is placed by the infrared picture, "
    "and its corners are expected in the visible one. Near the board's distance this is what to expect of a "
    "new picture; the RMS is not, as it is of the corners that were fitted to."
)


def page(facts: ReportFacts, *, name: str, pairs: Sequence[PicturePair] = ()) -> str:
    """The whole page.

    Args:
        facts: what there is to say.
        name: of the rig file.
        pairs: pictures, of which some are shown registered.

    Raises:
        UsageError: pictures of other sizes than the rig's.
    """
    next_step = f"<strong>Next:</strong> {_text(facts.next_step)}"
    sections = (
        f'<div class="verdict">{_paragraphs(facts.verdict)}<p>{next_step}</p></div>',
        _section("Missing", f"<ul>{''.join(f'<li>{_text(each)}</li>' for each in facts.missing)}</ul>")
        if facts.missing
        else "",
        _section("Pictures", "".join(_pair(facts, each) for each in pairs[:_SHOWN])) if pairs else "",
        _section("Error by distance", _parallax(facts)),
        _section("How they stand to each other", _standing(facts)),
        _section("Lenses", _lenses(facts.rig)),
    )
    title = f"Calibration of {escape(name)}"
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head>\n'
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
    return f'<div class="wide"><table>{"".join(lines)}</table></div>'


def _lenses(rig: RigConfig) -> str:
    cameras = "".join(_camera(name, getattr(rig, name)) for name in ("visible", "infrared"))
    notes = [camera.made_by for camera in (rig.visible, rig.infrared) if camera is not None]
    trust = f"<p>{_TRUST}</p>" if any(note is not None and note.uncertainty for note in notes) else ""
    return f'{trust}<div class="two">{cameras}</div>'


def _camera(name: str, camera: CameraConfig | None) -> str:
    if camera is None:
        return f"<div><h3>{name}</h3><p>Nothing is known.</p></div>"
    note, drawn = camera.made_by, ""
    if note is not None and note.residual_map is not None:
        cover = "" if note.coverage is None else f"; {100 * note.coverage:.0f} % of the picture is covered"
        drawn = (
            f"<figure>{residual_map(note.residual_map, camera.size_wh)}<figcaption>Mean residual of the "
            f"corners by place{cover}. Neighbours that point the same way are a lens that the model does not "
            "describe.</figcaption></figure>"
        )
    rows = "" if note is None else bars(note)
    return f"<div><h3>{name}</h3>{_table(_lens(camera))}{drawn}{rows}</div>"


def _lens(camera: CameraConfig) -> Iterator[tuple[str, str]]:
    yield "size", f"{camera.size_wh[0]} x {camera.size_wh[1]} px"
    lens = camera.intrinsics
    if lens is not None:
        spread = camera.made_by.uncertainty if camera.made_by is not None else {}
        yield "model", lens.model
        for key in ("fx", "fy", "cx", "cy"):
            deviation = f" ± {spread[key]:.2f}" if key in spread else ""
            yield key, f"{getattr(lens, key):.2f}{deviation} px"
        names = ("k1", "k2", "p1", "p2", "k3") if lens.model == "pinhole" else ("k1", "k2", "k3", "k4")
        for key, value in zip(names, lens.distortion, strict=False):
            if value or key in spread:
                yield key, f"{value:.4f} ± {spread[key]:.2g}" if key in spread else f"{value:.4f}"
        if lens.model == "pinhole":
            across = math.degrees(2 * math.atan(camera.size_wh[0] / 2 / lens.fx))
            yield "field of view across", f"{across:.1f}°"
    yield from _made(camera.made_by)


def _made(note: MadeBy | None) -> Iterator[tuple[str, str]]:
    if note is None:
        return
    if note.command or note.tool:
        yield "found by", " ".join(filter(None, (note.command or note.tool, (note.date or "")[:10])))
    if note.board:
        yield "board", note.board
    if note.images_used:
        left_out = f", {len(note.images_left_out)} left out" if note.images_left_out else ""
        yield "pictures", f"{len(note.images_used)} used{left_out}"
    for key, value in note.residuals.items():
        yield _words(key), f"{value:.3g} px" if key.endswith("_px") else f"{value:.3g}"


def _words(key: str) -> str:
    return key.removesuffix("_px").replace("_", " ").replace("rms", "RMS")


def _standing(facts: ReportFacts) -> str:
    pose = facts.rig.T_visible_from_infrared
    note = None if pose is None else pose.made_by
    told = f"<p>{_HELD_OUT}</p>" if note and "held_out_median_px" in note.residuals else ""
    return f"{_table(_facts(facts))}{_planes(facts.rig.planes)}{told}{bars(note) if note else ''}"


def _facts(facts: ReportFacts) -> Iterator[tuple[str, str]]:
    rig = facts.rig
    pose = rig.T_visible_from_infrared
    if pose is not None:
        spread = pose.made_by.uncertainty if pose.made_by is not None else {}
        x, y, z = (1e3 * each for each in pose.translation_m)
        mm = f" (± {1e3 * spread['translation_m']:.1f})" if "translation_m" in spread else ""
        yield "infrared camera from the visible one", f"{x:.1f}, {y:.1f}, {z:.1f} mm{mm}: right, down, ahead"
        deg = f" (± {spread['rotation_deg']:.2f})" if "rotation_deg" in spread else ""
        yield "turned by", f"{math.degrees(math.hypot(*pose.rotation_vector)):.2f}°{deg}"
        yield from _made(pose.made_by)
    if rig.residual_px is not None:
        yield "residual", f"{rig.residual_px:.2f} px"
    if rig.confidence is not None:
        yield "confidence", f"{rig.confidence:.2f}"
    if facts.field_xywh is not None:
        x0, y0, width, height = facts.field_xywh
        yield "seen by both cameras", f"{width} x {height} px from ({x0}, {y0})"
    offset = f"{rig.time_offset_ms:+.1f} ms are added to infrared times{_time_spread(rig.made_by)}"
    yield "time offset", offset


def _planes(planes: Sequence[PlaneConfig]) -> str:
    rows = []
    for plane in planes:
        note = plane.made_by or MadeBy()
        known = note.uncertainty.get("registration_px")
        cells = (
            metres(plane.distance_m),
            "homography and a smooth correction" if plane.dense else "homography",
            "" if known is None else f"± {known:.2g} px",
            " ".join(filter(None, (note.command or note.tool, (note.date or "")[:10]))),
            ", ".join(f"{_words(key)} {value:.3g}" for key, value in note.residuals.items()),
        )
        rows.append("".join(f"<td>{escape(cell)}</td>" for cell in cells))
    if not rows:
        return ""
    head = "<th>plane at</th><th>registered by</th><th>known to</th><th>found by</th><th></th>"
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f'<div class="wide flat"><table><tr>{head}</tr>{body}</table></div>'


def _time_spread(note: MadeBy | None) -> str:
    extra: dict[str, Any] = (note.model_extra or {}) if note is not None else {}
    found = extra.get("time_offset")
    spread = found.get("uncertainty", {}).get("time_offset_ms") if isinstance(found, dict) else None
    return f" (± {spread:.1f} ms)" if isinstance(spread, float | int) else ""


def _parallax(facts: ReportFacts) -> str:
    if not facts.parallaxes:
        return f"<p>{_text(facts.no_parallax)}</p>"
    usual = facts.parallaxes[0]
    formula = (
        f"Error = f b |1/Z - 1/Z₀| of an object at Z with the plane at Z₀; f = {usual.focal_px:.0f} px, "
        f"b = {100 * usual.baseline_m:.1f} cm. This is parallax alone, of a perfect calibration."
    )
    head = "".join(f"<th>within {limit:g} px</th>" for limit in LIMITS_PX)
    rows = "".join(
        f"<tr><td>{metres(each.plane_distance_m)}</td>"
        + "".join(f"<td>{span(each, limit)}</td>" for limit in LIMITS_PX)
        + "</tr>"
        for each in facts.parallaxes
    )
    table = f'<div class="wide flat"><table><tr><th>plane at</th>{head}</tr>{rows}</table></div>'
    source = parallax_plot(facts.parallaxes)
    plot = f'<div class="wide"><img class="plot" alt="error versus distance" src="{source}"></div>'
    return f"<p>{escape(formula)}</p>{table}{plot}"


def _pair(facts: ReportFacts, pair: PicturePair) -> str:
    rig = facts.rig
    if facts.field_xywh is None:
        return "<p>The pictures cannot be registered yet.</p>"
    distance_m = None if facts.measured is None else facts.measured.distance_m
    looks = Looks.of(pair, RigGeometry.of(rig), distance_m)
    figures = (
        _figure(checkerboard(looks.visible, looks.stretched), "before: infrared squares merely stretched"),
        _figure(
            checkerboard(looks.visible, looks.registered), "registered: lines go on from square to square"
        ),
        _blink(looks),
        _figure(edges_over(looks), "edges of the registered infrared picture on the visible one"),
    )
    return f'<h3>{escape(pair.name)}</h3><div class="two">{"".join(figures)}</div>'


def _figure(pixels: Any, caption: str) -> str:
    words = escape(caption)
    return f'<figure><img alt="{words}" src="{picture(pixels)}"><figcaption>{words}</figcaption></figure>'


def _blink(looks: Looks) -> str:
    both = {"visible": picture(looks.visible), "infrared": picture(looks.registered)}
    images = "".join(f'<img alt="{name}" src="{uri}">' for name, uri in both.items())
    return (
        f'<figure><div class="blink" tabindex="0">{images}</div>'
        "<figcaption>visible and registered infrared in turn; point at it or tap it to stop</figcaption>"
        "</figure>"
    )

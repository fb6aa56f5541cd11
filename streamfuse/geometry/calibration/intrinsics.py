"""The intrinsics of a camera from views of a board, or the reason why the views do not tell them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from streamfuse.errors import CalibrationError
from streamfuse.geometry.boards.board import BoardView, Floats, Ids
from streamfuse.geometry.calibration.coverage import covered_share, missing_places, tilt_range_deg
from streamfuse.geometry.calibration.fit import FEWEST_VIEWS, Fit, fit_lens, thin_views, view_offs
from streamfuse.geometry.calibration.posing import place_board, pose_of
from streamfuse.geometry.calibration.sameness import copies_among
from streamfuse.geometry.calibration.sieve import Kept, rms
from streamfuse.geometry.camera import Camera, LensModel
from streamfuse.geometry.pose import Pose

__all__ = [
    "WORST_RMS_PX",
    "CameraCalibration",
    "ViewFit",
    "calibrate_camera",
    "check_views",
    "judge",
    "summed_up",
]

WORST_RMS_PX: Final = 3.0
"""Corners that fit no better are not those of one flat board."""
_LEAST_TILT_DEG: Final = 10.0
"""Below it all poses count as parallel; a focal length would rest on the last digits of the corners."""
_LEAST_COVERED: Final = 0.15
_OPEN_FOCAL: Final = 0.02
"""Of the focal length: a standard deviation beyond this is no measurement."""
_OPEN_CENTRE: Final = 0.03
"""As _OPEN_FOCAL, of the principal point in parts of the wider side."""
_HOLD: Final = "hold the board tilted by 20 to 45 degrees to the left, right, up and down"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ViewFit:
    """One view of the board beside what the calibration says it should look like."""

    name: str
    ids: Ids
    """(N,), which points of the board."""
    offs_px: Floats
    """Nx2 pixels: found minus projected."""
    kept: Kept
    """(N,), corners that were used."""
    board_pose: Pose
    """``T_camera_from_board``."""
    left_out: str = ""
    """Why the whole view was not used; empty if it was."""

    @property
    def rms_px(self) -> float:
        """Of the corners that were used; of all, if the view was not."""
        return rms(self._judged_px)

    @property
    def worst_px(self) -> float:
        """The largest distance of the same corners."""
        return float(np.linalg.norm(self._judged_px, axis=1).max())

    @property
    def _judged_px(self) -> Floats:
        return self.offs_px if self.left_out else self.offs_px[self.kept]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CameraCalibration:
    """A camera, and how well it is known."""

    camera: Camera
    deviations: Mapping[str, float]
    """Standard deviations of what was solved for, by name (fx, fy, cx, cy, k1, …): pixels, or none for the
    coefficients. They hold for independent errors of the corners; those of one picture are often related."""
    rms_px: float
    """Root of the mean squared distance of the corners that were used."""
    views: tuple[ViewFit, ...]
    """All views that were given, in their order."""
    coverage: float
    """Part of the picture, 0 to 1, in which corners were used."""
    missing: tuple[str, ...]
    """Where in the picture the board was not."""
    tilt_deg: float
    """Largest angle between two poses of the board."""

    @property
    def used(self) -> tuple[ViewFit, ...]:
        """The views that the calibration rests on."""
        return tuple(view for view in self.views if not view.left_out)


def calibrate_camera(views: Mapping[str, BoardView], *, model: LensModel = "pinhole") -> CameraCalibration:
    """Solve for a camera.

    Args:
        views: What was found in each picture, by its name. Pictures of one pose count once.
        model: Of the lens; ``fisheye`` pays from some 100 degrees across.

    Raises:
        CalibrationError: the views do not determine the camera, with what to do about it.
    """
    copies = copies_among({name: (view,) for name, view in views.items()})
    fresh = {name: view for name, view in views.items() if name not in copies}
    check_views(fresh, copies=len(copies))
    fit = fit_lens(fresh, model=model)
    return judge(summed_up(replace(fit, left_out=fit.left_out | copies), views))


def summed_up(fit: Fit, views: Mapping[str, BoardView]) -> CameraCalibration:
    """A fit, in the words of a report."""
    fits = tuple(_view_fit(name, view, fit) for name, view in views.items())
    used = [
        replace(view, ids=view.ids[fit.kept[name]], pixels=view.pixels[fit.kept[name]])
        for name, view in views.items()
        if name in fit.kept
    ]
    return CameraCalibration(
        camera=_trimmed(fit.camera),
        deviations=fit.deviations,
        rms_px=rms(np.concatenate([each.offs_px[each.kept] for each in fits if not each.left_out])),
        views=fits,
        coverage=covered_share(used, fit.camera.size_wh),
        missing=tuple(missing_places(used, fit.camera.size_wh)),
        tilt_deg=tilt_range_deg(list(fit.poses.values())),
    )


def check_views(views: Mapping[str, BoardView], *, copies: int = 0) -> None:
    """Refuse what no solver can use; ``copies`` were left out already, since they repeat a pose.

    Raises:
        CalibrationError: too few views, of different sizes or of different boards.
    """
    sizes = Counter(view.size_wh for view in views.values())
    if len(sizes) > 1:
        told = ", ".join(f"{count} of {w}x{h}" for (w, h), count in sizes.most_common())
        odd = next(name for name, view in views.items() if view.size_wh != sizes.most_common(1)[0][0])
        raise CalibrationError(
            f"the pictures have different sizes ({told}; {odd} is one of the few); calibrate each size on "
            "its own"
        )
    if len({view.board for view in views.values()}) > 1:
        raise CalibrationError("the views are of different boards; give pictures of one board")
    good = len(views) - len(thin_views(views))
    if good < FEWEST_VIEWS:
        found = f"{good} picture{'' if good == 1 else 's'}"
        if copies:
            found = f"{good + copies} pictures, but only {good} different pose{'' if good == 1 else 's'}"
        raise CalibrationError(
            f"the board was found in {found}, at least {FEWEST_VIEWS} are needed and ten are good; "
            f"take more, and {_HOLD}"
        )


def judge(calibration: CameraCalibration) -> CameraCalibration:
    """The same, if the views determine it.

    Raises:
        CalibrationError: they do not, with the reason.
    """
    if calibration.rms_px > WORST_RMS_PX:
        raise CalibrationError(
            f"the views contradict each other, they fit only within {calibration.rms_px:.0f} px; keep the "
            "board flat and still, and check its columns and rows"
        )
    if calibration.tilt_deg < _LEAST_TILT_DEG:
        raise CalibrationError(
            f"all poses of the board are parallel, or nearly so (within {calibration.tilt_deg:.0f} degrees), "
            f"so they do not tell the focal length; {_HOLD}"
        )
    if calibration.coverage < _LEAST_COVERED:
        raise CalibrationError(
            f"the board covers only {100 * calibration.coverage:.0f} % of the picture in all views together, "
            f"and at least {100 * _LEAST_COVERED:.0f} % are needed; go nearer, and to the edges and corners "
            "of the picture"
        )
    camera, sure = calibration.camera, calibration.deviations
    focal = max(sure["fx"] / camera.fx, sure["fy"] / camera.fy)
    centre = max(sure["cx"], sure["cy"]) / max(camera.size_wh)
    if not (focal <= _OPEN_FOCAL and centre <= _OPEN_CENTRE):
        raise CalibrationError(
            f"the views leave the focal length open by {100 * focal:.1f} % and the principal point by "
            f"{100 * centre:.1f} % of the picture; take more pictures, larger in the picture, and {_HOLD}"
        )
    return calibration


def _trimmed(camera: Camera) -> Camera:
    """The camera without coefficients at the end that are zero, as far as its model can do without."""
    bent = camera.distortion
    if not any(bent):
        return replace(camera, distortion=())
    return replace(camera, distortion=bent[:4]) if len(bent) == 5 and not bent[4] else camera


def _view_fit(name: str, view: BoardView, fit: Fit) -> ViewFit:
    pose = fit.poses[name] if name in fit.poses else place_board(fit.camera, view)[0]
    return ViewFit(
        name=name,
        ids=view.ids,
        offs_px=view_offs(fit.camera, view, pose),
        kept=fit.kept.get(name, np.zeros(len(view.ids), bool)),
        board_pose=pose_of(pose),
        left_out=fit.left_out.get(name, ""),
    )

"""One camera fitted to views of a board: first robustly, then with as many terms as the views support."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from streamfuse.errors import CalibrationError
from streamfuse.geometry.boards.board import BoardView, Floats
from streamfuse.geometry.calibration.bundle import Bundle, Observation, Solution, adjust, residuals
from streamfuse.geometry.calibration.lens import BASE, TERMS
from streamfuse.geometry.calibration.posing import first_camera, is_thin, place_board
from streamfuse.geometry.calibration.sieve import Kept, Sieved, sieve, spread_px
from streamfuse.geometry.camera import Camera, LensModel

__all__ = [
    "FEWEST_VIEWS",
    "Fit",
    "check_majority",
    "deviations",
    "fit_lens",
    "observe",
    "place_views",
    "same",
    "thin_views",
    "view_offs",
]

FEWEST_VIEWS: Final = 4
"""Three views determine a plain lens; the fourth tells whether they are right."""
_COARSE_PX: Final = 10.0
_FINE_PX: Final = 1.0
_ROUNDS: Final = 4
_FIRST: Final[tuple[str, ...]] = (*BASE, "k1", "k2")
_LADDER: Final[dict[LensModel, tuple[tuple[str, ...], ...]]] = {
    "pinhole": (("fx", "fy"), ("k1",), ("k2",), ("p1", "p2"), ("k3",)),
    "fisheye": (("fx", "fy"), ("k1",), ("k2",), ("k3",), ("k4",)),
}
"""What may be added, radial terms in their order."""
_AFTER: Final = {"k2": "k1", "k3": "k2", "k4": "k3"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A lens, and what it was fitted to."""

    camera: Camera
    free: tuple[str, ...]
    """The terms that were solved for; none of a camera that was given."""
    deviations: Mapping[str, float]
    """Standard deviations of these, by the name of the number."""
    sigma_px: float
    """Standard deviation of a coordinate of a corner."""
    poses: dict[str, Floats]
    """Of the board in camera coordinates (six numbers), in each view that was used."""
    kept: dict[str, Kept]
    """Of the same views, the corners that were used."""
    left_out: dict[str, str]
    """The other views, with the reason."""


def observe(
    view: BoardView, kept: Kept | None = None, *, pose: int, camera: int = 0, sigma_px: float = 1.0
) -> Observation:
    """A view as a measurement."""
    weights = np.ones(len(view.ids)) if kept is None else kept.astype(np.float64)
    return Observation(
        camera=camera, pose=pose, points=view.object_points, pixels=view.pixels, weights=weights / sigma_px
    )


def fit_lens(views: Mapping[str, BoardView], *, model: LensModel) -> Fit:
    """The lens that all these views (of one size, four or more) agree on.

    Which terms it gets: focal length and principal point always; pixels that are not square and each
    coefficient of the lens only if they lower Akaike's information criterion (1974). A stricter one (Schwarz,
    1978) was tried: it leaves terms out that are there, and moves the principal point by many of its standard
    deviations.

    Raises:
        CalibrationError: most views contradict each other.
    """
    left_out = thin_views(views)
    count = len(views)
    views = {name: view for name, view in views.items() if name not in left_out}
    bundle = _robust(views, model)
    names = list(views)
    sieved = sieve(_offs(bundle, views, names))
    for _ in range(_ROUNDS):
        left_out |= sieved.left_out
        check_majority(count, left_out)
        poses = dict(zip(names, bundle.poses, strict=True))
        kept, names = sieved.kept, list(sieved.kept)
        bundle = replace(bundle, poses=np.array([poses[name] for name in names]))
        solution, free = _chosen(bundle, views, kept)
        bundle = solution.bundle
        sieved = sieve(_offs(bundle, views, names))
        if same(sieved, kept):
            break
    spare = sum(2 * int(good.sum()) - 6 for good in kept.values()) - len(free)
    sigma_px = math.sqrt(solution.cost / max(spare, 1))
    return Fit(
        camera=bundle.cameras[0],
        free=free,
        deviations=deviations(solution, sigma=sigma_px),
        sigma_px=sigma_px,
        poses=dict(zip(names, bundle.poses, strict=True)),
        kept=kept,
        left_out=left_out,
    )


def place_views(views: Mapping[str, BoardView], camera: Camera) -> Fit:
    """What the views say where the lens is known.

    Raises:
        CalibrationError: most views contradict each other, or there are none.
    """
    left_out = thin_views(views)
    count = len(views)
    views = {name: view for name, view in views.items() if name not in left_out}
    if not views:
        raise CalibrationError("the board was not found in any picture; see that all of it is in view")
    rough = Bundle(
        cameras=(camera,), poses=np.array([place_board(camera, view)[0] for view in views.values()])
    )
    seen = [observe(view, pose=index) for index, view in enumerate(views.values())]
    placed = dict(zip(views, adjust(rough, seen, free={}, robust_px=_FINE_PX).bundle.poses, strict=True))
    offs = {name: view_offs(camera, views[name], pose) for name, pose in placed.items()}
    sieved = sieve(offs)
    left_out |= sieved.left_out
    check_majority(count, left_out)
    return Fit(
        camera=camera,
        free=(),
        deviations={},
        sigma_px=spread_px({name: offs[name] for name in sieved.kept}),
        poses={name: placed[name] for name in sieved.kept},
        kept=sieved.kept,
        left_out=left_out,
    )


def thin_views(views: Mapping[str, BoardView]) -> dict[str, str]:
    """Views that tell no pose of the board, with the reason."""
    return {
        name: f"only {len(view.ids)} corners were found, or all of them in one line"
        for name, view in views.items()
        if is_thin(view)
    }


def view_offs(camera: Camera, view: BoardView, pose: Floats) -> Floats:
    """Nx2 pixels: found minus projected, for a pose of the board in camera coordinates."""
    return residuals(Bundle(cameras=(camera,), poses=pose[None]), observe(view, pose=0))


def deviations(solution: Solution, *, sigma: float = 1.0, camera: int = 0) -> dict[str, float]:
    """Standard deviations of the terms of one camera, in its own order; ``sigma`` is the unit's."""
    found = {
        name: sigma * math.sqrt(max(spread, 0.0))
        for (index, name), spread in zip(solution.names, np.diag(solution.covariance).tolist(), strict=True)
        if index == camera
    }
    if "f" in found:
        found["fx"] = found["fy"] = found["f"]
    return {term: found[term] for term in TERMS[solution.bundle.cameras[camera].model] if term in found}


def same(sieved: Sieved, kept: Mapping[str, Kept]) -> bool:
    """Whether a sieve changes nothing any more."""
    return not sieved.left_out and all(np.array_equal(sieved.kept[name], kept[name]) for name in kept)


def check_majority(count: int, left_out: Mapping[str, str]) -> None:
    """Refuse to make a minority the measure of all.

    Raises:
        CalibrationError: half or more of the pictures are left out, or too few are left.
    """
    left = count - len(left_out)
    if left_out and (left < FEWEST_VIEWS or left <= count / 2):
        name, why = next(iter(left_out.items()))
        raise CalibrationError(
            f"only {left} of {count} views of the board agree with each other (in {name}, {why}); hold "
            "camera and board still while a picture is taken, keep the board flat, and check the board's "
            "columns and rows"
        )


def _robust(views: Mapping[str, BoardView], model: LensModel) -> Bundle:
    """A lens with few terms, in spite of wrong views."""
    every = list(views.values())
    camera = first_camera(every, every[0].size_wh, model)
    start = Bundle(cameras=(camera,), poses=np.array([place_board(camera, view)[0] for view in every]))
    seen = [observe(view, pose=index) for index, view in enumerate(every)]
    coarse = adjust(start, seen, free={0: _FIRST}, robust_px=_COARSE_PX)
    return adjust(coarse.bundle, seen, free={0: _FIRST}, robust_px=_FINE_PX).bundle


def _chosen(
    start: Bundle, views: Mapping[str, BoardView], kept: Mapping[str, Kept]
) -> tuple[Solution, tuple[str, ...]]:
    """The lens with the terms that the views support: term after term, while the criterion falls."""
    seen = [observe(views[name], good, pose=index) for index, (name, good) in enumerate(kept.items())]
    count = 2 * sum(int(good.sum()) for good in kept.values())

    def criterion(solution: Solution, free: tuple[str, ...]) -> float:
        return count * math.log(max(solution.cost, 1e-12) / count) + 2 * len(free)

    plain = _without_lens(start)
    free: tuple[str, ...] = BASE
    best = adjust(plain, seen, free={0: free})
    while True:
        longer = [(adjust(best.bundle, seen, free={0: terms}), terms) for terms in _next(free, start)]
        if not longer:
            return best, free
        solution, terms = min(longer, key=lambda each: criterion(*each))
        if criterion(solution, terms) >= criterion(best, free):
            return best, free
        best, free = solution, terms


def _without_lens(bundle: Bundle) -> Bundle:
    camera = bundle.cameras[0]
    focal = math.sqrt(camera.fx * camera.fy)
    return replace(bundle, cameras=(replace(camera, fx=focal, fy=focal, distortion=()),))


def _next(free: tuple[str, ...], bundle: Bundle) -> Iterator[tuple[str, ...]]:
    for terms in _LADDER[bundle.cameras[0].model]:
        if terms[0] in free or (terms[0] in _AFTER and _AFTER[terms[0]] not in free):
            continue
        rest = tuple(term for term in free if term != "f") if "fx" in terms else free
        yield rest + terms


def _offs(bundle: Bundle, views: Mapping[str, BoardView], names: Sequence[str]) -> dict[str, Floats]:
    return {name: residuals(bundle, observe(views[name], pose=index)) for index, name in enumerate(names)}

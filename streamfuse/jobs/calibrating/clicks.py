"""Point pairs that somebody clicks in a browser: the way out where nothing aligns by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from streamfuse.errors import CalibrationError
from streamfuse.geometry.warp import Registration
from streamfuse.io.calibrating.click_page import ClickPage, Fitted, Pairs
from streamfuse.io.signals import caught_signals
from streamfuse.jobs.calibrating.pictures import Picture

__all__ = ["Solve", "click_points"]

_TURN_S: Final = 0.2
"""How soon Ctrl-C is heeded."""

_HORIZON: Final = 1e-3
"""Where the third coordinate of a point vanishes, the plane ends."""

Solve = Callable[[Pairs], npt.NDArray[np.float64]]
"""3x3 ``H_visible_from_infrared`` of five or more pairs; CalibrationError where they determine none."""


def click_points(
    visible: Picture, infrared: Picture, *, solve: Solve, page: str, tell: Callable[[str], None]
) -> Pairs:
    """Serve a page with both pictures until somebody has saved pairs of points.

    Args:
        visible: one moment.
        infrared: the same moment.
        solve: makes the fit whose residuals and overlay the page shows.
        page: ``HOST:PORT`` of the page; port 0 takes a free one.
        tell: gets the address for the terminal.

    Returns:
        Nx4: x, y in the visible picture, x, y in the infrared one; pixel centres at integers.

    Raises:
        CalibrationError: Ctrl-C came before anything was saved.
        OutputError: the page cannot be served.
        UsageError: the page's address is none.
    """
    fit = _Fit(visible, infrared, solve)
    with caught_signals() as signals, ClickPage(page, visible.image, infrared.image, fit=fit) as served:
        tell(f"open {served.url}" + ("" if served.token is None else f" with the token {served.token}"))
        while not served.saved.wait(_TURN_S):
            if signals.count:
                raise CalibrationError("no points were saved; click five pairs or more, then press Save")
        return served.pairs


class _Fit:
    """Residuals and the overlay of a homography."""

    def __init__(self, visible: Picture, infrared: Picture, solve: Solve) -> None:
        self._visible = visible.image
        self._infrared = infrared.image
        self._solve = solve

    def __call__(self, pairs: Pairs) -> Fitted:
        H_visible_from_infrared = self._solve(pairs)  # noqa: N806 - H names a matrix
        moved = np.column_stack((pairs[:, 2:], np.ones(len(pairs)))) @ H_visible_from_infrared.T
        if not (moved[:, 2] > _HORIZON).all():
            raise CalibrationError("these pairs fit no plane: remove the wrong one, or spread the points")
        off = moved[:, :2] / moved[:, 2:] - pairs[:, :2]
        registration = Registration(
            H_visible_from_infrared,
            visible_size_wh=self._visible.spec.size_wh,
            infrared_size_wh=self._infrared.spec.size_wh,
        )
        warped = registration.apply(self._infrared, self._visible).copy()
        return Fitted(residual_px=np.hypot(*off.T), warped=warped)

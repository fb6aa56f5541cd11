"""Where a measurement in a rig file is from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from streamfuse import __version__
from streamfuse.clock import UtcLabel, utc_text
from streamfuse.config.rig import MadeBy

__all__ = ["made_by"]


def made_by(
    command: str,
    *,
    board: str | None = None,
    used: Iterable[str] = (),
    left_out: Mapping[str, str] | None = None,
    residuals: Mapping[str, float] | None = None,
    uncertainty: Mapping[str, float] | None = None,
) -> MadeBy:
    """The note that goes beside a measurement, dated now; numbers are rounded to what a person reads.

    Args:
        command: Such as ``calibrate intrinsics``.
        board: Its specification.
        used: Names of the pictures it rests on.
        left_out: Names of others, with the reason.
        residuals: What the measurement leaves unexplained.
        uncertainty: Standard deviations.
    """
    return MadeBy(
        tool="streamfuse",
        version=__version__,
        date=utc_text(UtcLabel.read().utc_ns),
        command=command,
        board=board,
        images_used=tuple(used),
        images_left_out=dict(left_out or {}),
        residuals=_rounded(residuals or {}),
        uncertainty=_rounded(uncertainty or {}),
    )


def _rounded(values: Mapping[str, float]) -> dict[str, float]:
    return {name: float(f"{value:.4g}") for name, value in values.items()}

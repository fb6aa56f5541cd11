"""How steady a fused video is, judged against what its two sources did at the same time.

A fused frame may change where the scene changes. What is counted is change that neither source explains.
With F the fused, V the visible and I the infrared luma, all in grey levels 0..255:

``flicker``
    For each frame but the first, the mean over the pixels of
    ``max(0, |F_t - F_{t-1}| - max(|V_t - V_{t-1}|, |I_t - I_{t-1}|))``.
    Local: noise that is amplified, patterns that come and go. It is 0 for any rule that follows its sources:
    either of them, their maximum, minimum, or a fixed mix (but for rounding).
``jitter``
    For each frame but the first and last, ``max(0, |h(F)_t| - max(|h(V)_t|, |h(I)_t|))``, where h is how far
    the mean brightness m of a frame lies from the line through its neighbours:
    ``h_t = m_t - (m_{t-1} + m_{t+1}) / 2``. Global: the picture pumps. A fade, however long, is a straight
    line and counts nothing; a flash of height a counts a at its frame and a/2 on either side; a gain that
    alternates by a counts a on every frame; a step of height a counts a/2 twice.
``SD``
    Contrast: the standard deviation of each fused frame.

The two kinds are the local and the global flickering of Boitard et al., "Survey of Temporal Brightness
Artifacts in Video Tone Mapping", HDRi 2014; the formulas are our own. Both are change per frame: compare
videos of one frame rate only, and fused frames that went through the same video codec.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streamfuse.errors import UsageError

__all__ = ["TemporalMeter", "TemporalReport"]

Gray = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]

_FEWEST_FRAMES = 3
"""What the second difference of the brightness needs."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TemporalReport:
    """The measures of a video of n frames, frame by frame, in grey levels."""

    flicker: Floats
    """(n - 1,) of frames 1 to n - 1."""
    jitter: Floats
    """(n - 2,) of frames 1 to n - 2."""
    sd: Floats
    """(n,) of all frames."""

    @property
    def series(self) -> dict[str, Floats]:
        """The measures by the names they are reported under."""
        return {"flicker": self.flicker, "jitter": self.jitter, "SD": self.sd}

    def mean(self) -> dict[str, float]:
        """Means over the frames, by name."""
        return {name: float(values.mean()) for name, values in self.series.items()}

    def worst(self) -> dict[str, float]:
        """The frame with the most flicker, the most jitter, and the least contrast, by name."""
        return {
            "flicker": float(self.flicker.max()),
            "jitter": float(self.jitter.max()),
            "SD": float(self.sd.min()),
        }


class TemporalMeter:
    """Measures a fused video frame by frame; of the pixels it holds only those of the last frames."""

    def __init__(self) -> None:
        self._last: tuple[Gray, Gray, Gray] | None = None
        self._flicker: list[float] = []
        self._brightness: list[tuple[float, float, float]] = []
        self._sd: list[float] = []

    def add(self, *, visible: Gray, infrared: Gray, fused: Gray) -> None:
        """Take the next frame: three HxW uint8 luma planes of one size, full range. They are copied.

        Raises:
            UsageError: they differ in size, from each other or from the frame before.
        """
        planes = (visible, infrared, fused)
        self._check(planes)
        if self._last is not None:
            changes = [_distance(now, before) for now, before in zip(planes, self._last, strict=True)]
            allowed = np.maximum(changes[0], changes[1])
            self._flicker.append(float((np.maximum(changes[2], allowed) - allowed).mean()))
        self._brightness.append((float(visible.mean()), float(infrared.mean()), float(fused.mean())))
        self._sd.append(float(fused.std()))
        self._last = (visible.copy(), infrared.copy(), fused.copy())

    def report(self) -> TemporalReport:
        """What was measured so far.

        Raises:
            UsageError: fewer than three frames.
        """
        if len(self._sd) < _FEWEST_FRAMES:
            raise UsageError(f"a video needs {_FEWEST_FRAMES} frames to be judged, got {len(self._sd)}")
        mean = np.array(self._brightness)
        visible, infrared, fused = np.abs(mean[1:-1] - (mean[:-2] + mean[2:]) / 2).T
        return TemporalReport(
            flicker=np.array(self._flicker),
            jitter=np.maximum(fused - np.maximum(visible, infrared), 0.0),
            sd=np.array(self._sd),
        )

    def _check(self, planes: tuple[Gray, Gray, Gray]) -> None:
        expected = (planes[0] if self._last is None else self._last[0]).shape
        shapes = [plane.shape for plane in planes]
        if any(shape != expected for shape in shapes):
            raise UsageError(f"visible, infrared and fused frames must all be {expected}, got {shapes}")


def _distance(first: Gray, second: Gray) -> Gray:
    """|first - second|, which has no negative numbers to wrap around."""
    return np.maximum(first, second) - np.minimum(first, second)

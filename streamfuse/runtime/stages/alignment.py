"""Watches the time offset that is left between the streams, and takes it out of the pairing if asked to."""

from __future__ import annotations

from typing import Any, Final, Literal

from streamfuse.clock import NS_PER_MS, NS_PER_S
from streamfuse.core.motion import MotionEnergy
from streamfuse.core.offset import OffsetEstimate, OffsetEstimator, OffsetSteering
from streamfuse.frames import Frame, StreamName

__all__ = ["Alignment"]

_EVERY_S: Final = 1.0


class Alignment:
    """Sees all frames that reach the engine; tells once a second how far apart the streams are.

    Args:
        mode: as ``sync.estimate_offset`` of the pipeline file.
        known_ms: offset that the pairing has from the pipeline file and the rig.
        may_apply: False where the pairs must not depend on when an estimate was made (``every_frame``).
    """

    def __init__(
        self, mode: Literal["off", "report", "apply"], *, known_ms: float, may_apply: bool = True
    ) -> None:
        self._is_off = mode == "off"
        self._applies = mode == "apply" and may_apply
        self._known_ms = known_ms
        self._motion = {stream: MotionEnergy() for stream in StreamName}
        self._estimator = OffsetEstimator()
        self._steering = OffsetSteering()
        self._estimate: OffsetEstimate | None = None
        self._due_ns: int | None = None

    def see(self, frame: Frame) -> None:
        """Look at a frame: a tenth of a millisecond."""
        if self._is_off:
            return
        moment_ns = frame.capture_ns
        if frame.stream is StreamName.INFRARED:
            moment_ns += round(self._known_ms * NS_PER_MS)
        energy = self._motion[frame.stream].of(frame.image.planes[0])
        self._estimator.add(frame.stream, energy, moment_ns)

    def offset_ms(self, now_ns: int) -> float | None:
        """The offset to pair with from now on, or None if it stays as it is; an estimate once a second."""
        if self._is_off or (self._due_ns is not None and now_ns < self._due_ns):
            return None
        self._due_ns = now_ns + round(_EVERY_S * NS_PER_S)
        self._estimate = self._estimator.estimate()
        before_ms = self._steering.applied_ms
        if not self._applies or self._steering.step(self._estimate) == before_ms:
            return None
        return self._known_ms + self._steering.applied_ms

    def stats(self) -> dict[str, Any]:
        """The last estimate beyond the known offset, and how much of it is applied; a ``stats`` field."""
        if self._is_off:
            return {}
        estimate = self._estimate
        return {
            "offset": {
                "estimate_ms": None if estimate is None else round(estimate.offset_ms, 1),
                "confidence": None if estimate is None else round(estimate.confidence, 2),
                "applied_ms": round(self._steering.applied_ms, 1),
            }
        }

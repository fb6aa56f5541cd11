"""Watches whether the registered images fit each other, and corrects the registration if asked to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from streamfuse.clock import NS_PER_MS, NS_PER_S, Clock
from streamfuse.config.pipeline import RegistrationConfig
from streamfuse.core.bracket import BracketWatch, Bump, Misfit, SlowCorrection
from streamfuse.core.resemblance import Likeness

__all__ = ["Bracket", "Estimate"]

Gray = npt.NDArray[np.uint8]

_EVERY_S: Final = 1.0
_MOST_SHARE: Final = 0.01
"""Of the time, spent on looking."""


Estimate = Callable[[Gray, Gray], Likeness]
"""Looks at the luma of the visible image and the registered infrared one, HxW; all of it seen by both."""


class Bracket:
    """Looks at a registered pair about once a second of capture time.

    Belongs to the compute thread; :attr:`stats` and :attr:`bump` may be read beside it.

    Args:
        wanted: as the pipeline file says.
        estimate: looks at one pair.
        width_px: of the visible camera's image.
        clock: measures what a look costs.
        spares_time: look less often where a look takes more than a hundredth of the time; False where what
            comes out must not depend on how fast the machine is (``every_frame``).
    """

    def __init__(
        self,
        wanted: RegistrationConfig,
        *,
        estimate: Estimate,
        width_px: int,
        clock: Clock,
        spares_time: bool = True,
    ) -> None:
        self._watch = BracketWatch(width_px=width_px) if wanted.watch else None
        self._correction = SlowCorrection(width_px=width_px) if wanted.correct else None
        self._estimate = estimate
        self._clock = clock
        self._spares_time = spares_time
        self._due_ns: int | None = None
        self._last_ns: int | None = None
        self._score: float | None = None
        self._looks = 0
        self._took_ns = 0
        self._evidence = 0
        self.stats: Mapping[str, Any] = self._told()
        """As a field of ``stats``; replaced as a whole. Empty where nobody looks."""

    @property
    def bump(self) -> Bump | None:
        """The bump that goes on, whether its misfit is corrected or not."""
        return None if self._watch is None else self._watch.bump

    @property
    def applied(self) -> Misfit | None:
        """By how much the infrared image is to be moved beyond the rig; None: by nothing."""
        correction = self._correction
        return None if correction is None or correction.applied.px == 0.0 else correction.applied

    def is_due(self, capture_ns: int) -> bool:
        """Whether a pair of this moment is to be shown to :meth:`look`."""
        if self._watch is None and self._correction is None:
            return False
        began_again = self._last_ns is not None and capture_ns < self._last_ns
        return self._due_ns is None or capture_ns >= self._due_ns or began_again

    def look(self, visible: Gray, infrared: Gray, capture_ns: int) -> bool:
        """Look at a pair; returns whether :attr:`applied` has changed.

        Args:
            visible: luma HxW of what both cameras see.
            infrared: the same of the registered infrared image, with :attr:`applied` taken out.
            capture_ns: when the pair was captured.
        """
        began_ns = self._clock.now_ns()
        sight = self._estimate(visible, infrared)
        took_ns = self._clock.now_ns() - began_ns
        pause_ns = took_ns / _MOST_SHARE if self._spares_time else 0
        self._last_ns, self._due_ns = capture_ns, capture_ns + round(max(_EVERY_S * NS_PER_S, pause_ns))
        self._looks += 1
        self._took_ns += took_ns
        self._evidence += sight.misfit is not None
        self._score = sight.score
        changed = self._follow(sight.misfit, capture_ns)
        self.stats = self._told()
        return changed

    def forget(self) -> None:
        """The registration was changed: begin again."""
        for each in (self._watch, self._correction):
            if each is not None:
                each.forget()
        self.stats = self._told()

    def _follow(self, left: Misfit | None, capture_ns: int) -> bool:
        applied = self.applied
        if self._watch is not None:
            whole = left if left is None or applied is None else left + applied
            self._watch.see(whole, capture_ns)
        return self._correction is not None and self._correction.step(left, capture_ns)

    def _apart_px(self) -> float | None:
        """How far the images of a bumped bracket are apart with corrections; None: not so that it matters."""
        if self._watch is None or self._watch.bump is None:
            return None
        misfit = self._watch.bump.misfit
        left = misfit if self.applied is None else misfit - self.applied
        return round(left.px, 2) if left.px > self._watch.limit_px / 2 else None

    def _told(self) -> dict[str, Any]:
        if self._watch is None and self._correction is None:
            return {}
        misfit = None if self._watch is None else self._watch.misfit
        return {
            "score": None if self._score is None else round(self._score, 3),
            "shift_px": _plain(misfit),
            "corrected_px": None if self._correction is None else _plain(self._correction.applied),
            "bumped": self.bump is not None,
            "apart_px": self._apart_px(),
            "looks": self._looks,
            "evidence": self._evidence,
            "look_ms": round(self._took_ns / NS_PER_MS / max(1, self._looks), 1),
        }


def _plain(misfit: Misfit | None) -> list[float] | None:
    return None if misfit is None else [round(misfit.x_px, 2), round(misfit.y_px, 2)]

"""Whether both cameras still sit on their bracket as the rig says, told from what is left between the images.

Once a second somebody looks by how much the registered infrared image would have to be moved to lie on the
visible one (:class:`Misfit`). A look may be wrong, many scenes say nothing, and objects that are nearer than
the plane of the registration are always a little off. So a *bump* is told only when most of the last looks
agree on a place beyond what is usual here, and it is *mended* when they agree that it is back.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median
from typing import Final

from streamfuse.clock import NS_PER_S

__all__ = ["AGREE", "BracketWatch", "Bump", "Misfit", "SlowCorrection"]

_LIMIT_SHARE: Final = 0.01
"""Of the picture's width: further off is a bump. Two edges 6 pixels of 640 apart are two edges to the eye."""
_MIN_LIMIT_PX: Final = 4.0
_LOOKS: Final = 7
"""The last looks that are asked."""
AGREE: Final = 5
"""So many of them must say the same."""
_MAX_AGE_S: Final = 60.0
"""A look with evidence is out of date after this."""
_LEARNT_FROM: Final = 15
"""Looks that tell what is usual here."""

_STEP_SHARE: Final = 0.4
"""Of what is left, taken out in one step of the correction."""
_DEAD_PX: Final = 0.5
"""What is left below this is not worth a change: looks are no better."""
_MINUTE_SHARE: Final = 0.0125
"""Of the picture's width: the correction moves no faster in a minute (8 pixels of 640)."""
_MOST_SHARE: Final = 0.04
"""Of the picture's width: the correction goes no further in all (25 pixels of 640)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Misfit:
    """By how much the registered infrared image would have to be moved to lie on the visible one.

    Raises:
        ValueError: a number that is not finite.
    """

    x_px: float
    """To the right, in pixels of the visible camera."""
    y_px: float
    """Down."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.x_px) and math.isfinite(self.y_px)):
            raise ValueError(f"a misfit must be finite, got {self.x_px}, {self.y_px}")

    def __add__(self, other: Misfit) -> Misfit:
        return Misfit(x_px=self.x_px + other.x_px, y_px=self.y_px + other.y_px)

    def __sub__(self, other: Misfit) -> Misfit:
        return Misfit(x_px=self.x_px - other.x_px, y_px=self.y_px - other.y_px)

    @property
    def px(self) -> float:
        """How far, whatever the direction."""
        return math.hypot(self.x_px, self.y_px)

    def at_most(self, limit_px: float) -> Misfit:
        """The same, or as far as allowed in the same direction."""
        share = min(1.0, limit_px / self.px) if self.px else 1.0
        return self.times(share)

    def times(self, share: float) -> Misfit:
        """That share of it."""
        return Misfit(x_px=self.x_px * share, y_px=self.y_px * share)

    def __str__(self) -> str:
        sideways = f"{abs(self.x_px):.1f} px to the {'right' if self.x_px >= 0 else 'left'}"
        return f"{sideways} and {abs(self.y_px):.1f} px {'down' if self.y_px >= 0 else 'up'}"


_NOWHERE: Final = Misfit(x_px=0.0, y_px=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bump:
    """The cameras do not look any more where the rig says."""

    began_ns: int
    """Moment of the first look that showed it."""
    misfit: Misfit
    """What the rig is off by."""


class BracketWatch:
    """Follows the misfit of one rig; fed with one look after the other.

    Args:
        width_px: of the visible camera's image.
    """

    def __init__(self, *, width_px: int) -> None:
        self.limit_px = max(_MIN_LIMIT_PX, _LIMIT_SHARE * width_px)
        """Further than this from what is usual is a bump."""
        self.bump: Bump | None = None
        """The bump that goes on; None: the cameras sit as they did."""
        self._looks = _Looks(spread_px=self.limit_px / 2)
        self._first: list[Misfit] = []
        self._usual = _NOWHERE

    @property
    def misfit(self) -> Misfit | None:
        """What the last looks agree on; None: they do not, or there is no evidence."""
        return self._looks.agreed

    def see(self, look: Misfit | None, moment_ns: int) -> None:
        """Take in one look; None: the images of this moment say nothing.

        Args:
            look: with what a correction has already taken out added.
            moment_ns: when the images were captured; one before the last begins anew.
        """
        self._looks.add(look, moment_ns)
        if look is None or (agreed := self._looks.agreed) is None:
            return
        off_px = (agreed - self._usual).px
        if self.bump is not None:
            back = off_px < self.limit_px / 2
            self.bump = None if back else Bump(began_ns=self.bump.began_ns, misfit=agreed)
        elif off_px > self.limit_px:
            self.bump = Bump(began_ns=self._looks.since_ns, misfit=agreed)
        else:
            self._learn(look)

    def forget(self) -> None:
        """The registration was changed by a person: what was learnt and seen is of another one."""
        self._looks.clear()
        self._first.clear()
        self._usual = _NOWHERE

    def _learn(self, look: Misfit) -> None:
        """What is usual is known after some looks, and not more than half of what is a bump."""
        if len(self._first) == _LEARNT_FROM:
            return
        self._first.append(look)
        if len(self._first) == _LEARNT_FROM:
            self._usual = _middle(self._first).at_most(self.limit_px / 2)


class SlowCorrection:
    """Takes out what is left between the images, slowly: a wrong look or two must not move the picture.

    A step is made when the looks since the last one agree. It takes out a share of what is left, no more than
    1.25 % of the picture's width in a minute and 4 % in all.

    Args:
        width_px: of the visible camera's image.
    """

    def __init__(self, *, width_px: int) -> None:
        self.applied = _NOWHERE
        """By how much the infrared image is to be moved, beyond the rig."""
        self.most_px = _MOST_SHARE * width_px
        """It is never moved further than this."""
        self._per_minute_px = _MINUTE_SHARE * width_px
        self._looks = _Looks(spread_px=max(_MIN_LIMIT_PX, _LIMIT_SHARE * width_px) / 2)
        self._begun_ns: int | None = None

    def step(self, look: Misfit | None, moment_ns: int) -> bool:
        """Take in one look; returns whether :attr:`applied` has changed.

        Args:
            look: what is left with :attr:`applied` taken out; None without evidence.
            moment_ns: when the images were captured.
        """
        if self._begun_ns is None or moment_ns < self._begun_ns:
            self._begun_ns = moment_ns
        self._looks.add(look, moment_ns)
        left = self._looks.agreed
        if look is None or left is None or left.px < _DEAD_PX:
            return False
        waited_s = min((moment_ns - self._begun_ns) / NS_PER_S, 60.0)
        move = left.times(_STEP_SHARE).at_most(self._per_minute_px * waited_s / 60.0)
        before, self.applied = self.applied, (self.applied + move).at_most(self.most_px)
        self._looks.clear()  # they were made with another correction
        self._begun_ns = moment_ns
        return (self.applied - before).px > 0.0

    def forget(self) -> None:
        """Begin again with the registration as it is in the rig."""
        self.applied, self._begun_ns = _NOWHERE, None
        self._looks.clear()


class _Looks:
    """The last looks that had evidence, and what most of them agree on."""

    def __init__(self, *, spread_px: float) -> None:
        self._spread_px = spread_px
        self._looks: deque[tuple[int, Misfit]] = deque(maxlen=_LOOKS)
        self.agreed: Misfit | None = None
        """Their middle, if most of them are near it."""
        self.since_ns = 0
        """When the first of those that agree was made."""

    def add(self, look: Misfit | None, moment_ns: int) -> None:
        if self._looks and moment_ns < self._looks[-1][0]:
            self.clear()
        if look is not None:
            self._looks.append((moment_ns, look))
        while self._looks and moment_ns - self._looks[0][0] > _MAX_AGE_S * NS_PER_S:
            self._looks.popleft()
        self._agree()

    def clear(self) -> None:
        self._looks.clear()
        self.agreed = None

    def _agree(self) -> None:
        self.agreed = None
        if len(self._looks) < AGREE:
            return
        middle = _middle(look for _, look in self._looks)
        near = [(moment, look) for moment, look in self._looks if (look - middle).px <= self._spread_px]
        if len(near) >= AGREE:
            self.agreed, self.since_ns = middle, near[0][0]


def _middle(looks: Iterable[Misfit]) -> Misfit:
    """The median of each coordinate."""
    x, y = zip(*((look.x_px, look.y_px) for look in looks), strict=True)
    return Misfit(x_px=median(x), y_px=median(y))

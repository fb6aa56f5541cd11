"""The fate of frames that pairs share.

An infrared frame can be part of several pairs in a row (a slower camera, or one that is held), and
any of these pairs may be dropped on the way. The frame is *emitted* if at least one of its pairs was,
and *dropped* only when all of them were and no further pair can want it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["FrameUses"]


@dataclass(slots=True)
class _Use:
    pairs_under_way: int = 0
    emitted: bool = False


class FrameUses:
    """Follows the frames of one stream through its pairs; counts each frame once.

    Args:
        on_emitted: called once for each frame of which a pair was emitted.
        on_dropped: called once for each frame whose pairs were all dropped.
    """

    def __init__(self, *, on_emitted: Callable[[], None], on_dropped: Callable[[], None]) -> None:
        self._on_emitted = on_emitted
        self._on_dropped = on_dropped
        self._uses: dict[int, _Use] = {}
        self._newest = -1

    @property
    def undecided(self) -> int:
        """Frames that are neither emitted nor dropped yet."""
        return sum(not use.emitted for use in self._uses.values())

    def paired(self, seq: int) -> None:
        """A pair with frame ``seq`` was made; pairs come in the order of their frames."""
        self._uses.setdefault(seq, _Use()).pairs_under_way += 1
        self._newest = max(self._newest, seq)
        self._close_passed(self._newest)

    def emitted(self, seq: int) -> None:
        """A pair with frame ``seq`` reached the sinks."""
        use = self._uses[seq]
        use.pairs_under_way -= 1
        if not use.emitted:
            use.emitted = True
            self._on_emitted()
        self._close_passed(self._newest)

    def dropped(self, seq: int) -> None:
        """A pair with frame ``seq`` was given up."""
        self._uses[seq].pairs_under_way -= 1
        self._close_passed(self._newest)

    def end(self) -> None:
        """No further pairs will be made."""
        self._newest += 1
        self._close_passed(self._newest)

    def _close_passed(self, newest: int) -> None:
        """Frames before the newest cannot come again; they are settled with their last pair."""
        for seq in [s for s, use in self._uses.items() if s < newest and use.pairs_under_way == 0]:
            if not self._uses.pop(seq).emitted:
                self._on_dropped()

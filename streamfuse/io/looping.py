"""A recording that begins again at its end, for ever."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from streamfuse.clock import NS_PER_S
from streamfuse.io.source import Source, SourceFrame, SourceInfo

__all__ = ["LoopingSource"]


class LoopingSource:
    """Opens a source anew whenever it ends; its times go on rising, one period after the last.

    A round lasts from the first frame to one period after the last. The two streams of a pair stay
    together only if their rounds are equally long.

    Args:
        reopen: Opens the source at its beginning; called once now and once a round.

    Raises:
        SourceError: it cannot be opened.
    """

    def __init__(self, reopen: Callable[[], Source]) -> None:
        self._reopen = reopen
        self._source = reopen()
        self._info = replace(self._source.info, frame_count=None)
        self._position = 0
        """Frames that lie behind us, in all rounds."""
        self._round_start = 0
        """Position at which this round began."""
        self._round_start_ns = 0
        self._last_ns = -1
        self._first_round: tuple[int, int] | None = None
        """Frames and nanoseconds of a round, once one was read whole."""

    @property
    def info(self) -> SourceInfo:
        """That of the source, but without an end."""
        return self._info

    def read(self) -> SourceFrame | None:
        """The next frame; None only if a new round has not one.

        Raises:
            SourceError: as the source does, also when it is opened anew.
        """
        frame = self._source.read()
        if frame is None:
            if self._position == self._round_start:
                return None
            self._begin_again()
            frame = self._source.read()
        if frame is None:
            return None
        self._position += 1
        self._last_ns = self._round_start_ns + frame.pts_ns
        return replace(frame, pts_ns=self._last_ns)

    def skip(self, count: int) -> None:
        """Go on at frame number ``count`` of all rounds; only the first round is ever read for it.

        Raises:
            ValueError: the source is past that frame already.
        """
        if count < self._position:
            raise ValueError(f"cannot go back to frame {count}, {self._position} were read")
        while self._first_round is None and self._position < count:
            if self.read() is None:
                return
        if self._first_round is None or self._position == count:
            return
        frames, length_ns = self._first_round
        rounds, rest = divmod(count, frames)
        self._open_round(rounds * frames, rounds * length_ns)
        self._source.skip(rest)
        self._position = count

    def close(self) -> None:
        """Close the source; may be called twice."""
        self._source.close()

    def _begin_again(self) -> None:
        end_ns = self._last_ns + round(NS_PER_S / self._info.fps)
        if self._first_round is None:
            self._first_round = self._position, end_ns
        self._open_round(self._position, end_ns)

    def _open_round(self, start: int, start_ns: int) -> None:
        self._source.close()
        self._source = self._reopen()
        self._round_start, self._round_start_ns = start, start_ns

"""Shots of a calibration board from live cameras: somebody moves the board, and is told where to.

A moment is kept when the board is found in all pictures, still, sharp, and in a pose that is new
(:mod:`streamfuse.core.shots`). It ends when all poses are there, when there are as many shots as were asked
for, or more than help, or when somebody stops it: Ctrl-C, or the button of the page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final

from streamfuse.clock import SystemClock
from streamfuse.config.sources import SourceConfig
from streamfuse.core.coverage import Sight
from streamfuse.core.shots import Judgement, ShotPicker
from streamfuse.errors import CalibrationError
from streamfuse.frames import StreamName
from streamfuse.geometry.boards.board import Board, BoardView
from streamfuse.geometry.boards.finding import find_board
from streamfuse.io.calibrating.live_page import LivePage
from streamfuse.io.cameras.camera_news import CameraFrame
from streamfuse.io.closing import Closing
from streamfuse.io.signals import caught_signals
from streamfuse.jobs.calibrating.live_view import LiveView
from streamfuse.jobs.calibrating.pictures import Picture

__all__ = ["LiveShots", "Shot", "collect_live"]

_WAIT_S: Final = 0.25
"""Longest wait for a picture: how soon the button is heeded."""
_LISTED: Final = 6
"""Wishes that the page lists at once."""

Found = dict[StreamName, BoardView]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shot:
    """One moment that is worth calibrating with."""

    name: str
    """For messages: ``shot 7``."""
    pictures: Mapping[StreamName, Picture]
    views: Mapping[StreamName, BoardView]
    """The board in each of them, as :func:`find_board` found it."""


def collect_live(
    sources: Mapping[StreamName, SourceConfig],
    board: Board,
    *,
    shots: int | None = None,
    page: str | None = None,
    tell: Callable[[str], None],
) -> tuple[Shot, ...]:
    """Watch one camera, or both, until there are enough shots or somebody stops it.

    Args:
        sources: the cameras. Recordings are played as if they were some.
        board: what is moved before them.
        shots: how many to take; None: until all poses are there, or thirty.
        page: ``HOST:PORT`` of the page that guides; None: no page.
        tell: gets one line for the terminal whenever there is something new to say; the first is where the
            page is.

    Returns:
        At least one shot.

    Raises:
        SourceError: a camera is silent for long, or a recording cannot be opened.
        OutputError: the page cannot be served.
        UsageError: the page's address is none.
        CalibrationError: it was stopped before the first shot.
    """
    clock = SystemClock()
    with ExitStack() as stack:
        signals = stack.enter_context(caught_signals())
        served = stack.enter_context(LivePage(page)) if page is not None else None
        if served is not None:
            tell(_where(served))
        view = stack.enter_context(LiveView(sources, clock=clock))
        live = stack.enter_context(LiveShots(tuple(sources), board, wanted=shots, page=served, tell=tell))
        while not (live.is_done or signals.count or view.has_ended):
            frames = view.next(_WAIT_S)
            if frames is not None:
                live.see(frames)
        live.finish()
    if not live.shots:
        whose = " and ".join(sources)
        raise CalibrationError(
            f"no shot of {board.spec} was taken from {whose}; is it that board, and was it held still, whole "
            "and sharp in the picture?"
        )
    return live.shots


class LiveShots(Closing):
    """Takes pictures in and shots out.

    Args:
        streams: the cameras.
        board: what is looked for.
        wanted: how many shots; None: as many as it takes.
        page: shows what goes on.
        tell: gets a line whenever it changes.
    """

    def __init__(
        self,
        streams: tuple[StreamName, ...],
        board: Board,
        *,
        wanted: int | None,
        page: LivePage | None,
        tell: Callable[[str], None],
    ) -> None:
        self._streams = streams
        self._board = board
        self._wanted = wanted
        self._page = page
        self._tell = tell
        self._picker = ShotPicker(streams)
        self._shots: list[Shot] = []
        self._line = ""
        self._finders = ThreadPoolExecutor(len(streams), thread_name_prefix="find-board")

    @property
    def shots(self) -> tuple[Shot, ...]:
        """Those taken so far."""
        return tuple(self._shots)

    @property
    def is_done(self) -> bool:
        """Whether there are enough, or the button was pressed."""
        if self._page is not None and self._page.stopped.is_set():
            return True
        if self._wanted is not None:
            return len(self._shots) >= self._wanted
        return self._picker.is_enough

    def see(self, frames: Mapping[StreamName, CameraFrame]) -> Judgement:
        """Look at pictures of one moment."""
        pictures = {
            stream: Picture(name=stream, image=frame.image.copy(), pts_ns=frame.pts_ns)
            for stream, frame in frames.items()
        }
        views = self._finders.map(self._find, pictures, pictures.values())
        found = {stream: view for stream, view in zip(pictures, views, strict=True) if view is not None}
        judgement = self._picker.judge(
            {stream: _sight(view) for stream, view in found.items()},
            max(frame.capture_ns for frame in frames.values()),
            sharpness_px={stream: view.sharpness_px for stream, view in found.items()},
        )
        if judgement.verdict is judgement.verdict.TAKE:
            name = f"shot {len(self._shots) + 1}"
            self._shots.append(Shot(name=name, pictures=pictures, views=found))
        self._report(judgement, found, pictures)
        return judgement

    def finish(self) -> None:
        """Tell everybody that no more pictures are wanted."""
        self._say(f"{self._counted}, {self._picker.progress:.0%} covered; computing")
        if self._page is not None:
            words = f"{self._counted} taken. The result is in the terminal."
            self._page.tell({**self._news(words, "done"), "finished": True})

    def close(self) -> None:
        """Let the threads go that look for boards; may be called twice."""
        self._finders.shutdown()

    def _find(self, stream: StreamName, picture: Picture) -> BoardView | None:
        return find_board(picture.counts, self._board, thermal=stream is StreamName.INFRARED)

    @property
    def _count(self) -> int:
        return len(self._shots)

    @property
    def _counted(self) -> str:
        if self._wanted is not None:
            return f"{self._count} of {self._wanted} shots"
        return "1 shot" if self._count == 1 else f"{self._count} shots"

    def _report(self, judgement: Judgement, found: Found, pictures: Mapping[StreamName, Picture]) -> None:
        words = self._order(judgement)
        self._say(f"{self._counted}, {self._picker.progress:.0%} covered: {words}")
        if self._page is not None:
            news = self._news(words, judgement.verdict)
            news["cameras"] = [self._camera(stream, pictures[stream], found) for stream in self._streams]
            self._page.tell(news, {stream: picture.image for stream, picture in pictures.items()})

    def _order(self, judgement: Judgement) -> str:
        """What to do now: about this picture while it is not good, else the next pose."""
        needs = self._picker.needs
        if judgement.verdict not in {judgement.verdict.TAKE, judgement.verdict.KNOWN}:
            return judgement.words
        return needs[0].words if needs else "another pose"

    def _news(self, words: str, verdict: str) -> dict[str, Any]:
        return {
            "words": words[0].upper() + words[1:],
            "verdict": verdict,
            "shots": self._count,
            "wanted": self._wanted,
            "progress": self._picker.progress,
            "needs": [need.words for need in self._picker.needs[:_LISTED]],
            "finished": False,
            "cameras": [],
        }

    def _camera(self, stream: StreamName, picture: Picture, found: Found) -> dict[str, Any]:
        view = found.get(stream)
        return {
            "name": stream,
            "size": picture.size_wh,
            "points": [] if view is None else view.pixels.round(1).tolist(),
            "map": self._picker.coverage[stream].cells.tolist(),
        }

    def _say(self, line: str) -> None:
        if line != self._line:
            self._line = line
            self._tell(line)


def _sight(view: BoardView) -> Sight | None:
    return Sight.of(view.object_points[:, :2], view.pixels, view.size_wh)


def _where(page: LivePage) -> str:
    return f"open {page.url}" + ("" if page.token is None else f" with the token {page.token}")

"""Looking for the board in picture after picture."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np

from streamfuse.errors import CalibrationError, SourceError
from streamfuse.frames import Image, PixelFormat, StreamName
from streamfuse.geometry.boards.board import Board, BoardView
from streamfuse.geometry.boards.finding import find_board
from streamfuse.geometry.boards.guessing import what_is_there
from streamfuse.jobs.calibrating.findings import NO_BOARD
from streamfuse.jobs.calibrating.pictures import Picture, source_of

__all__ = ["Looks", "Progress", "Sought", "check_found", "looks_of", "watch"]

Looks = Literal["gray16", "gray", "colour"]
Progress = Callable[[int, "int | None", str], None]
"""Told how many pictures are done, of how many, and the name of the last."""

_COLOUR: Final = 4.0
"""Mean distance between the channels from which a picture counts as one in colour, of 255."""
_KEPT: Final = 3
"""Pictures without a board that are looked at again, for a hint."""


@dataclass(slots=True, kw_only=True)
class Sought:
    """What was found in the pictures of one camera."""

    stream: StreamName
    board: Board
    views: dict[str, BoardView] = field(default_factory=dict)
    """By the name of the picture."""
    empty: list[str] = field(default_factory=list)
    """Pictures in which no board was found."""
    unreadable: dict[str, str] = field(default_factory=dict)
    """Pictures that could not be read, with the reason."""
    looks: set[Looks] = field(default_factory=set)
    """Of all pictures."""
    samples: list[Picture] = field(default_factory=list)
    """Some of the empty ones."""

    @property
    def count(self) -> int:
        """Of the pictures that were looked at."""
        return len(self.views) + len(self.empty)

    @property
    def unused(self) -> dict[str, str]:
        """Pictures without a view of the board, with the reason."""
        return dict.fromkeys(self.empty, NO_BOARD) | self.unreadable

    def check_readable(self) -> None:
        """Refuse pictures of which not one can be read.

        Raises:
            SourceError: there are such, and no other.
        """
        if self.unreadable and not self.looks:
            name, reason = next(iter(self.unreadable.items()))
            raise SourceError(
                f"{self.stream}: no picture of {len(self.unreadable)} can be read; {name} {reason}"
            )

    def glance(self, picture: Picture) -> None:
        """Note what kind of picture it is, which takes no time."""
        self.looks.add(looks_of(picture.image))

    def look(self, picture: Picture, *, name: str) -> BoardView | None:
        """Search a picture, and note what was found by a name."""
        view = find_board(picture.counts, self.board, thermal=self.stream is StreamName.INFRARED)
        if view is not None:
            self.views[name] = view
            return view
        self.empty.append(name)
        if len(self.samples) < _KEPT:
            self.samples.append(picture)
        return None


def watch(
    locations: Mapping[StreamName, str],
    sought: Sequence[Sought],
    *,
    shots: int | None,
    page: str | None,
    on_progress: Progress | None = None,
) -> None:
    """Search what live cameras see, while somebody moves the board before them.

    Args:
        locations: The cameras.
        sought: Of the same cameras; gets what is found.
        shots: How many moments; None: until all poses are there.
        page: Host and port of a page that guides.
        on_progress: Its words are what to do next.

    Raises:
        SourceError: a camera is silent.
        OutputError: the page cannot be served.
        CalibrationError: it was stopped before the first shot.
    """
    from streamfuse.jobs.calibrating.live import collect_live  # noqa: PLC0415 - brings a web server along

    def tell(line: str) -> None:
        if on_progress is not None:
            on_progress(0, shots, line)

    sources = {stream: source_of(location, stream) for stream, location in locations.items()}
    for shot in collect_live(sources, sought[0].board, shots=shots, page=page, tell=tell):
        for each in sought:
            each.views[shot.name] = shot.views[each.stream]
            each.glance(shot.pictures[each.stream])


def looks_of(image: Image) -> Looks:
    """What kind of picture it is; the channels of a grey one may be three."""
    if image.spec.format is PixelFormat.GRAY16:
        return "gray16"
    if image.spec.format is PixelFormat.RGB24:
        samples = image.planes[0][::4, ::4].astype(np.int16)
        apart = float(np.mean(np.ptp(samples, axis=2)))
    elif image.spec.format is PixelFormat.YUV420P:
        apart = 2 * max(float(np.mean(np.abs(plane.astype(np.int16) - 128))) for plane in image.planes[1:])
    else:
        apart = 0.0
    return "colour" if apart > _COLOUR else "gray"


def check_found(sought: Sought, *, on_progress: Progress | None = None) -> None:
    """Refuse pictures without a single board, with the best guess why.

    Args:
        sought: What was found in all pictures.
        on_progress: Told of each picture that is looked at again, for the guess.

    Raises:
        CalibrationError: the board was found nowhere.
    """
    if sought.views:
        return
    if not sought.count:
        raise CalibrationError(f"{sought.stream}: there is no picture to look at")
    where = f"{sought.stream}: no {sought.board.spec} was found in any of {sought.count} pictures"
    if sought.stream is StreamName.VISIBLE and _found_as(sought.samples, sought.board, thermal=True):
        raise CalibrationError(
            f"{where}, but one with the search for thermal pictures: the cameras seem swapped; exchange them"
        )
    thermal = sought.stream is StreamName.INFRARED
    if (other := _other_board(sought, on_progress)) is not None:
        raise CalibrationError(f"{where}, but a {other.spec} is there; give --board {other.spec}")
    mend = (
        "warm the board (a hair dryer, the sun) so that its pattern shows" if thermal else "light it evenly"
    )
    raise CalibrationError(
        f"{where}; count its columns and rows again (of a chessboard the inner corners), keep all of it in "
        f"the picture with a rim around it, and {mend}"
    )


def _found_as(pictures: Iterable[Picture], board: Board, *, thermal: bool) -> bool:
    return any(find_board(picture.counts, board, thermal=thermal) is not None for picture in pictures)


def _other_board(sought: Sought, on_progress: Progress | None) -> Board | None:
    """What two pictures show in its place, or the only one there is: a single picture may be mistaken."""
    thermal = sought.stream is StreamName.INFRARED
    tried: set[Board] = set()
    for picture in sought.samples:
        if on_progress is not None:
            on_progress(sought.count, sought.count, f"looking for another board in {picture.name}")
        other = what_is_there(picture.counts, sought.board, thermal=thermal)
        if other is None or other in tried:
            continue
        tried.add(other)
        rest = (each for each in sought.samples if each is not picture)
        if sought.count == 1 or _found_as(rest, other, thermal=thermal):
            return other
    return None

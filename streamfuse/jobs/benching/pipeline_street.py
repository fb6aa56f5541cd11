"""The drawn street as two video files: sources whose cost is that of decoding, as a user's files have it.

Drawing takes longer than a pipeline does, so a street is drawn once and kept in the user's cache.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from streamfuse.config.rig import load_rig
from streamfuse.errors import OutputError, SourceError, UsageError
from streamfuse.folders import cache_dir
from streamfuse.frames import StreamName
from streamfuse.io.files import check_writable
from streamfuse.io.synthetic.source import SyntheticSource
from streamfuse.io.synthetic.spec import StreetSpec
from streamfuse.io.video.writer import VideoWriter

__all__ = ["StreetFiles", "street_files"]

_DEFAULT_WH: Final = (640, 480)
_MADE_LIKE: Final = 1
"""To be counted up when the files are made in another way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreetFiles:
    """A street that lies on the disk."""

    visible: Path
    infrared: Path
    visible_wh: tuple[int, int]
    infrared_wh: tuple[int, int]
    fps: float

    def path(self, stream: StreamName) -> Path:
        """The video of one camera."""
        return self.visible if stream is StreamName.VISIBLE else self.infrared


def street_files(rig: str, *, frames: int, fps: int, say: Callable[[str], None]) -> StreetFiles:
    """The street at dusk in the sizes that a rig is made for, drawn now if it is not in the cache.

    Args:
        rig: as in a pipeline; ``identity`` gives 640x480.
        frames: at least so many of each camera.
        fps: of both.
        say: told what is going on.

    Raises:
        UsageError: the street cannot be drawn in the sizes of the rig.
        ConfigError: the rig file has mistakes.
        OutputError: the cache cannot be written.
        MachineError: no encoder works.
    """
    sizes = load_rig(rig)
    visible_wh = sizes.visible_size_wh or _DEFAULT_WH
    infrared_wh = sizes.infrared_size_wh or visible_wh
    try:
        StreetSpec(size_wh=visible_wh, infrared_size_wh=infrared_wh)
    except ValueError as error:
        raise UsageError(f"rig: the street cannot be drawn for it: {error}") from error
    uri = f"synthetic://street?seed=7&fps={fps}&size={_words(visible_wh)}&infrared_size={_words(infrared_wh)}"
    folder = _cache() / f"street-{_MADE_LIKE}-{_words(visible_wh)}-{_words(infrared_wh)}-{fps}-{frames}"
    check_writable(folder)
    for stream in StreamName:
        if not (path := folder / f"{stream}.mp4").exists():
            say(f"drawing the {stream} street")
            _draw(uri, stream, path, frames)
    return StreetFiles(
        visible=folder / f"{StreamName.VISIBLE}.mp4",
        infrared=folder / f"{StreamName.INFRARED}.mp4",
        visible_wh=visible_wh,
        infrared_wh=infrared_wh,
        fps=float(fps),
    )


def _draw(uri: str, stream: StreamName, path: Path, frames: int) -> None:
    """Write one video; it appears whole or not at all."""
    part = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        with (
            closing(SyntheticSource(uri, stream=stream)) as source,
            VideoWriter(part, source.info.spec, fps=source.info.fps) as writer,
        ):
            for number in range(frames):
                if (frame := source.read()) is None:
                    raise SourceError(f"{uri}: ended after {number} of {frames} pictures")
                writer.write(frame.image, frame.pts_ns)
        part.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror}); make room in the cache") from error
    finally:
        part.unlink(missing_ok=True)


def _cache() -> Path:
    return cache_dir() / "bench"


def _words(size_wh: tuple[int, int]) -> str:
    return f"{size_wh[0]}x{size_wh[1]}"

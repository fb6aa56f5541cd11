"""The index of a segment: a header, then a line of JSON for each fused pair."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from streamfuse.clock import NS_PER_S
from streamfuse.errors import OutputError
from streamfuse.io.closing import Closing
from streamfuse.io.shelf import part_of
from streamfuse.io.video.durable import DurableFile, sync_folder

__all__ = ["IndexFile"]

_SETTLE_NS: Final = NS_PER_S // 2
"""How often what was written is brought to the disk, as often as the video."""


class IndexFile(Closing):
    """Writes an index as ``PATH.part`` and gives it its name when it is closed.

    A line is with the system when it is written, and on the disk within a second.

    Args:
        path: The index; its ``.part`` must not be there.

    Raises:
        OutputError: it cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._settled_ns = -_SETTLE_NS
        try:
            self._file = DurableFile(part_of(path), fresh=True)
        except OSError as error:
            raise self._problem(error) from error

    @property
    def nbytes(self) -> int:
        """Bytes in the file so far."""
        return self._file.nbytes

    @property
    def is_there(self) -> bool:
        """Whether the file that is being written has its name: nobody has removed it."""
        return part_of(self._path).exists()

    def write(self, line: Mapping[str, Any], *, pts_ns: int) -> None:
        """Add a line that belongs to the time ``pts_ns`` of the segment.

        Raises:
            OutputError: it cannot be written; whole lines before it stay.
        """
        try:
            self._file.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")
            if pts_ns - self._settled_ns >= _SETTLE_NS:
                self._file.settle()
                self._settled_ns = pts_ns
        except OSError as error:
            self.abandon()
            raise self._problem(error) from error

    def close(self) -> None:
        """Finish the file and give it its name; may be called twice.

        Raises:
            OutputError: the rest cannot be written; what is in the file stays, as ``.part``.
        """
        if self._file.closed:
            return
        try:
            self._file.finish()
            part_of(self._path).rename(self._path)
            sync_folder(self._path.parent)
        except OSError as error:
            self._file.close()
            raise self._problem(error) from error

    def abandon(self) -> None:
        """Let go of the file as it is, still called ``.part``."""
        self._file.settle()
        self._file.close()

    def _problem(self, error: OSError) -> OutputError:
        return OutputError(
            f"{self._path}: cannot be written ({error.strerror}); "
            "check the folder, its rights and the free space"
        )

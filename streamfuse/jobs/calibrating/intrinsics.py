"""From pictures of a board to the lens of one camera in a rig file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from streamfuse.config.rig import RigConfig
from streamfuse.errors import CalibrationError, UsageError
from streamfuse.frames import StreamName
from streamfuse.geometry.boards.board import Board
from streamfuse.geometry.calibration.intrinsics import CameraCalibration, calibrate_camera
from streamfuse.geometry.camera import LensModel
from streamfuse.geometry.rig import camera_config
from streamfuse.io.files import check_writable
from streamfuse.io.rig_file import read_rig_config, write_rig_config
from streamfuse.jobs.calibrating.findings import NO_BOARD, advice, camera_dict, lens_note
from streamfuse.jobs.calibrating.pictures import Picture, is_camera, read_pictures
from streamfuse.jobs.calibrating.seeking import Progress, Sought, check_found, watch
from streamfuse.jobs.calibrating.suspicion import check_size, check_visible, doubt

__all__ = ["Intrinsics", "IntrinsicsResult", "calibrate_intrinsics"]

Unique = Callable[[str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Intrinsics:
    """What is to be done.

    Raises:
        UsageError: a live camera beside other locations.
    """

    images: tuple[str, ...]
    """Images, folders, videos, or one camera."""
    camera: StreamName
    board: Board
    out: Path
    """The rig file, which may be there already."""
    model: LensModel = "pinhole"
    page: str | None = None
    """Host and port of a page that shows what a live camera sees."""
    shots: int | None = None
    """Pictures to take of a live camera; None: until all poses are there."""

    def __post_init__(self) -> None:
        if len(self.images) > 1 and (
            self.is_live or any(is_camera(each, self.camera) for each in self.images)
        ):
            raise UsageError("--images: a live camera is taken on its own; give it once and nothing else")

    @property
    def is_live(self) -> bool:
        """Whether somebody moves the board before the cameras now; a recording may stand in for them."""
        return self.page is not None or self.shots is not None or is_camera(self.images[0], self.camera)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class IntrinsicsResult:
    """What came out, and is in the rig file."""

    camera: StreamName
    calibration: CameraCalibration
    board: Board
    empty: dict[str, str]
    """Pictures in which no board was found, with that reason."""
    unreadable: dict[str, str]
    """Pictures that could not be read, with the reason."""
    has_other: bool
    """Whether the rig file has the lens of the other camera."""
    out: Path
    notes: tuple[str, ...]
    """What a person should know, a sentence each."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "camera": str(self.camera),
            "board": self.board.spec,
            "out": str(self.out),
            **camera_dict(self.calibration),
            "without_board": list(self.empty),
            "unreadable": dict(self.unreadable),
            "notes": list(self.notes),
        }


def calibrate_intrinsics(job: Intrinsics, *, on_progress: Progress | None = None) -> IntrinsicsResult:
    """Find the board in all pictures, solve for the lens, and write it into the rig file.

    Raises:
        CalibrationError: the pictures do not determine the lens; nothing is written.
        UsageError: the rig file is for pictures of another size, or the pictures are the other camera's.
        ConfigError: mistakes in the rig file.
        SourceError: the pictures cannot be read.
        OutputError: the rig file cannot be written.
    """
    rig = read_rig_config(job.out) or RigConfig()
    check_writable(job.out.absolute().parent)
    sought = _sought(job, rig, on_progress)
    check_visible(sought)
    check_found(sought, on_progress=on_progress)
    try:
        found = calibrate_camera(sought.views, model=job.model)
    except CalibrationError as error:
        raise CalibrationError(f"{job.camera}: {error}") from error
    write_rig_config(job.out, _grown(rig, job, found, sought.unused))
    return IntrinsicsResult(
        camera=job.camera,
        calibration=found,
        board=job.board,
        empty=dict.fromkeys(sought.empty, NO_BOARD),
        unreadable=dict(sought.unreadable),
        has_other=_has_lens(rig, job.camera.other),
        out=job.out,
        notes=tuple(filter(None, (doubt(sought), *advice(found), *_outdated(rig)))),
    )


def _sought(job: Intrinsics, rig: RigConfig, on_progress: Progress | None) -> Sought:
    sought = Sought(stream=job.camera, board=job.board)
    if job.is_live:
        watch({job.camera: job.images[0]}, [sought], shots=job.shots, page=job.page, on_progress=on_progress)
        return sought
    for done, (name, picture) in enumerate(_pictures(job, sought), start=1):
        check_size(rig, job.camera, picture.size_wh)  # before the search, which may be long
        sought.glance(picture)
        check_visible(sought)
        sought.look(picture, name=name)
        if on_progress is not None:
            on_progress(done, None, name)
    return sought


def _pictures(job: Intrinsics, sought: Sought) -> Iterator[tuple[str, Picture]]:
    """All pictures that can be read, each with a name that no other has."""
    for location in job.images:
        unique = partial(_name_in, location, several=len(job.images) > 1)

        def leave_out(_: StreamName, name: str, reason: str, unique: Unique = unique) -> None:
            sought.unreadable[unique(name)] = reason

        for picture in read_pictures(location, job.camera, on_unreadable=leave_out):
            yield unique(picture.name), picture
    sought.check_readable()


def _name_in(location: str, name: str, *, several: bool) -> str:
    folder = Path(location).name
    return f"{folder}/{name}" if several and name != folder else name


def _grown(rig: RigConfig, job: Intrinsics, found: CameraCalibration, unused: Mapping[str, str]) -> RigConfig:
    """The rig file with the lens in it."""
    stream, size_wh = str(job.camera), found.camera.size_wh
    note = lens_note("calibrate intrinsics", job.board, found, unused=unused)
    return check_size(rig, job.camera, size_wh).grown(**{stream: camera_config(found.camera, made_by=note)})


def _outdated(rig: RigConfig) -> Iterator[str]:
    if rig.T_visible_from_infrared is not None:
        yield "The pose in the rig file was measured with the older lens; run calibrate stereo again."
    elif rig.planes:
        yield "The planes in the rig file are as they were; calibrate stereo makes new ones from both lenses."


def _has_lens(rig: RigConfig, stream: StreamName) -> bool:
    config = rig.visible if stream is StreamName.VISIBLE else rig.infrared
    return config is not None and config.intrinsics is not None

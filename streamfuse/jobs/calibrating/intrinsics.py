"""From pictures of a board to the lens of one camera in a rig file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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
from streamfuse.jobs.calibrating.findings import advice, camera_dict, lens_note
from streamfuse.jobs.calibrating.pictures import Picture, is_camera, read_pictures
from streamfuse.jobs.calibrating.seeking import Progress, Sought, check_found, watch
from streamfuse.jobs.calibrating.suspicion import check_size, check_visible, doubt

__all__ = ["Intrinsics", "IntrinsicsResult", "calibrate_intrinsics"]


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
    empty: tuple[str, ...]
    """Pictures in which no board was found."""
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
    check_found(sought)
    try:
        found = calibrate_camera(sought.views, model=job.model)
    except CalibrationError as error:
        raise CalibrationError(f"{job.camera}: {error}") from error
    write_rig_config(job.out, _grown(rig, job, found, sought.empty))
    return IntrinsicsResult(
        camera=job.camera,
        calibration=found,
        board=job.board,
        empty=tuple(sought.empty),
        out=job.out,
        notes=tuple(filter(None, (doubt(sought), *advice(found), *_outdated(rig)))),
    )


def _sought(job: Intrinsics, rig: RigConfig, on_progress: Progress | None) -> Sought:
    sought = Sought(stream=job.camera, board=job.board)
    if job.is_live:
        watch({job.camera: job.images[0]}, [sought], shots=job.shots, page=job.page, on_progress=on_progress)
        return sought
    for done, (name, picture) in enumerate(_pictures(job), start=1):
        check_size(rig, job.camera, picture.size_wh)  # before the search, which may be long
        sought.glance(picture)
        check_visible(sought)
        sought.look(picture, name=name)
        if on_progress is not None:
            on_progress(done, None, name)
    return sought


def _pictures(job: Intrinsics) -> Iterator[tuple[str, Picture]]:
    """All pictures, each with a name that no other has."""
    several = len(job.images) > 1
    for location in job.images:
        for picture in read_pictures(location, job.camera):
            in_folder = several and picture.name != Path(location).name
            yield (f"{Path(location).name}/{picture.name}" if in_folder else picture.name), picture


def _grown(rig: RigConfig, job: Intrinsics, found: CameraCalibration, empty: Sequence[str]) -> RigConfig:
    """The rig file with the lens in it."""
    stream, size_wh = str(job.camera), found.camera.size_wh
    note = lens_note("calibrate intrinsics", job.board, found, empty=empty)
    return check_size(rig, job.camera, size_wh).grown(**{stream: camera_config(found.camera, made_by=note)})


def _outdated(rig: RigConfig) -> Iterator[str]:
    if rig.T_visible_from_infrared is not None:
        yield "The pose in the rig file was measured with the older lens; run calibrate stereo again."
    elif rig.planes:
        yield "The planes in the rig file are as they were; calibrate stereo makes new ones from both lenses."

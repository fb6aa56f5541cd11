"""From pairs of pictures of a board to the pose between the cameras, and planes, in a rig file."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streamfuse.config.rig import RigConfig
from streamfuse.errors import UsageError
from streamfuse.frames import StreamName
from streamfuse.geometry.boards.board import Board
from streamfuse.geometry.calibration.stereo import StereoCalibration, calibrate_stereo
from streamfuse.geometry.camera import Camera, LensModel
from streamfuse.geometry.rig import camera_of
from streamfuse.io.files import check_writable
from streamfuse.io.rig_file import read_rig_config, write_rig_config
from streamfuse.jobs.calibrating.findings import camera_dict
from streamfuse.jobs.calibrating.pictures import is_camera, read_pairs
from streamfuse.jobs.calibrating.seeking import Progress, Sought, check_found, watch
from streamfuse.jobs.calibrating.stereo_findings import held_out_dict, notes_on, with_cameras, with_planes
from streamfuse.jobs.calibrating.suspicion import check_lenses, check_looks

__all__ = ["Stereo", "StereoResult", "calibrate_pair", "parse_distances"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stereo:
    """What is to be done.

    Raises:
        UsageError: one camera is live and the other is a recording.
    """

    visible: str
    """Location of the visible pictures."""
    infrared: str
    board: Board
    out: Path
    """The rig file; lenses in it are used as they are."""
    planes: tuple[float, ...] = (math.inf, 10.0, 5.0)
    """Distances in metres of the planes to write."""
    model: LensModel = "pinhole"
    """Of the lenses that the rig file does not have."""
    page: str | None = None
    """Host and port of a page that shows what live cameras see."""
    shots: int | None = None
    """Moments to take of live cameras; None: until all poses are there."""

    def __post_init__(self) -> None:
        if is_camera(self.visible, StreamName.VISIBLE) != is_camera(self.infrared, StreamName.INFRARED):
            raise UsageError("--visible and --infrared: one is a live camera and the other is not")

    @property
    def is_live(self) -> bool:
        """Whether somebody moves the board before the cameras now; a recording may stand in for them."""
        return self.page is not None or self.shots is not None or is_camera(self.visible, StreamName.VISIBLE)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StereoResult:
    """What came out, and is in the rig file."""

    calibration: StereoCalibration
    board: Board
    given: tuple[StreamName, ...]
    """Cameras whose lens was in the rig file."""
    empty: dict[StreamName, dict[str, str]]
    """Pictures in which no board was found, or that cannot be read, with the reason."""
    planes: tuple[float, ...]
    """Distances of the planes, metres."""
    out: Path
    notes: tuple[str, ...]
    """What a person should know, a sentence each."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        found = self.calibration
        pose = found.T_visible_from_infrared
        return {
            "board": self.board.spec,
            "out": str(self.out),
            "T_visible_from_infrared": {
                "rotation_vector": list(pose.rotation_vector),
                "translation_m": list(pose.translation_m),
            },
            "baseline_m": pose.distance_m,
            "rotation_deg": pose.angle_deg,
            "uncertainty": {
                "rotation_deg": found.rotation_deviation_deg,
                "translation_m": found.translation_deviation_m,
            },
            "rms_px": found.rms_px,
            "held_out": held_out_dict(found, self.planes),
            "pairs": [
                {
                    "name": pair.name,
                    "visible_rms_px": pair.visible_rms_px,
                    "infrared_rms_px": pair.infrared_rms_px,
                    "held_out_px": None if found.held_out is None else found.held_out.miss_px.get(pair.name),
                    "left_out": pair.left_out or None,
                }
                for pair in found.pairs
            ],
            "visible": camera_dict(found.visible),
            "infrared": camera_dict(found.infrared),
            "lenses_given": [str(each) for each in self.given],
            "without_board": {str(stream): list(names) for stream, names in self.empty.items()},
            "planes_m": ["inf" if math.isinf(each) else each for each in self.planes],
            "notes": list(self.notes),
        }


def calibrate_pair(job: Stereo, *, on_progress: Progress | None = None) -> StereoResult:
    """Find the board in all pairs, solve for what is not known, and write it into the rig file.

    Raises:
        CalibrationError: the pictures do not determine the pose; nothing is written.
        UsageError: the rig file is for pictures of other sizes, or the cameras are exchanged.
        ConfigError: mistakes in the rig file.
        SourceError: the pictures cannot be read.
        OutputError: the rig file cannot be written.
    """
    rig = read_rig_config(job.out) or RigConfig()
    check_writable(job.out.absolute().parent)
    visible, infrared = _sought(job, rig, on_progress)
    check_looks(visible, infrared)
    for sought in (visible, infrared):
        check_found(sought, on_progress=on_progress)
    sizes = [next(iter(sought.views.values())).size_wh for sought in (visible, infrared)]
    rig = rig.sized(visible_wh=sizes[0], infrared_wh=sizes[1])
    given = _lens(rig, StreamName.VISIBLE), _lens(rig, StreamName.INFRARED)
    check_lenses(visible, infrared, given)
    names = list(visible.views | infrared.views)
    pairs = {name: (visible.views.get(name), infrared.views.get(name)) for name in names}
    found = calibrate_stereo(
        pairs,
        visible=given[0],
        infrared=given[1],
        model=job.model,
        uncertainty=(_spread(rig, StreamName.VISIBLE), _spread(rig, StreamName.INFRARED)),
    )
    empty = {sought.stream: sought.unused for sought in (visible, infrared)}
    grown = with_cameras(rig, found, board=job.board, given=given, empty=empty)
    write_rig_config(job.out, with_planes(grown, found, job.planes, board=job.board))
    return StereoResult(
        calibration=found,
        board=job.board,
        given=tuple(stream for stream, lens in zip(StreamName, given, strict=True) if lens is not None),
        empty=empty,
        planes=job.planes,
        out=job.out,
        notes=(*notes_on(found, given=given, planes=job.planes), *_exact(rig, given)),
    )


def parse_distances(text: str) -> tuple[float, ...]:
    """Distances in metres, as in ``inf,10,5``.

    Raises:
        UsageError: they are not positive, or one comes twice.
    """
    try:
        distances = tuple(float(word) for word in text.split(","))
    except ValueError as error:
        raise UsageError(f"--planes: distances are written like inf,10,5, got {text!r}") from error
    if not all(each > 0 for each in distances) or len(set(distances)) < len(distances):
        raise UsageError(f"--planes: distances are positive metres, each once, got {text!r}")
    return distances


def _sought(job: Stereo, rig: RigConfig, on_progress: Progress | None) -> tuple[Sought, Sought]:
    visible = Sought(stream=StreamName.VISIBLE, board=job.board)
    infrared = Sought(stream=StreamName.INFRARED, board=job.board)

    def leave_out(stream: StreamName, name: str, reason: str) -> None:
        (visible if stream is StreamName.VISIBLE else infrared).unreadable[name] = reason

    if job.is_live:
        locations = {StreamName.VISIBLE: job.visible, StreamName.INFRARED: job.infrared}
        watch(locations, [visible, infrared], shots=job.shots, page=job.page, on_progress=on_progress)
        return visible, infrared
    for done, pair in enumerate(read_pairs(job.visible, job.infrared, on_unreadable=leave_out), start=1):
        rig.sized(visible_wh=pair.visible.size_wh, infrared_wh=pair.infrared.size_wh)
        visible.glance(pair.visible)
        infrared.glance(pair.infrared)
        check_looks(visible, infrared)  # before the search, which may be long
        visible.look(pair.visible, name=pair.name)
        infrared.look(pair.infrared, name=pair.name)
        if on_progress is not None:
            on_progress(done, None, pair.name)
    for sought in (visible, infrared):
        sought.check_readable()
    return visible, infrared


def _lens(rig: RigConfig, stream: StreamName) -> Camera | None:
    config = rig.visible if stream is StreamName.VISIBLE else rig.infrared
    return None if config is None else camera_of(config)


def _spread(rig: RigConfig, stream: StreamName) -> dict[str, float]:
    """How uncertain the lens of the rig file is; empty where the file does not tell."""
    config = rig.visible if stream is StreamName.VISIBLE else rig.infrared
    note = None if config is None else config.made_by
    return {} if note is None else note.uncertainty


def _exact(rig: RigConfig, given: Sequence[Camera | None]) -> Iterator[str]:
    for stream, lens in zip(StreamName, given, strict=True):
        if lens is not None and not _spread(rig, stream):
            yield (
                f"The rig file does not tell how uncertain the {stream} lens is, so it counts as exact here: "
                "the pose is less sure than is told."
            )

"""From pairs of pictures of a board to the pose between the cameras, and planes, in a rig file."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from streamfuse.config.rig import MadeBy, PlaneConfig, RigConfig
from streamfuse.errors import UsageError
from streamfuse.frames import StreamName
from streamfuse.geometry.boards.board import Board
from streamfuse.geometry.calibration.stereo import StereoCalibration, calibrate_stereo
from streamfuse.geometry.camera import Camera, LensModel
from streamfuse.geometry.lenses import plane_homography
from streamfuse.geometry.rig import camera_config, camera_of, pose_config
from streamfuse.io.files import check_writable
from streamfuse.io.rig_file import read_rig_config, write_rig_config
from streamfuse.jobs.calibrating.findings import advice, camera_dict, lens_note
from streamfuse.jobs.calibrating.pictures import is_camera, read_pairs
from streamfuse.jobs.calibrating.provenance import made_by
from streamfuse.jobs.calibrating.seeking import Progress, Sought, check_found, watch
from streamfuse.jobs.calibrating.suspicion import check_lenses, check_looks

__all__ = ["Stereo", "StereoResult", "calibrate_pair", "parse_distances"]

_COMMAND: Final = "calibrate stereo"
_FAIR_COUNT: Final = 6
_WIDE_TURN_DEG: Final = 30.0
"""Cameras of a rig look the same way; more than this is worth a word."""


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
    empty: dict[StreamName, tuple[str, ...]]
    """Pictures in which no board was found."""
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
            "pairs": [
                {
                    "name": pair.name,
                    "visible_rms_px": pair.visible_rms_px,
                    "infrared_rms_px": pair.infrared_rms_px,
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
        check_found(sought)
    sizes = [next(iter(sought.views.values())).size_wh for sought in (visible, infrared)]
    rig = rig.sized(visible_wh=sizes[0], infrared_wh=sizes[1])
    given = _lens(rig, StreamName.VISIBLE), _lens(rig, StreamName.INFRARED)
    check_lenses(visible, infrared, given)
    names = list(visible.views | infrared.views)
    pairs = {name: (visible.views.get(name), infrared.views.get(name)) for name in names}
    found = calibrate_stereo(pairs, visible=given[0], infrared=given[1], model=job.model)
    write_rig_config(job.out, _grown(rig, job, found, given))
    return StereoResult(
        calibration=found,
        board=job.board,
        given=tuple(stream for stream, lens in zip(StreamName, given, strict=True) if lens is not None),
        empty={sought.stream: tuple(sought.empty) for sought in (visible, infrared)},
        planes=job.planes,
        out=job.out,
        notes=tuple(_notes(found, given)),
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
    if job.is_live:
        locations = {StreamName.VISIBLE: job.visible, StreamName.INFRARED: job.infrared}
        watch(locations, [visible, infrared], shots=job.shots, page=job.page, on_progress=on_progress)
        return visible, infrared
    for done, pair in enumerate(read_pairs(job.visible, job.infrared), start=1):
        rig.sized(visible_wh=pair.visible.size_wh, infrared_wh=pair.infrared.size_wh)
        visible.glance(pair.visible)
        infrared.glance(pair.infrared)
        check_looks(visible, infrared)  # before the search, which may be long
        visible.look(pair.visible, name=pair.name)
        infrared.look(pair.infrared, name=pair.name)
        if on_progress is not None:
            on_progress(done, None, pair.name)
    return visible, infrared


def _lens(rig: RigConfig, stream: StreamName) -> Camera | None:
    config = rig.visible if stream is StreamName.VISIBLE else rig.infrared
    return None if config is None else camera_of(config)


def _grown(
    rig: RigConfig, job: Stereo, found: StereoCalibration, given: tuple[Camera | None, Camera | None]
) -> RigConfig:
    """The rig file with the pose, the planes, and the lenses that it did not have."""
    cameras = {
        str(stream): camera_config(solved.camera, made_by=lens_note(_COMMAND, job.board, solved))
        for stream, solved, lens in zip(StreamName, (found.visible, found.infrared), given, strict=True)
        if lens is None
    }
    note = _pose_note(job, found)
    pose = found.T_visible_from_infrared
    grown = rig.grown(
        **cameras, T_visible_from_infrared=pose_config(pose, made_by=note), residual_px=_visible_rms(found)
    )
    for distance_m in job.planes:
        matrix = plane_homography(found.visible.camera, found.infrared.camera, pose, distance_m)
        grown = grown.with_plane(
            PlaneConfig(
                distance_m=distance_m,
                H_visible_from_infrared=matrix.tolist(),
                made_by=made_by(_COMMAND, board=job.board.spec),
            )
        )
    return grown


def _pose_note(job: Stereo, found: StereoCalibration) -> MadeBy:
    return made_by(
        _COMMAND,
        board=job.board.spec,
        used=[pair.name for pair in found.used],
        left_out={pair.name: pair.left_out for pair in found.pairs if pair.left_out},
        residuals={"rms_px": found.rms_px, "visible_rms_px": _visible_rms(found)},
        uncertainty={
            "rotation_deg": found.rotation_deviation_deg,
            "translation_m": found.translation_deviation_m,
        },
    )


def _visible_rms(found: StereoCalibration) -> float:
    used = found.used
    return math.sqrt(sum(pair.visible_rms_px**2 for pair in used) / len(used))


def _notes(found: StereoCalibration, given: Iterable[Camera | None]) -> Iterator[str]:
    pose = found.T_visible_from_infrared
    yield f"The cameras are {100 * pose.distance_m:.1f} cm apart by this; does a ruler agree?"
    if pose.angle_deg > _WIDE_TURN_DEG:
        yield (
            f"They are turned against each other by {pose.angle_deg:.0f} degrees; if they look the same way, "
            "the corners were taken for each other: use a board that does not look the same after half a "
            "turn."
        )
    if len(found.used) < _FAIR_COUNT:
        yield f"{len(found.used)} pairs were used; ten or more make outliers easier to tell."
    for stream, solved, lens in zip(StreamName, (found.visible, found.infrared), given, strict=True):
        if lens is None:
            yield from (f"{stream.capitalize()}: {sentence}" for sentence in advice(solved))

"""The rig file: both cameras with their calibration, as ``streamfuse calibrate`` writes it.

Pixels are those of the sizes given, with pixel centres at integers; a matrix ``H_visible_from_infrared``
maps homogeneous infrared pixels (x, y, 1) to visible ones. A rig file grows: each command adds what it
measures, so all keys are optional here, and :func:`load_rig` says what is still missing for a run.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, ValidationInfo, field_validator

from streamfuse.config.fields import Block, expected
from streamfuse.config.rig_parts import (
    CameraConfig,
    DenseConfig,
    Intrinsics,
    MadeBy,
    PictureNote,
    PlaneConfig,
    PoseConfig,
    ResidualMap,
    SizeWH,
)
from streamfuse.config.rig_sizes import check_sizes
from streamfuse.config.validate import validate
from streamfuse.config.yamldoc import load_yaml
from streamfuse.errors import ConfigError

__all__ = [
    "CameraConfig",
    "DenseConfig",
    "Intrinsics",
    "MadeBy",
    "PictureNote",
    "PlaneConfig",
    "PoseConfig",
    "ResidualMap",
    "Rig",
    "RigConfig",
    "check_sizes",
    "load_rig",
    "load_rig_config",
]


class RigConfig(Block):
    """A whole rig file. Build a changed one with :meth:`grown`, which checks it anew."""

    visible: CameraConfig | None = None
    infrared: CameraConfig | None = None
    T_visible_from_infrared: PoseConfig | None = None
    planes: tuple[PlaneConfig, ...] = ()
    """One per distance; the first is the one used where the distance is not known."""
    time_offset_ms: float = 0.0
    """Milliseconds added to the infrared capture times; the pipeline's ``sync.offset_ms`` comes on top."""
    residual_px: Annotated[float, Field(ge=0)] | None = None
    """What registration error the calibration measured, in visible pixels."""
    confidence: Annotated[float, Field(ge=0, le=1)] | None = None
    """How sure the calibration is of itself, 0 to 1."""
    made_by: MadeBy | None = None
    """How all was found that has no ``made_by`` of its own."""

    @field_validator("planes")
    @classmethod
    def _planes_fit(cls, planes: tuple[PlaneConfig, ...], info: ValidationInfo) -> tuple[PlaneConfig, ...]:
        if not planes or not {"visible", "infrared"} <= info.data.keys():  # a wrong camera is reported itself
            return planes
        visible, infrared = info.data["visible"], info.data["infrared"]
        if visible is None or infrared is None:
            raise expected("visible and infrared with their size_wh beside planes")
        if len({plane.distance_m for plane in planes}) < len(planes):
            raise expected("one plane for each distance_m")
        for index, plane in enumerate(planes):
            if not _looks_at(plane, infrared.size_wh):
                raise expected(f"an H_visible_from_infrared that sees the infrared image in planes.{index}")
            if plane.dense is not None and plane.dense.shape != plane.dense.shape_for(visible.size_wh):
                rows, columns = plane.dense.shape_for(visible.size_wh)
                raise expected(
                    f"{rows} rows of {columns} nodes, which cover the image, in planes.{index}.dense"
                )
        return planes

    @property
    def visible_size_wh(self) -> SizeWH | None:
        """Of the visible images; None where nothing was measured yet."""
        return None if self.visible is None else self.visible.size_wh

    @property
    def infrared_size_wh(self) -> SizeWH | None:
        """Of the infrared images."""
        return None if self.infrared is None else self.infrared.size_wh

    @property
    def has_lenses_and_pose(self) -> bool:
        """Whether both lenses and the pose are known: enough to register at any distance."""
        return (
            self.visible is not None
            and self.visible.intrinsics is not None
            and self.infrared is not None
            and self.infrared.intrinsics is not None
            and self.T_visible_from_infrared is not None
        )

    def sized(self, *, visible_wh: SizeWH | None = None, infrared_wh: SizeWH | None = None) -> Self:
        """This rig with the sizes of pictures that are about to be measured; what is known is kept.

        Raises:
            UsageError: the file is for pictures of another size.
        """
        changes = {}
        for name, size_wh in (("visible", visible_wh), ("infrared", infrared_wh)):
            known = getattr(self, name)
            if size_wh is not None and known is None:
                changes[name] = CameraConfig(size_wh=size_wh)
        rig = self.grown(**changes)
        check_sizes(
            rig, visible_wh=visible_wh, infrared_wh=infrared_wh, mend="give another file, or a new one"
        )
        return rig

    def grown(self, **changes: object) -> Self:
        """This rig with some keys replaced, and checked as a whole.

        Raises:
            ValueError: the result is no rig (pydantic's ``ValidationError``).
        """
        kept = {name: getattr(self, name) for name in type(self).model_fields}
        return type(self).model_validate(kept | changes)

    def with_plane(self, plane: PlaneConfig) -> Self:
        """This rig with one plane more; one of the same distance is replaced where it stands."""
        others = {each.distance_m: each for each in self.planes}
        return self.grown(planes=tuple((others | {plane.distance_m: plane}).values()))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rig:
    """What the pipeline needs of a rig."""

    H_visible_from_infrared: npt.NDArray[np.float64] | None
    """3x3, read-only: of the first plane, infrared pixels to visible pixels, pixel centres at integers;
    None for a file that holds lenses and pose only (:mod:`streamfuse.geometry.rig` makes it of them)."""
    visible_size_wh: SizeWH | None
    """Size the rig is made for; None: any (identity)."""
    infrared_size_wh: SizeWH | None
    time_offset_ms: float = 0.0
    """Milliseconds added to the infrared capture times."""
    config: RigConfig | None = None
    """The whole file; None for the identity."""

    @property
    def is_identity(self) -> bool:
        """Whether the streams are already registered."""
        return self.config is None


def load_rig(rig: str | Path) -> Rig:
    """Read the rig file of a run, or make the rig of registered streams from the word ``identity``.

    Raises:
        ConfigError: all mistakes in the file, one line each; or what a run needs and it does not hold, with
            the command that measures it.
    """
    if rig == "identity":
        return Rig(H_visible_from_infrared=_frozen(np.eye(3)), visible_size_wh=None, infrared_size_wh=None)
    config = load_rig_config(rig)
    if config.visible is None or config.infrared is None or not (config.planes or config.has_lenses_and_pose):
        raise ConfigError(f"{rig}: {_lacking(config)}")
    planes = config.planes
    return Rig(
        H_visible_from_infrared=_frozen(np.array(planes[0].H_visible_from_infrared)) if planes else None,
        visible_size_wh=config.visible.size_wh,
        infrared_size_wh=config.infrared.size_wh,
        time_offset_ms=config.time_offset_ms,
        config=config,
    )


def load_rig_config(path: str | Path) -> RigConfig:
    """Read a rig file, however much of it is there.

    Raises:
        ConfigError: all mistakes in the file, one line each.
    """
    return validate(RigConfig, load_yaml(path, expand=False))


def _lacking(config: RigConfig) -> str:
    """What a run needs and the file does not hold, and the command that measures it."""
    has = [
        name for name in ("visible", "infrared") if (camera := getattr(config, name)) and camera.intrinsics
    ]
    if len(has) == 2:
        return (
            "holds both lenses, but not how the cameras stand to each other; run `streamfuse calibrate "
            "stereo` (with a board) or `streamfuse calibrate align` (without)"
        )
    only = f"holds only the {has[0]} lens" if has else "holds no registration"
    return (
        f"{only}; run `streamfuse calibrate align --visible … --infrared … --out` with this file, "
        "or `streamfuse calibrate stereo` with pictures of a board"
    )


def _looks_at(plane: PlaneConfig, infrared_wh: SizeWH) -> bool:
    """Whether the middle of the infrared image is not on the horizon of a plane."""
    a, b, c = plane.H_visible_from_infrared[2]
    width, height = infrared_wh
    return a * (width - 1) / 2 + b * (height - 1) / 2 + c != 0


def _frozen(matrix: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    matrix.flags.writeable = False
    return matrix

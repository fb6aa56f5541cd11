"""Rig files on the disk: read as far as they have grown, written whole or not at all."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Final

from streamfuse.config.rig import RigConfig, load_rig_config
from streamfuse.config.yamldoc import dump_yaml
from streamfuse.io.files import check_writable, write_text

__all__ = ["read_rig_config", "write_rig_config"]

_ABOVE: Final = """\
# A rig: two cameras and how they see the same scene. Written by `streamfuse calibrate`, which keeps what it
# does not measure; calibration/README.md explains the keys. A pipeline names this file with `rig: …`.
# Camera axes: x right, y down, z forward, metres. Pixel centres lie at integers. A matrix
# H_visible_from_infrared takes an infrared pixel (x, y, 1) to the visible pixel that shows the same point.

"""


def read_rig_config(path: str | Path) -> RigConfig | None:
    """The rig file that is to grow; None when there is none yet.

    Raises:
        ConfigError: there is one, with mistakes, one line each.
    """
    return load_rig_config(path) if Path(path).exists() else None


def write_rig_config(path: str | Path, config: RigConfig) -> None:
    """Replace a rig file in one step; :func:`read_rig_config` gives the same config back, to the last bit.

    Missing folders are made. Comments that a person wrote into an older file are not kept.

    Raises:
        OutputError: it cannot be written; an older file stays as it was.
    """
    plain = config.model_dump(mode="json", exclude_defaults=True)
    for plane in plain.get("planes", ()):
        plane["distance_m"] = _distance(plane["distance_m"])
    check_writable(Path(path).absolute().parent)
    write_text(Path(path), _ABOVE + dump_yaml(plain))


def _distance(metres: float) -> Any:
    return "inf" if math.isinf(metres) else metres

"""Reads the state dict of a published SeAFusion checkpoint into the names of :mod:`streamfuse.nets.grdb`.

The published names, with ``s`` the stream (``vis`` or ``inf``) and ``n`` the block (1 or 2)::

    s_conv.conv.*                   stem
    s_rgbdn.dense.conv1.conv.*      dense_a       s_rgbdn.dense.conv2.conv.*   dense_b
    s_rgbdn.convdown.conv.*         merge         s_rgbdn.convup.conv.*        residual
    s_rgbdn.sobelconv.convx.weight  horizontal    s_rgbdn.sobelconv.convy.weight  vertical
    decode4 … decode1.conv.*        decoder.0 … decoder.3
    decoden.bn.*                    declared there, never called: left out
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from torch import Tensor

from streamfuse.errors import WeightsError
from streamfuse.nets.grdb import GrdbFusion

__all__ = ["KNOWN_FILES", "from_published", "published_key_map"]

KNOWN_FILES: Mapping[str, str] = MappingProxyType(
    {
        "8d65a7f9a50f36349803368cf9920f40420776995e7e8cc8a56d8d30e499431d": "MIT, (c) 2023 Linfeng Tang",
    }
)
"""Licence of published files that are known, by the sha256 of the file."""

_UNUSED = re.compile(r"decode[1-4]\.bn\.")
_MAX_LISTED = 4


def published_key_map() -> dict[str, str]:
    """Published name of every tensor that the network uses, to our name."""
    names: dict[str, str] = {}

    def convolution(published: str, ours: str) -> None:
        for part in ("weight", "bias"):
            names[f"{published}.conv.{part}"] = f"{ours}.{part}"

    for short, stream in (("vis", "visible"), ("inf", "infrared")):
        convolution(f"{short}_conv", f"{stream}.stem")
        for number in (1, 2):
            block, ours = f"{short}_rgbd{number}", f"{stream}.blocks.{number - 1}"
            convolution(f"{block}.dense.conv1", f"{ours}.dense_a")
            convolution(f"{block}.dense.conv2", f"{ours}.dense_b")
            convolution(f"{block}.convdown", f"{ours}.merge")
            convolution(f"{block}.convup", f"{ours}.residual")
            names[f"{block}.sobelconv.convx.weight"] = f"{ours}.gradient.horizontal.weight"
            names[f"{block}.sobelconv.convy.weight"] = f"{ours}.gradient.vertical.weight"
    for index, number in enumerate((4, 3, 2, 1)):
        convolution(f"decode{number}", f"decoder.{index}")
    return names


def from_published(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename a published state dict for :class:`~streamfuse.nets.grdb.GrdbFusion`.

    Raises:
        WeightsError: tensors are missing, unexpected, or have another shape.
    """
    names = published_key_map()
    present = {key for key in state if not _UNUSED.match(key)}
    _refuse("lacks", set(names) - present)
    _refuse("has unexpected", present - set(names))
    renamed = {ours: state[key] for key, ours in names.items()}
    expected = GrdbFusion().state_dict()
    wrong = {
        f"{key} {tuple(state[key].shape)} instead of {tuple(expected[ours].shape)}"
        for key, ours in names.items()
        if state[key].shape != expected[ours].shape
    }
    _refuse("has wrong shapes:", wrong)
    return renamed


def _refuse(what: str, keys: set[str]) -> None:
    """Raise when ``keys`` is not empty, naming the first few."""
    if not keys:
        return
    listed = ", ".join(sorted(keys)[:_MAX_LISTED])
    more = f" and {len(keys) - _MAX_LISTED} more" if len(keys) > _MAX_LISTED else ""
    raise WeightsError(f"the file is no published SeAFusion checkpoint: it {what} {listed}{more}")

"""The forms that a network can be written in, and how a written file is run again to check it."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import torch

from streamfuse.errors import MachineError
from streamfuse.jobs.exporting.subject import Arrays, Subject

__all__ = ["ExportFormat", "run_written", "write"]

_TRACED: Final = {"batch": 1, "height": 16, "width": 32}
"""Sides of the images that a network is traced with, where they are free."""


class ExportFormat(enum.StrEnum):
    """For which runtime."""

    ONNX = "onnx"
    OPENVINO = "openvino"

    @property
    def package(self) -> str:
        """The Python package that runs it."""
        return {"onnx": "onnxruntime", "openvino": "openvino"}[self]

    @property
    def ending(self) -> str:
        """Of the file that is opened."""
        return {"onnx": ".onnx", "openvino": ".xml"}[self]


def write(subject: Subject, form: ExportFormat, folder: Path, *, notes: Mapping[str, str]) -> Path:
    """Write a network into a folder.

    Returns:
        The file that a runtime opens.

    Raises:
        MachineError: a package is missing, or the form has no words for something in the network.
        OSError: the folder cannot be written.
    """
    path = folder / f"{subject.stem}{form.ending}"
    example = {name: torch.from_numpy(array) for name, array in subject.example(_TRACED).items()}
    outputs = [port.name for port in subject.outputs]
    free = {port.name: port.free for port in (*subject.inputs, *subject.outputs) if port.free}
    if form is ExportFormat.OPENVINO:
        from streamfuse.engine.backends.openvino_file import write_openvino  # noqa: PLC0415 - loads openvino

        write_openvino(path, subject.graph, example, outputs=outputs, free=free, notes=notes)
        return path
    try:
        from streamfuse.engine.backends.onnx_export import onnx_bytes  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise _missing(error) from error
    path.write_bytes(onnx_bytes(subject.graph, example, outputs=outputs, free=free, notes=notes))
    return path


def run_written(subject: Subject, form: ExportFormat, path: Path, arrays: Arrays) -> Arrays:
    """What a written file gives, in the runtime that it is for.

    Raises:
        MachineError: the runtime is missing, or cannot run it.
    """
    if form is ExportFormat.OPENVINO:
        from streamfuse.engine.backends.openvino_file import run_openvino  # noqa: PLC0415 - the same

        return run_openvino(path, arrays)
    try:
        from streamfuse.engine.backends.onnx_session import OnnxSession  # noqa: PLC0415 - the same
    except ImportError as error:
        raise _missing(error) from error
    session = OnnxSession(path.read_bytes())
    found = session.run(*(arrays[name] for name in session.input_names))
    return dict(zip((port.name for port in subject.outputs), found, strict=True))


def _missing(error: ImportError) -> MachineError:
    return MachineError(
        f"an ONNX file cannot be written and checked here ({error}): pip install 'streamfuse[onnx]'"
    )

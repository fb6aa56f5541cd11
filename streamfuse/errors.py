"""Every error streamfuse raises on purpose, in one tree.

::

    StreamfuseError                  exit 4 unless a leaf says otherwise
    ├── UsageError                   exit 2: a combination of arguments that cannot work
    ├── ConfigError                  exit 2: one or more mistakes in a YAML file or ``--set``
    ├── SourceError                  exit 3: a source cannot be opened or read
    │   └── SourceTruncatedError     exit 3: a source ended before the end it promised
    ├── OutputError                  exit 3: a file or folder cannot be written
    ├── WeightsError                 exit 3: weights are missing, damaged or of another network
    ├── MachineError                 exit 3: the machine lacks something (memory, device, library)
    │   └── OutOfMemory              exit 3: a device has too little memory for this much at once
    ├── RingError                    exit 4: shared memory is not what it should be
    ├── BusError                     exit 4: a message on the bus is not what it should be
    ├── CalibrationError             exit 4: the pictures do not determine what was asked for
    └── PromiseError                 exit 4: the run ended, but a guarantee was not kept

Foreign errors are turned into these in the one file that owns the foreign library. A message says
what is wrong, where, and how to mend it, in one sentence that fits one line.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

__all__ = [
    "EXIT_INTERRUPTED",
    "BusError",
    "CalibrationError",
    "ConfigError",
    "MachineError",
    "OutOfMemory",
    "OutputError",
    "PromiseError",
    "RingError",
    "SourceError",
    "SourceTruncatedError",
    "StreamfuseError",
    "UsageError",
    "WeightsError",
]

EXIT_INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells expect it (128 + SIGINT)."""


class StreamfuseError(Exception):
    """Base of all errors raised on purpose; ``exit_code`` is what the command line returns."""

    exit_code: ClassVar[int] = 4


class UsageError(StreamfuseError):
    """The arguments, each valid alone, do not work together."""

    exit_code = 2


class ConfigError(StreamfuseError):
    """One or more mistakes in a configuration; ``problems`` holds one line each."""

    exit_code = 2

    def __init__(self, problems: str | Sequence[str]) -> None:
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems))


class SourceError(StreamfuseError):
    """A source cannot be opened or read."""

    exit_code = 3


class SourceTruncatedError(SourceError):
    """A source ended before the end that its own header promised."""


class OutputError(StreamfuseError):
    """A file or folder cannot be written."""

    exit_code = 3


class WeightsError(StreamfuseError):
    """Weights are missing, damaged, unsafe or made for another network."""

    exit_code = 3


class MachineError(StreamfuseError):
    """The machine lacks something the run needs: memory, a device, a library."""

    exit_code = 3


class OutOfMemory(MachineError):  # noqa: N818 - the name says what is wrong
    """A device has too little memory for a call; half as much at once may succeed."""


class RingError(StreamfuseError):
    """A shared-memory segment is missing or not laid out as expected."""


class BusError(StreamfuseError):
    """A message on the bus is not what it should be."""


class CalibrationError(StreamfuseError):
    """What was seen does not determine what was asked for; nothing was written."""


class PromiseError(StreamfuseError):
    """The run came to its end, but a guarantee was not kept."""

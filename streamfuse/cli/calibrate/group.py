"""The group of commands ``streamfuse calibrate``."""

from __future__ import annotations

import typer

from streamfuse.cli.calibrate.align import align
from streamfuse.cli.calibrate.board import board
from streamfuse.cli.calibrate.intrinsics import intrinsics
from streamfuse.cli.calibrate.report import report
from streamfuse.cli.calibrate.stereo import stereo
from streamfuse.cli.calibrate.time import time

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Make a rig file: lenses, pose, registration and time offset.")

app.command("board")(board)
app.command("intrinsics")(intrinsics)
app.command("stereo")(stereo)
app.command("align")(align)
app.command("time")(time)
app.command("report")(report)

"""The group of commands ``streamfuse evaluate``."""

from __future__ import annotations

import typer

from streamfuse.cli.evaluate.detection import detection
from streamfuse.cli.evaluate.fusion import fusion
from streamfuse.cli.evaluate.segmentation import segmentation
from streamfuse.cli.evaluate.video import video

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Measure how good results are.")

app.command("fusion")(fusion)
app.command("detection")(detection)
app.command("segmentation")(segmentation)
app.command("video")(video)

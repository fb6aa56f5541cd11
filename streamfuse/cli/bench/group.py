"""The group of commands ``streamfuse bench``."""

from __future__ import annotations

import typer

from streamfuse.cli.bench.bus import bus
from streamfuse.cli.bench.fusion import fusion
from streamfuse.cli.bench.pipeline import pipeline
from streamfuse.cli.bench.tasks import tasks

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Measure what this machine can do.")

app.command("bus")(bus)
app.command("fusion")(fusion)
app.command("pipeline")(pipeline)
app.command("tasks")(tasks)

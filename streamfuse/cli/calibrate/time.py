"""``streamfuse calibrate time``: how much later one stream is than the other."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from streamfuse.cli.calibrate.working import working

__all__ = ["time"]


def time(
    visible: Annotated[str, typer.Option(metavar="P", help="Recording of the visible camera.")],
    infrared: Annotated[str, typer.Option(metavar="P", help="Recording of the infrared camera.")],
    out: Annotated[Path, typer.Option(metavar="RIG", help="Rig file to make, or to add the offset to.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Find the constant time offset between both streams from what moves in them.

    Record 20 seconds in which people walk and wave in all parts of the picture; a registration in the rig
    file is used, so run `calibrate align` first. A still scene, motion that repeats itself or clocks that
    drift are refused (exit code 4), and nothing is written.

    Each file begins at its first frame, as in `streamfuse run`, whatever time its first frame is stamped
    with: what lies between the beginnings of two files is in the offset. For live cameras give a recording of
    `streamfuse run` (recording://FOLDER), whose streams begin together.

    Example: streamfuse calibrate time --visible day/visible.mp4 --infrared day/infrared.mp4 --out rig.yaml
    """
    from streamfuse.cli.calibrate.showing import listed  # noqa: PLC0415 - slow imports wait for --help
    from streamfuse.jobs.calibrating.time import Time, calibrate_time  # noqa: PLC0415

    job = Time(visible=visible, infrared=infrared, out=out)
    with working(Console(stderr=True), "watching the visible recording") as progress:
        result = calibrate_time(job, on_progress=progress)
    if as_json:
        sys.stdout.write(json.dumps(result.as_dict(), indent=2) + "\n")
    else:
        Console().print(listed((*result.notes, f"Written to {result.out}.")))

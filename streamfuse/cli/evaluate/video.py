"""``streamfuse evaluate video``: fused videos against their sources, in time."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from streamfuse.cli.evaluate.output import cell, check_json, score_table, show
from streamfuse.cli.show import progress_bar

__all__ = ["video"]


def video(
    visible: Annotated[Path, typer.Option(help="The visible video.")],
    infrared: Annotated[Path, typer.Option(help="The infrared video, with as many frames of the same size.")],
    fused: Annotated[
        list[Path], typer.Option(help="What was fused of them; repeat it to compare several side by side.")
    ],
    json_file: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Write all values as JSON; - for standard output."),
    ] = None,
) -> None:
    """Measure how steady fused videos are: change that neither source explains, in grey levels.

    flicker: of single pixels, from frame to frame. jitter: of the mean brightness; slow fades do not count.
    SD: contrast. The first three columns are means over the frames, the last three the worst frame.
    Folders of images in the order of time will do as well.

    Example: streamfuse evaluate video --visible v.mp4 --infrared i.mp4 --fused stream.mp4 --fused steady.mp4
    """
    from streamfuse.jobs.evaluating.video import (  # noqa: PLC0415 - slow imports wait for --help
        VideoEvaluation,
        evaluate_videos,
    )

    job = VideoEvaluation(visible=visible, infrared=infrared, fused=tuple(fused))
    check_json(json_file, images=(visible, infrared, *fused))
    with progress_bar(Console(stderr=True), "measuring") as progress:
        report = evaluate_videos(job, on_progress=progress)
    columns = ["flicker ↓", "jitter ↓", "SD", "most flicker", "most jitter", "least SD"]
    table = score_table(f"{report.frame_count} frames, in grey levels", words=1, scores=columns)
    for name, measured in report.sets.items():
        values = [*measured.mean().values(), *measured.worst().values()]
        table.add_row(Text(name), *map(cell, values))
    show(table, report.as_dict(), json_file=json_file)

"""``streamfuse run``: the main job."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from streamfuse.cli.log import LOG_OPTION, LogFormat, open_log
from streamfuse.cli.show import status_line
from streamfuse.cli.summary_table import summary_table
from streamfuse.io.signals import hangups_ignored

__all__ = ["run"]


@hangups_ignored()  # from the first moment on: the run listens to them later
def run(
    pipeline: Annotated[Path, typer.Argument(help="Pipeline file (YAML); `streamfuse init` writes one.")],
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Override a key, as in `--set fusion.batch=8`; repeatable. "
            "Relative paths start in the current folder.",
        ),
    ] = None,
    duration: Annotated[
        float | None, typer.Option(min=0.1, metavar="SECONDS", help="Stop after so many seconds.")
    ] = None,
    max_frames: Annotated[int | None, typer.Option(min=1, help="Stop after so many fused pairs.")] = None,
    summary: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the summary there, as JSON.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the summary as JSON in place of the table.")
    ] = False,
    log_format: Annotated[LogFormat, LOG_OPTION] = LogFormat.AUTO,
) -> None:
    """Capture two streams, pair, register and fuse them, detect, record and report.

    SIGHUP reads the file again and takes over what can change while it runs; the rest is refused.

    Example: streamfuse run pipelines/vehicle.yaml --duration 10 --summary summary.json
    """
    from streamfuse.config.pipeline import load_pipeline  # noqa: PLC0415 - slow imports wait for --help
    from streamfuse.io.files import check_writable, write_text  # noqa: PLC0415
    from streamfuse.runtime.run import RunOptions, run_pipeline  # noqa: PLC0415

    config = load_pipeline(pipeline, overrides or ())
    if summary is not None:
        check_writable(summary.parent)
    options = RunOptions(
        duration_s=duration,
        max_frames=max_frames,
        reload=lambda: load_pipeline(pipeline, overrides or ()),
    )
    with open_log(log_format) as log:
        result = run_pipeline(
            config,
            options,
            on_status=lambda status: log.show(status_line(status)),
            on_message=lambda message: log.say(
                message.text,
                source=message.source,
                event=message.event,
                level=message.level,
                human=str(message),
            ),
        )
    plain = result.summary.as_dict()
    if summary is not None:
        write_text(summary, json.dumps(plain, indent=2) + "\n")
    if as_json:
        sys.stdout.write(json.dumps(plain, indent=2) + "\n")
    elif result.began:
        Console().print(summary_table(plain))
    for problem in result.problems:
        log.say(problem, event="problem", level="error")
    raise typer.Exit(result.exit_code)

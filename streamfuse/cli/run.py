"""``streamfuse run``: the main job."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from streamfuse.cli.log import LOG_OPTION, LogFormat, open_log
from streamfuse.cli.show import status_lines
from streamfuse.cli.summary_table import summary_table
from streamfuse.io.signals import hangups_ignored

__all__ = ["run"]


@hangups_ignored()  # from the first moment on: the run listens to them later
def run(
    pipelines: Annotated[
        list[Path],
        typer.Argument(
            metavar="PIPELINE",
            help="Pipeline file (YAML); `streamfuse init` writes one. Several run on one engine.",
        ),
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Override a key, as in `--set fusion.batch=8`; repeatable. Of several pipelines all, "
            "unless it names one: `--set rear:fusion.batch=8`. Relative paths start in the current folder.",
        ),
    ] = None,
    duration: Annotated[
        float | None, typer.Option(min=0.1, metavar="SECONDS", help="Stop after so many seconds.")
    ] = None,
    max_frames: Annotated[
        int | None, typer.Option(min=1, help="Stop after so many fused pairs, of each pipeline.")
    ] = None,
    summary: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the summary there, as JSON; those of several pipelines under `pipelines`, by name.",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the summary as JSON in place of the table.")
    ] = False,
    log_format: Annotated[LogFormat, LOG_OPTION] = LogFormat.AUTO,
) -> None:
    """Capture two streams, pair, register and fuse them, detect, record and report.

    Several pipelines, each with its own cameras, rig, tasks, recorder, viewer and publishers, share one
    engine: it loads the network once and fuses pairs of all of them in common batches.

    SIGHUP reads the files again and takes over what can change while it runs; the rest is refused.

    Example: streamfuse run pipelines/vehicle.yaml --duration 10 --summary summary.json

    Example: streamfuse run front.yaml rear.yaml --set rear:record.dir=recordings/rear
    """
    from streamfuse.config.several import (  # noqa: PLC0415 - slow imports wait for --help
        check_summary_place,
        pipeline_files,
    )
    from streamfuse.io.files import check_file, write_text  # noqa: PLC0415
    from streamfuse.runtime.run import RunOptions, run_pipelines  # noqa: PLC0415
    from streamfuse.runtime.summary import summary_json  # noqa: PLC0415

    files = {file.name: file for file in pipeline_files(pipelines, overrides or ())}
    configs = [file.load() for file in files.values()]
    if summary is not None:
        check_summary_place(summary, tuple(files.values()), configs)
        check_file(summary)
    options = RunOptions(duration_s=duration, max_frames=max_frames, reload=lambda name: files[name].load())
    with open_log(log_format) as log:
        result = run_pipelines(
            configs,
            options,
            on_status=lambda statuses: log.show(status_lines(statuses)),
            on_message=lambda message: log.say(
                message.text,
                source=message.source,
                event=message.event,
                level=message.level,
                human=str(message),
            ),
        )
    plain = summary_json(result.summaries)
    if summary is not None:
        write_text(summary, json.dumps(plain, indent=2) + "\n")
    if as_json:
        sys.stdout.write(json.dumps(plain, indent=2) + "\n")
    elif result.began:
        console = Console()
        for name, each in result.summaries.items():
            console.print(summary_table(each.as_dict(), title=None if len(configs) == 1 else name))
    for problem in result.problems:
        log.say(problem, event="problem", level="error")
    raise typer.Exit(result.exit_code)

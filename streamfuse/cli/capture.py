"""``streamfuse capture``: a camera for another machine."""

from __future__ import annotations

import enum
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from streamfuse.cli.log import LOG_OPTION, LogFormat, open_log

if TYPE_CHECKING:
    from streamfuse.jobs.capture_node import NodeStatus

__all__ = ["capture"]


class Stream(enum.StrEnum):
    """Which camera."""

    VISIBLE = "visible"
    INFRARED = "infrared"


class Compress(enum.StrEnum):
    """How frames travel."""

    NONE = "none"
    JPEG = "jpeg"
    H264 = "h264"
    LOSSLESS = "lossless"


def capture(  # noqa: PLR0913, PLR0917 - one parameter for each option of the command
    pipeline: Annotated[Path, typer.Argument(help="Pipeline file (YAML) that names the camera.")],
    stream: Annotated[Stream, typer.Option(help="Which of its cameras to serve.")],
    bind: Annotated[
        str, typer.Option(metavar="tcp://ADDRESS:PORT", help="Where to listen; 0.0.0.0 is every address.")
    ],
    key: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="This node's secret key; `streamfuse keys` makes one."),
    ] = None,
    allow: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE|DIR", help="Public key of a machine that may connect; repeatable."),
    ] = None,
    compress: Annotated[
        Compress, typer.Option(help="none and lossless are exact; jpeg and h264 are for 8-bit cameras.")
    ] = Compress.NONE,
    quality: Annotated[int, typer.Option(min=1, max=100, help="Of jpeg.")] = 90,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the pipeline; repeatable."),
    ] = None,
    duration: Annotated[
        float | None, typer.Option(min=0.1, metavar="SECONDS", help="Stop after so many seconds.")
    ] = None,
    summary: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the account there, as JSON.")
    ] = None,
    log_format: Annotated[LogFormat, LOG_OPTION] = LogFormat.AUTO,
) -> None:
    """Serve one camera of a pipeline to fusing machines, encrypted and to known keys only.

    Example: streamfuse capture camera.yaml --stream visible --bind tcp://0.0.0.0:5555 --key node.key
    --allow host.pub
    """
    from streamfuse.config.pipeline import load_pipeline  # noqa: PLC0415 - slow imports wait for --help
    from streamfuse.core.packet import Codec  # noqa: PLC0415
    from streamfuse.frames import StreamName  # noqa: PLC0415
    from streamfuse.io.files import check_file, write_text  # noqa: PLC0415
    from streamfuse.jobs.capture_node import NodeOptions, load_keys, serve  # noqa: PLC0415
    from streamfuse.jobs.capturing.audience import Coding  # noqa: PLC0415

    config = load_pipeline(pipeline, overrides or ())
    options = NodeOptions(
        endpoint=bind,
        keys=load_keys(key, tuple(allow or ())),
        coding=Coding(codec=Codec(compress.value), quality=quality),
        duration_s=duration,
    )
    if summary is not None:
        check_file(summary)
    name = StreamName(stream.value)
    source = config.sources.visible if name is StreamName.VISIBLE else config.sources.infrared
    with open_log(log_format) as log:
        result = serve(
            source,
            options,
            stream=name,
            on_status=lambda status: log.show(_line(status)),
            on_message=lambda text: log.say(text, source=name, event="camera"),
        )
    if summary is not None:
        write_text(summary, json.dumps(result.summary, indent=2) + "\n")
    account = result.summary["streams"][name.value]
    dropped = ", ".join(f"{count} {cause}" for cause, count in account["dropped"].items()) or "0"
    typer.echo(
        f"{name}: captured {account['captured']} = emitted {account['emitted']} + dropped {dropped} "
        f"+ in flight {account['in_flight']}"
    )
    if result.problem is not None:
        log.say(result.problem, source=name, event="problem", level="error")
    raise typer.Exit(result.exit_code)


def _line(status: NodeStatus) -> Text:
    """The numbers of the moment."""
    account = status.account
    return Text.assemble(
        (f" {account.captured} captured", "bold"),
        f"  {account.emitted} sent  {sum(account.dropped.values())} dropped",
        f"  to {', '.join(status.consumers) or 'nobody'}",
        ("" if status.has_camera else "  no camera", "yellow"),
    )

"""The tree of commands."""

from __future__ import annotations

from typing import Annotated

import typer

from streamfuse.cli import (
    capture,
    doctor,
    export,
    fuse,
    keys,
    pipeline,
    run,
    sources,
    train,
    verify,
    view,
    weights,
)
from streamfuse.cli.bench import group as bench
from streamfuse.cli.calibrate import group as calibrate
from streamfuse.cli.evaluate import group as evaluate

__all__ = ["app"]

app = typer.Typer(
    name="streamfuse",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Two cameras in, one picture out: pairs, registers and fuses an infrared and a visible stream, "
    "detects on the result, records and shows it.\n\n"
    "Exit codes: 0 ok · 2 usage or configuration · 3 a source or file cannot be opened, or read to its end · "
    "4 ran, but a promise was broken · 130 interrupted.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from streamfuse import __version__  # noqa: PLC0415 - reads the package's metadata, for nothing else here

        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options of the program itself."""


app.command("run")(run.run)
app.command("init")(pipeline.init)
app.command("check")(pipeline.check)
app.command("view")(view.view)
app.command("verify")(verify.verify)
app.command("doctor")(doctor.doctor)
app.command("fuse")(fuse.fuse)
app.command("sources")(sources.sources)
app.command("capture")(capture.capture)
app.command("export")(export.export)
app.command("keys")(keys.keys)
app.add_typer(calibrate.app, name="calibrate")
app.add_typer(evaluate.app, name="evaluate")
app.add_typer(train.app, name="train")
app.add_typer(bench.app, name="bench")
app.add_typer(weights.app, name="weights")

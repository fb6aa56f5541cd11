"""``streamfuse evaluate fusion``: fused images against their sources."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from streamfuse.cli.evaluate.output import STDOUT, score_table, show, some
from streamfuse.cli.show import progress_bar

if TYPE_CHECKING:
    from streamfuse.jobs.evaluating.report import FusionReport

__all__ = ["fusion"]

_ARROWS = {"higher": " ↑", "lower": " ↓", "neither": ""}
_SETS_WITH_UNITS = 4
"""Sets beside which a terminal of 80 columns has room for units."""


def fusion(  # noqa: PLR0913, PLR0917 - one parameter for each option of the command
    visible: Annotated[Path, typer.Option(help="Folder of visible images.")],
    infrared: Annotated[Path, typer.Option(help="Folder of infrared images of the same names and sizes.")],
    fused: Annotated[
        list[Path], typer.Option(help="Folder of fused images; repeat it to compare several side by side.")
    ],
    convention: Annotated[
        Literal["plain", "published"],
        typer.Option(help="plain: as the papers define the metrics; published: as tables were computed."),
    ] = "plain",
    metrics: Annotated[str, typer.Option(metavar="EN,MI,…", help="Only these metrics.")] = "all",
    names: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Only the images named there, one a line.")
    ] = None,
    common: Annotated[
        bool, typer.Option("--common", help="Leave out images that are not in every folder.")
    ] = False,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Processes that compute; otherwise one for each core.")
    ] = None,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Write all values as JSON; - for standard output."),
    ] = None,
    csv_file: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Write a row for each set and image.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw the values of all images: .png, .svg or .pdf.")
    ] = None,
) -> None:
    """Measure fused images against their sources, any number of sets side by side.

    Files are matched by stem. The table marks the best mean of each metric; some are easily raised by
    noise or stretching, so judge them together, and look at the pictures.

    Example: streamfuse evaluate fusion --visible day/visible --infrared day/infrared --fused day/fused
    """
    from streamfuse.jobs.evaluating.fusion import (  # noqa: PLC0415 - slow imports wait for --help
        FusionEvaluation,
        choose_metrics,
        evaluate_fusion,
    )
    from streamfuse.jobs.evaluating.matching import read_stems  # noqa: PLC0415
    from streamfuse.metrics.convention import Convention  # noqa: PLC0415

    job = FusionEvaluation(
        visible=visible,
        infrared=infrared,
        fused=tuple(fused),
        convention=Convention(convention),
        metrics=choose_metrics(metrics),
        stems=None if names is None else read_stems(names),
        common=common,
        processes=jobs or len(os.sched_getaffinity(0)),
    )
    reports = _Reports(json=json_file, csv=csv_file, plot=plot)
    reports.check(images=(visible, infrared, *fused))
    with progress_bar(Console(stderr=True), "measuring") as progress:
        report = evaluate_fusion(job, on_progress=progress)
    reports.write(report)
    for note in _notes(report):
        sys.stderr.write(f"streamfuse: {note}\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reports:
    """The files to write, each None if not wanted."""

    json: Path | None
    csv: Path | None
    plot: Path | None

    def check(self, *, images: Sequence[Path]) -> None:
        """Find out before the work what could not be written."""
        from streamfuse.jobs.evaluating.report import check_reports  # noqa: PLC0415 - slow, as all

        if self.plot is not None:
            from streamfuse.jobs.evaluating.plot import check_plot  # noqa: PLC0415 - only who plots waits

            check_plot(self.plot)
        files = (None if self.json == STDOUT else self.json, self.csv, self.plot)
        check_reports([path for path in files if path is not None], images=images)

    def write(self, report: FusionReport) -> None:
        """Write them, each in one step, and print the table."""
        from streamfuse.io.files import write_text  # noqa: PLC0415 - slow imports wait for --help

        if self.csv is not None:
            write_text(self.csv, report.as_csv())
        if self.plot is not None:
            from streamfuse.jobs.evaluating.plot import write_plot  # noqa: PLC0415 - only who plots waits

            write_plot(self.plot, report)
        show(_table(report), report.as_dict(), json_file=self.json)


def _table(report: FusionReport) -> Table:
    """Means of all sets, a metric a row; * marks the best."""
    from streamfuse.metrics.fusion import METRICS  # noqa: PLC0415 - slow imports wait for --help

    images = len(report.stems)
    title = f"mean of {images} image{'' if images == 1 else 's'}, {report.convention} convention"
    table = score_table(title, words=1, scores=list(report.sets))
    table.columns[0].no_wrap = True
    for column in table.columns[1:]:  # a name may be folded, a number may not
        column.overflow, column.min_width = "fold", len("0.04865*")
    with_units = len(report.sets) <= _SETS_WITH_UNITS
    for metric in report.metrics:
        best = report.best(metric)
        unit = f" {report.unit(metric)}" if with_units else ""
        table.add_row(
            Text.assemble(metric, _ARROWS[METRICS[metric].better], (unit, "dim")),
            *(_cell(report.mean(name, metric), best=name in best) for name in report.sets),
        )
    return table


def _cell(mean: float | None, *, best: bool) -> Text:
    from streamfuse.jobs.evaluating.report import in_short  # noqa: PLC0415 - slow imports wait for --help

    if mean is None:
        return Text("- ")
    return Text(f"{in_short(mean)}*", style="bold green") if best else Text(f"{in_short(mean)} ")


def _notes(report: FusionReport) -> Iterator[str]:
    """What the table does not say: what it leaves out."""
    if report.unfused:
        yield f"left out, in no folder of fused images: {report.unfused} of the sources"
    if report.left_out:
        yield f"left out, not in every folder: {_counted(report.left_out)}"
    for metric in report.metrics:
        if stems := report.undefined(metric):
            yield f"left out of the mean {metric} (flat, equal or too small for it): {_counted(stems)}"


def _counted(stems: Sequence[str]) -> str:
    return f"{len(stems)} ({some(stems)})"

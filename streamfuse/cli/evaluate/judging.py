"""What `evaluate detection` and `segmentation` have in common: options, tables and reports."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Group
from rich.table import Table
from rich.text import Text

from streamfuse.cli.evaluate.output import STDOUT, cell, score_table, show, some

if TYPE_CHECKING:
    from streamfuse.jobs.evaluating.bootstrap import Score
    from streamfuse.jobs.evaluating.judging import Judging
    from streamfuse.jobs.evaluating.scores import GroupScores, SetScores, TaskReport

__all__ = [
    "Backend",
    "Classes",
    "Compare",
    "Csv",
    "Groups",
    "Json",
    "Names",
    "Plots",
    "Reports",
    "Resamples",
    "Seed",
    "Trust",
    "read_judging",
    "tables",
    "tell_unknown",
]

Names = Annotated[Path | None, typer.Option(metavar="FILE", help="Only the images named there, one a line.")]
Groups = Annotated[
    list[str] | None,
    typer.Option(
        "--group", metavar="NAME=PATTERN", help="Images to score apart too, as in day=*D; repeatable."
    ),
]
Compare = Annotated[
    list[str] | None,
    typer.Option(metavar="A:B", help="Tell what set A has over set B, with its interval; repeatable."),
]
Resamples = Annotated[
    int, typer.Option(min=0, help="How often images are drawn for the 95 % intervals; 0: no intervals.")
]
Seed = Annotated[int, typer.Option(min=0, help="Of these draws.")]
Backend = Annotated[
    Literal["auto", "torch", "torch-cuda", "openvino", "onnx", "tensorrt"],
    typer.Option(help="What computes the network; auto: as a pipeline chooses."),
]
Trust = Annotated[bool, typer.Option("--trust", help="Run what code a .pt file holds; for files you trust.")]
Json = Annotated[
    Path | None,
    typer.Option("--json", metavar="FILE", help="Write all values as JSON; - for standard output."),
]
Csv = Annotated[
    Path | None,
    typer.Option("--csv", metavar="FILE", help="Write a row for each score of each class, set and group."),
]
Plots = Annotated[Path | None, typer.Option(metavar="DIR", help="Draw the scores into this folder.")]
Classes = Annotated[str, typer.Option(metavar="A,B,…", help="Names of the label ids 0, 1, …")]


def read_judging(
    groups: Sequence[str] | None, compare: Sequence[str] | None, *, resamples: int, seed: int
) -> Judging:
    """The options of a command, checked."""
    from streamfuse.jobs.evaluating.bootstrap import Resampling  # noqa: PLC0415 - slow imports wait for --help
    from streamfuse.jobs.evaluating.judging import Judging  # noqa: PLC0415

    return Judging.parse(
        groups=groups or (),
        comparisons=compare or (),
        resampling=Resampling(draws=resamples, seed=seed),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reports:
    """What to write, each None if not wanted."""

    json: Path | None
    csv: Path | None
    plots: Path | None

    def check(self, *, images: Sequence[Path]) -> None:
        """Find out before the work what could not be written."""
        from streamfuse.io.files import check_writable  # noqa: PLC0415 - slow imports wait for --help
        from streamfuse.jobs.evaluating.report import check_reports  # noqa: PLC0415

        files = (None if self.json == STDOUT else self.json, self.csv)
        drawn = () if self.plots is None else (self.plots / "scores.png",)
        check_reports([path for path in files if path is not None] + list(drawn), images=images)
        if self.plots is not None:
            check_writable(self.plots)

    def write(self, report: TaskReport, *, title: str, more: dict[str, object]) -> None:
        """Write CSV, bars and JSON, and print the tables. ``more`` goes into the JSON, in front."""
        from streamfuse.io.files import write_text  # noqa: PLC0415 - slow imports wait for --help

        if self.csv is not None:
            write_text(self.csv, report.as_csv())
        if self.plots is not None:
            from streamfuse.jobs.evaluating.taskplots import write_bars  # noqa: PLC0415 - only who plots waits

            write_bars(self.plots / "scores.png", report, title=title)
        show(Group(*tables(report, title=title)), {**more, **report.as_dict()}, json_file=self.json)


def tell_unknown(report: TaskReport, *, whose: str) -> None:
    """What the tables do not say: classes that nothing could be found of."""
    if report.unknown:
        sys.stderr.write(f"streamfuse: {whose} has no class {some(report.unknown)}, and finds none of it\n")


def tables(report: TaskReport, *, title: str) -> Iterator[Table]:
    """For all images and each group a table of the sets, and one of their differences."""
    for name, group in report.parts():
        where = f"{title} on {group.images} image{'' if group.images == 1 else 's'}"
        yield _sets_table(where if name == "all" else f"{name}: {where}", group)
        if report.comparisons:
            compared = {f"{c.first} - {c.second}": c.of(group) for c in report.comparisons}
            yield _differences_table(compared)


def _sets_table(title: str, group: GroupScores) -> Table:
    """For each set a row of means and a row for each class; the first score with its interval."""
    one = next(iter(group.sets.values()))
    names = list(next(iter(one.classes.values())))
    columns = names + list(one.mean)[len(names) :]  # some scores are of all classes together
    table = score_table(title, words=2, scores=[columns[0], "95 %", *columns[1:], "truths"])
    for set_name, scores in group.sets.items():
        truths = (sum(group.truths), *group.truths)
        for (class_name, named), count in zip(scores.rows(), truths, strict=True):
            lead, *rest = named.values()
            table.add_row(
                Text(set_name if class_name == "all" else ""),
                Text(class_name),
                cell(lead.value),
                _interval(lead),
                *(cell(score.value) for score in rest),
                *[""] * (len(columns) - len(named)),
                str(count),
            )
    return table


def _differences_table(compared: dict[str, SetScores]) -> Table:
    """For each comparison a row of means and a row for each class; * where 0 is outside the interval."""
    first, *_, last = next(iter(next(iter(compared.values())).classes.values()))
    shown = (first,) if first == last else (first, last)
    columns = [column for score in shown for column in (score, "95 %")]
    table = score_table("difference (* the interval excludes 0)", words=2, scores=columns)
    for name, scores in compared.items():
        for class_name, named in scores.rows():
            ends = list(named.values())
            cells = [
                part
                for score in (ends[:1] if first == last else [ends[0], ends[-1]])
                for part in (_difference(score), _interval(score))
            ]
            table.add_row(Text(name if class_name == "all" else ""), Text(class_name), *cells)
    return table


def _difference(score: Score) -> Text:
    text = cell(score.value)
    if text.plain == "-":
        return Text("- ")
    interval = score.interval
    sure = interval is not None and not interval[0] <= 0.0 <= interval[1]
    return Text(f"{score.value:+.3f}*", style="bold") if sure else Text(f"{score.value:+.3f} ")


def _interval(score: Score) -> Text:
    interval = score.interval
    return Text("") if interval is None else Text(f"{interval[0]:.3f} … {interval[1]:.3f}", style="dim")

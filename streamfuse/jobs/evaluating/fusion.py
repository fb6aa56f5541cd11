"""How good folders of fused images are: every metric of every image, the sets side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from streamfuse.errors import UsageError
from streamfuse.jobs.evaluating.matching import match_folders, set_names
from streamfuse.jobs.evaluating.measuring import Order, measure_all
from streamfuse.jobs.evaluating.report import FusionReport
from streamfuse.metrics.convention import Convention
from streamfuse.metrics.fusion import METRICS

__all__ = ["FusionEvaluation", "Progress", "choose_metrics", "evaluate_fusion"]

Progress = Callable[[int, int], None]
"""Called with the images that are done and those there are, over all sets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FusionEvaluation:
    """Folders to compare, and how.

    Raises:
        UsageError: no folder of fused images, no process, or no or an unknown metric.
    """

    visible: Path
    infrared: Path
    fused: tuple[Path, ...]
    """One folder for each set, matched by stem to the sources."""
    convention: Convention = Convention.PLAIN
    metrics: tuple[str, ...] = tuple(METRICS)
    stems: tuple[str, ...] | None = None
    """Only these images; None: all that are in a folder of fused images."""
    common: bool = False
    """Leave out images that are not in every folder, where otherwise they are an error."""
    processes: int = 1

    def __post_init__(self) -> None:
        if not self.fused:
            raise UsageError("there is nothing to evaluate; give at least one folder of fused images")
        if self.processes < 1:
            raise UsageError(f"at least one process must do the work, got {self.processes}")
        if not self.metrics or not METRICS.keys() >= set(self.metrics):
            raise UsageError(f"metrics must be some of {', '.join(METRICS)}; got {', '.join(self.metrics)}")


def evaluate_fusion(
    job: FusionEvaluation, *, on_progress: Progress = lambda _done, _total: None
) -> FusionReport:
    """Measure every fused image against its two sources.

    All images are compared as 8-bit grey; colour becomes grey as in :mod:`streamfuse.metrics.gray`.
    Pairs of sources that were not fused are counted and left out.

    Args:
        job: what to compare.
        on_progress: called in this thread at the start and after each image.

    Raises:
        UsageError: a folder of fused images is given twice.
        SourceError: a folder is missing, the folders do not hold the same images, or an image cannot
            be read or differs in size from its sources.
        MachineError: a measuring process died.
    """
    names = set_names(job.fused)
    match = match_folders((job.visible, job.infrared), job.fused, stems=job.stems, common=job.common)
    orders = [
        Order(set_name=name, stem=stem, files=files, convention=job.convention, metrics=job.metrics)
        for name, images in zip(names, match.sets, strict=True)
        for stem, files in images.items()
    ]
    # Filled with empty values first: results come in any order, a report has that of the files.
    sets: dict[str, dict[str, Mapping[str, float]]] = {name: {} for name in names}
    for order in orders:
        sets[order.set_name][order.stem] = {}
    on_progress(0, len(orders))
    with closing(measure_all(orders, processes=job.processes)) as results:
        for done, (order, values) in enumerate(results, start=1):
            sets[order.set_name][order.stem] = values
            on_progress(done, len(orders))
    return FusionReport(
        convention=job.convention,
        metrics=job.metrics,
        folders=dict(zip(names, job.fused, strict=True)),
        sets=sets,
        left_out=match.left_out,
        unfused=match.unfused,
    )


def choose_metrics(words: str) -> tuple[str, ...]:
    """The metrics named in a list like ``EN,Qabf``, in any case of letters; ``all`` of them.

    Raises:
        UsageError: there is no such metric.
    """
    known = {name.lower(): name for name in METRICS}
    wanted = list(METRICS) if words == "all" else [word.strip() for word in words.split(",")]
    unknown = [word for word in wanted if word.lower() not in known]
    if unknown:
        raise UsageError(f"there is no metric {unknown[0]!r}; the metrics are {', '.join(METRICS)}")
    return tuple(dict.fromkeys(known[word.lower()] for word in wanted))

"""What the benchmarks have in common: the data, commands that make numbers, and results that name both."""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from streamfuse.errors import PromiseError, StreamfuseError, UsageError
from streamfuse.io.files import check_writable, write_text
from streamfuse.io.images import match_stems

__all__ = [
    "MSRS_LABELS",
    "Commands",
    "data_folder",
    "link_pairs",
    "machine_facts",
    "markdown_table",
    "mean_scores",
    "run",
    "write_results",
]

_DATA = "STREAMFUSE_DATA"

MSRS_LABELS = ("msrs/labels_visible", "msrs/labels_infrared", "msrs/labels_fused")
"""Each annotator saw one image of a pair; the union of all is the truth."""


class Commands:
    """Runs ``streamfuse`` commands, and remembers them as a reader would type them."""

    def __init__(self, data: Path) -> None:
        self._data = str(data)
        self.typed: list[str] = []

    def run(self, *words: str | Path, unless: Path | None = None) -> None:
        """Run a command, unless its result is there already; it is remembered in both cases.

        Raises:
            PromiseError: it failed; it has said why.
        """
        arguments = [str(word) for word in words]
        # Quoted first: the variable itself must stay open to the shell.
        typed = shlex.join(["streamfuse", *arguments]).replace(self._data, f"${_DATA}")
        self.typed.append(typed)
        if unless is not None and unless.exists():
            return
        sys.stderr.write(f"$ {typed}\n")
        # What a command prints is progress here; what counts it leaves in files.
        done = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-m", "streamfuse", *arguments], stdout=sys.stderr, check=False
        )
        if done.returncode:
            raise PromiseError(f"`{typed}` ended with {done.returncode}; see its message above")


def run(main: Callable[[], None]) -> None:
    """Run a script; what it raises on purpose becomes a line and an exit code, as in ``streamfuse``."""
    try:
        main()
    except StreamfuseError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)


def data_folder() -> Path:
    """The folder of the data sets, which the environment names.

    Raises:
        UsageError: it does not, or there is no such folder.
    """
    named = os.environ.get(_DATA)
    if not named or not Path(named).is_dir():
        raise UsageError(f"{_DATA} must name the folder of the data sets, got {named or 'nothing'}")
    return Path(named)


def link_pairs(source: Path, out: Path, *, stems: Iterable[str] | None = None, last: int = 0) -> None:
    """Fill ``out/visible`` and ``out/infrared`` with links to pairs of a data set.

    Args:
        source: holds ``visible`` and ``infrared``.
        out: made when missing; what it held before is replaced.
        stems: only these pairs; None: all.
        last: only as many from the end of the order by name; 0: all.

    Raises:
        SourceError: no pairs there.
        UsageError: a stem has no pair.
    """
    match = match_stems(source / "visible", source / "infrared")
    by_stem = dict(zip(match.stems, match.pairs, strict=True))
    wanted = list(by_stem if stems is None else stems)[-last:]
    lacking = [stem for stem in wanted if stem not in by_stem]
    if lacking:
        raise UsageError(f"{source}: has no pair {lacking[0]}, which is to be fused")
    for side, name in enumerate(("visible", "infrared")):
        shutil.rmtree(out / name, ignore_errors=True)
        (out / name).mkdir(parents=True)
        for stem in wanted:
            path = by_stem[stem][side].absolute()
            (out / name / path.name).symlink_to(path)


def mean_scores(report: Path) -> dict[str, dict[str, float]]:
    """The means of each set, by name, in a JSON report of ``streamfuse evaluate``."""
    sets = json.loads(report.read_text(encoding="utf-8"))["sets"]
    return {name: of_set["mean"] for name, of_set in sets.items()}


def machine_facts() -> dict[str, Any]:
    """Date, processor, cores and versions: without them a number says little."""
    return {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "machine": f"{_processor()}, {len(os.sched_getaffinity(0))} cores ({platform.machine()})",
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("streamfuse", "torch", "openvino", "ultralytics")},
        },
    }


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]], *, words: int = 1) -> str:
    """A table in Markdown: ``words`` columns of words, then columns of numbers, which stand at the right."""
    lines = [header, [*["---"] * words, *["---:"] * (len(header) - words)], *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def write_results(folder: Path, name: str, *, account: Mapping[str, Any], text: str) -> None:
    """Write ``NAME.json`` and ``NAME.md``, both with the facts of the machine, and print the latter.

    Args:
        folder: made when missing.
        name: of both files.
        account: all numbers, and a list ``commands`` of what made them.
        text: Markdown for people.

    Raises:
        OutputError: the folder cannot be written.
    """
    facts = machine_facts()
    check_writable(folder)
    write_text(folder / f"{name}.json", json.dumps({**facts, **account}, indent=2) + "\n")
    versions = ", ".join(f"{package} {number}" for package, number in facts["versions"].items())
    made_by = "".join(f"    {command}\n" for command in account["commands"])
    page = f"{text}\n{facts['date']}, {facts['machine']}; {versions}. Made by\n\n{made_by}"
    write_text(folder / f"{name}.md", page)
    sys.stdout.write(page)


def _processor() -> str:
    """Its name, where Linux tells it."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "unknown processor")

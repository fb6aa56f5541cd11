"""What a person sees of a calibration: its pictures, its numbers, and what to do next."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.status import Status
from rich.table import Table
from rich.text import Text

from streamfuse.cli.show import Advance, progress_bar

if TYPE_CHECKING:
    from streamfuse.geometry.calibration.intrinsics import CameraCalibration, ViewFit

__all__ = ["lens_table", "listed", "plain_table", "print_all", "seeking", "views_table"]


@contextmanager
def seeking(is_live: bool) -> Iterator[Advance]:
    """What is being done: a progress bar; of live cameras a line that says what to do next."""
    console = Console(stderr=True)
    if is_live:
        with _guiding(console) as advance:
            yield advance
    else:
        with progress_bar(console, "looking for the board") as advance:
            yield advance


@contextmanager
def _guiding(console: Console) -> Iterator[Advance]:
    """On a terminal one line that changes, else a line for everything new; the page's address stays."""
    with ExitStack() as stack:
        status: Status | None = None

        def advance(done: int, total: int | None, note: str = "") -> None:  # noqa: ARG001 - as of bars
            nonlocal status
            line = Text(note, no_wrap=True, overflow="ellipsis")
            if note.startswith("open ") or not console.is_terminal:
                console.print(Text(note), soft_wrap=True)
            elif status is None:
                status = stack.enter_context(console.status(line))
            else:
                status.update(line)

        yield advance


def print_all(parts: Iterable[RenderableType]) -> None:
    """Print parts with an empty line between them."""
    console = Console()
    for number, part in enumerate(parts):
        if number:
            console.print()
        console.print(part, crop=False)


def plain_table(title: str, *columns: str) -> Table:
    """An empty table whose first and last columns are words, the others numbers."""
    table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0), header_style="bold")
    for place, column in enumerate(columns):
        words = place in {0, len(columns) - 1}
        table.add_column(column, justify="left" if words else "right", overflow="fold")
    return table


def views_table(title: str, found: CameraCalibration, unused: Mapping[str, str]) -> Table:
    """Every picture: what was found in it and how it fits, or why it was not used."""
    table = plain_table(title, "picture", "corners", "RMS px", "worst px", "")
    for view in found.views:
        numbers = (str(len(view.ids)), f"{view.rms_px:.2f}", f"{view.worst_px:.2f}")
        table.add_row(Text(view.name), *numbers, _verdict(view))
    for name, reason in unused.items():
        table.add_row(Text(name), "", "", "", Text(reason, style="yellow"))
    return table


def lens_table(title: str, found: CameraCalibration) -> Table:
    """The numbers of a lens with their standard deviations."""
    camera = found.camera
    table = plain_table(title, "", "value", "± 1 sigma", "")
    known = {"fx": camera.fx, "fy": camera.fy, "cx": camera.cx, "cy": camera.cy}
    for name, value in known.items():
        what = "focal length, px" if name.startswith("f") else "principal point, px"
        table.add_row(name, f"{value:.2f}", _spread(found.deviations, name, 2), what)
    names = ("k1", "k2", "p1", "p2", "k3") if camera.model == "pinhole" else ("k1", "k2", "k3", "k4")
    for name, value in zip(names, camera.distortion, strict=False):
        if value or name in found.deviations:
            what = "tangential" if name.startswith("p") else "radial"
            table.add_row(name, f"{value:.5f}", _spread(found.deviations, name, 5), f"{what} distortion")
    return table


def listed(sentences: Iterable[str]) -> RenderableType:
    """Sentences, a line each."""
    return Group(*(Padding(Text(f"· {sentence}"), (0, 0)) for sentence in sentences))


def _verdict(view: ViewFit) -> Text:
    if view.left_out:
        return Text(f"left out: {view.left_out}", style="yellow")
    wrong = int((~view.kept).sum())
    if wrong:
        return Text(f"used, {wrong} corner{'' if wrong == 1 else 's'} left out", style="green")
    return Text("used", style="green")


def _spread(deviations: Mapping[str, float], name: str, digits: int) -> str:
    return f"{deviations[name]:.{digits}f}" if name in deviations else "given" if not deviations else ""

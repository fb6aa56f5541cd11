"""``streamfuse calibrate stereo``: how the cameras stand to each other, from pictures of a board."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from streamfuse.cli.calibrate.options import BoardSpec, Page, Shots

if TYPE_CHECKING:
    from rich.table import Table

    from streamfuse.jobs.calibrating.stereo import StereoResult

__all__ = ["stereo"]


def stereo(  # noqa: PLR0913, PLR0917 - one parameter for each option of the command
    visible: Annotated[str, typer.Option(metavar="P", help="Folder, video or live camera.")],
    infrared: Annotated[
        str, typer.Option(metavar="P", help="The same moments: images of the same names, or frames by time.")
    ],
    board: BoardSpec,
    out: Annotated[Path, typer.Option(metavar="RIG", help="Rig file; a lens in it is used as it is.")],
    planes: Annotated[
        str, typer.Option(metavar="M,…", help="Distances of the planes to write, metres; the first is usual.")
    ] = "inf,10,5",
    model: Annotated[
        Literal["pinhole", "fisheye"], typer.Option(help="Of lenses that the rig file does not have.")
    ] = "pinhole",
    page: Page = None,
    shots: Shots = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Find the pose between the cameras, and how the images lie on each other at some distances.

    Hold the board still where both cameras see all of it, ten times or more, near and tilted to all sides.
    Lenses that the rig file does not have are found from the same pictures. Pairs that contradict the others
    are left out, with the reason; what the pictures do not determine is refused (exit code 4). Each pair is
    also held out and predicted from the others: this tells what the rig is worth, the RMS does not.

    Example: streamfuse calibrate stereo --visible day/visible --infrared day/infrared
    --board chessboard:9x6:23.1mm --out rig.yaml
    """
    from streamfuse.cli.calibrate.showing import seeking  # noqa: PLC0415 - slow imports wait for --help
    from streamfuse.geometry.boards.board import Board  # noqa: PLC0415
    from streamfuse.jobs.calibrating.stereo import Stereo, calibrate_pair, parse_distances  # noqa: PLC0415

    job = Stereo(
        visible=visible,
        infrared=infrared,
        board=Board.parse(board),
        out=out,
        planes=parse_distances(planes),
        model=model,
        page=page,
        shots=shots,
    )
    with seeking(job.is_live) as progress:
        result = calibrate_pair(job, on_progress=progress)
    if as_json:
        sys.stdout.write(json.dumps(result.as_dict(), indent=2) + "\n")
    else:
        _show(result)


def _show(result: StereoResult) -> None:
    from streamfuse.cli.calibrate.showing import lens_table, listed, print_all  # noqa: PLC0415

    found = result.calibration
    lenses = (
        lens_table(f"{stream} {lens.camera.model} lens, {_size(lens.camera.size_wh)}", lens)
        for stream, lens in (("visible", found.visible), ("infrared", found.infrared))
    )
    held = "" if found.held_out is None else f"; held-out pairs {found.held_out.median_px:.2f} px (median)"
    summary = f"RMS {found.rms_px:.3f} px over {len(found.used)} pairs, with one pose between them{held}."
    planes = ", ".join("far away" if each == float("inf") else f"{each:g} m" for each in result.planes)
    end = (
        f"Written to {result.out}: lenses, pose, and planes for {planes}. Next: name it as `rig` in a "
        f"pipeline file, and look at `streamfuse calibrate report {result.out}`."
    )
    print_all((_pairs(result), *lenses, _pose(result), listed((summary, *result.notes, end))))


def _pairs(result: StereoResult) -> Table:
    from rich.text import Text  # noqa: PLC0415 - slow imports wait for --help

    from streamfuse.cli.calibrate.showing import plain_table  # noqa: PLC0415

    table = plain_table(
        f"pairs with {result.board.spec}", "pair", "visible px", "infrared px", "held out px", ""
    )
    held = result.calibration.held_out
    misses = {} if held is None else held.miss_px
    for pair in result.calibration.pairs:
        word = f"left out: {pair.left_out}" if pair.left_out else "used"
        table.add_row(
            Text(pair.name),
            f"{pair.visible_rms_px:.2f}",
            f"{pair.infrared_rms_px:.2f}",
            f"{misses[pair.name]:.2f}" if pair.name in misses else "",
            Text(word, style="yellow" if pair.left_out else "green"),
        )
    for stream, names in result.empty.items():
        for name, reason in names.items():
            table.add_row(Text(name), "", "", "", Text(f"{reason} in {stream}", style="yellow"))
    return table


def _pose(result: StereoResult) -> Table:
    from streamfuse.cli.calibrate.showing import plain_table  # noqa: PLC0415 - slow imports wait for --help

    found = result.calibration
    pose = found.T_visible_from_infrared
    table = plain_table(
        "the infrared camera, seen from the visible one",
        "",
        "x, right",
        "y, down",
        "z, ahead",
        "± 1 sigma, worst axis",
    )
    table.add_row(
        "stands at, mm",
        *(f"{1e3 * metres:.1f}" for metres in pose.translation_m),
        f"{1e3 * found.translation_deviation_m:.1f}",
    )
    table.add_row(
        "turned about, degrees",
        *(f"{57.29578 * angle:.2f}" for angle in pose.rotation_vector),
        f"{found.rotation_deviation_deg:.2f}",
    )
    return table


def _size(size_wh: tuple[int, int]) -> str:
    return f"{size_wh[0]}x{size_wh[1]}"

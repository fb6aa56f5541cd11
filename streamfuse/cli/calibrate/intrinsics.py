"""``streamfuse calibrate intrinsics``: the lens of one camera, from pictures of a board."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from streamfuse.cli.calibrate.options import BoardSpec, Page, Shots

if TYPE_CHECKING:
    from streamfuse.jobs.calibrating.intrinsics import IntrinsicsResult

__all__ = ["intrinsics"]


def intrinsics(  # noqa: PLR0913, PLR0917 - one parameter for each option of the command
    images: Annotated[
        list[str],
        typer.Option(metavar="P", help="Image, folder, video, or a live camera; repeat it for more."),
    ],
    camera: Annotated[
        Literal["visible", "infrared"], typer.Option(help="Which camera of the rig took the pictures.")
    ],
    board: BoardSpec,
    out: Annotated[Path, typer.Option(metavar="RIG", help="Rig file to make, or to add the lens to.")],
    model: Annotated[
        Literal["pinhole", "fisheye"], typer.Option(help="fisheye: for lenses from some 100 degrees across.")
    ] = "pinhole",
    page: Page = None,
    shots: Shots = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Find the focal length, the principal point and the distortion of a camera, with their uncertainty.

    Take ten or more pictures of the board: near, in all parts of the picture, tilted by 20 to 45 degrees
    to the left, right, up and down. Wrong pictures are left out, with the reason; pictures that do not
    determine the lens are refused (exit code 4), and nothing is written.

    Example: streamfuse calibrate intrinsics --images day/infrared --camera infrared
    --board chessboard:9x6:23.1mm --out rig.yaml
    """
    from streamfuse.cli.calibrate.showing import seeking  # noqa: PLC0415 - slow imports wait for --help
    from streamfuse.frames import StreamName  # noqa: PLC0415
    from streamfuse.geometry.boards.board import Board  # noqa: PLC0415
    from streamfuse.jobs.calibrating.intrinsics import Intrinsics, calibrate_intrinsics  # noqa: PLC0415

    job = Intrinsics(
        images=tuple(images),
        camera=StreamName(camera),
        board=Board.parse(board),
        out=out,
        model=model,
        page=page,
        shots=shots,
    )
    with seeking(job.is_live) as progress:
        result = calibrate_intrinsics(job, on_progress=progress)
    if as_json:
        sys.stdout.write(json.dumps(result.as_dict(), indent=2) + "\n")
    else:
        _show(result)


def _show(result: IntrinsicsResult) -> None:
    from streamfuse.cli.calibrate.showing import lens_table, listed, print_all, views_table  # noqa: PLC0415

    found = result.calibration
    width, height = found.camera.size_wh
    views = views_table(
        f"{result.camera} camera, {result.board.spec}", found, result.empty | result.unreadable
    )
    lens = lens_table(f"{found.camera.model} lens, {width}x{height}", found)
    summary = (
        f"RMS {found.rms_px:.3f} px over {len(found.used)} pictures that cover {100 * found.coverage:.0f} % "
        f"of the field; poses of the board differ by up to {found.tilt_deg:.0f} degrees."
    )
    print_all((views, lens, listed((summary, *result.notes, f"Written to {result.out}. {_next(result)}"))))


def _next(result: IntrinsicsResult) -> str:
    other = result.camera.other
    if result.has_other:
        return "Next: `streamfuse calibrate stereo` with this file, which has both lenses."
    return f"Next: the same for the {other} camera, then `streamfuse calibrate stereo` with this file."

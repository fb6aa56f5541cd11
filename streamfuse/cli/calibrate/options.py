"""Options that several of the commands have."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["BoardSpec", "Page", "Shots"]

BoardSpec = Annotated[
    str,
    typer.Option(
        metavar="SPEC",
        help="As in chessboard:9x6:23.1mm (inner corners), circles:7x5:30mm, asymmetric-circles:4x11:20mm "
        "or charuco:7x5:30mm:22mm.",
    ),
]
Page = Annotated[
    str | None,
    typer.Option(metavar="HOST:PORT", help="Live: a web page there shows the camera and what to do next."),
]
Shots = Annotated[
    int | None, typer.Option(min=4, help="Live: how many pictures to take; else all poses that it takes.")
]

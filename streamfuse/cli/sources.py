"""``streamfuse sources``: which cameras the machine has, and what to write into the pipeline file."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from streamfuse.io.cameras.devices import Inventory, V4l2Camera

__all__ = ["sources"]


def sources(
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """List cameras, kinds of sources and decoders of this machine, with the URIs for a pipeline file.

    Example: streamfuse sources
    """
    from streamfuse.io.cameras.devices import take_inventory  # noqa: PLC0415 - slow imports wait for --help

    inventory = take_inventory()
    if as_json:
        cameras = [{**asdict(camera), "uri": camera.uri} for camera in inventory.genicam.cameras]
        shown = {**asdict(inventory), "genicam": {"cameras": cameras, "note": inventory.genicam.note}}
        sys.stdout.write(json.dumps(shown, indent=2) + "\n")
        return
    _show(inventory)


def _show(inventory: Inventory) -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("kind", "camera", "write into the pipeline file"):
        table.add_column(heading, overflow="fold")
    for camera in inventory.v4l2:
        modes = "\n".join(camera.modes)
        words = camera.name if not modes else f"{camera.name}\n{modes}"
        table.add_row("V4L2", Text(words), Text(_advice(camera)))
    for found in inventory.genicam.cameras:
        words = f"{found.vendor} {found.model} {found.address} {found.protocol}"
        table.add_row("GenICam", Text(words), Text(f"uri: {found.uri}"))
    for plugin in inventory.plugins:
        table.add_row("plug-in", Text(plugin.package), Text(f"uri: {plugin.scheme}://…"))
    console = Console()
    if table.row_count:
        console.print(table)
    else:
        console.print("No camera is attached to this machine.", markup=False)
    if inventory.genicam.note:
        console.print(f"GenICam: {inventory.genicam.note}", markup=False, highlight=False)
    network = ", ".join(f"{scheme}://" for scheme in inventory.protocols)
    console.print(f"Network: {network}", markup=False, highlight=False)
    decoders = ", ".join(inventory.decoders) or "none, software does it"
    console.print(f"Hardware decoding: {decoders}", markup=False, highlight=False)


def _advice(camera: V4l2Camera) -> str:
    """The lines for the source's block, and what is wrong."""
    lines = f"uri: {camera.uris[0]}" if camera.uris else f"uri: {camera.device}\nforce_index: true"
    return f"{lines}\n{camera.note}" if camera.note else lines

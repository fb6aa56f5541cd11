"""``streamfuse weights``: what is there, bring some in, check them."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from streamfuse.engine.weights import WeightsFile

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Weights of the fusion networks: list, import, verify.")

_Json = Annotated[bool, typer.Option("--json", help="Print the cards as JSON.")]


@app.command("list")
def list_all(as_json: _Json = False) -> None:
    """List all weights that a pipeline can name.

    Example: streamfuse weights list
    """
    from streamfuse.engine.weights import list_weights  # noqa: PLC0415 - slow imports wait for --help

    _show(list_weights(), as_json=as_json)


@app.command("import")
def import_(
    checkpoint: Annotated[
        Path, typer.Argument(help="A published checkpoint: a .pth file, a plain state dict.")
    ],
    name: Annotated[str, typer.Option("--as", help="Name under which pipelines will know it.")],
    as_json: _Json = False,
) -> None:
    """Convert a published SeAFusion checkpoint once, into safetensors with a card.

    Example: streamfuse weights import SeAFusion.pth --as seafusion
    """
    from streamfuse.engine.weights import import_published  # noqa: PLC0415

    _show([import_published(checkpoint, name)], as_json=as_json)


@app.command("verify")
def verify(
    weights: Annotated[
        str, typer.Argument(help="A name, `default`, or a path to a .safetensors file.")
    ] = "default",
    model: Annotated[str, typer.Option(help="Fusion model they must be made for.")] = "grdb",
    as_json: _Json = False,
) -> None:
    """Check weights against their card, and that they fit the network.

    Example: streamfuse weights verify default
    """
    from streamfuse.engine.weights import load_network, resolve  # noqa: PLC0415

    found = resolve(weights, model=model)
    load_network(found)
    _show([found], as_json=as_json)
    if not as_json:
        typer.echo("  ok: as its card says, and fits the network")


def _show(files: Sequence[WeightsFile], *, as_json: bool) -> None:
    if as_json:
        cards = [{**json.loads(file.card.to_json()), "path": str(file.path)} for file in files]
        sys.stdout.write(json.dumps(cards, indent=2) + "\n")
        return
    for file in files:
        card = file.card
        typer.echo(f"{card.name}  ({card.architecture}, sha256 {card.sha256[:12]})")
        typer.echo(f"  data: {card.data}\n  made by: {card.made_by}\n  from: {card.source}")
        typer.echo(f"  licence: {card.licence}\n  file: {file.path}")

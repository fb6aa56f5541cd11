"""``streamfuse weights``: what is there, bring some in, fetch some, check them."""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streamfuse.errors import UsageError

if TYPE_CHECKING:
    from streamfuse.engine.store import WeightsFile

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Weights of the networks: list, import, download, verify.")

_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\.pt")

_DETECTOR, _SEGMENTATION = "detector", "segmentation"
"""What weights can be made for, besides the fusion models."""

_Json = Annotated[bool, typer.Option("--json", help="Print the cards as JSON.")]


@app.command("list")
def list_all(as_json: _Json = False) -> None:
    """List all weights that a pipeline can name.

    Example: streamfuse weights list
    """
    from streamfuse.engine.store import list_weights  # noqa: PLC0415 - slow imports wait for --help

    _show(list_weights(), as_json=as_json)


@app.command("import")
def import_(
    checkpoint: Annotated[
        Path,
        typer.Argument(help="A published SeAFusion checkpoint (.pth) or a YOLO network (.pt)."),
    ],
    name: Annotated[str, typer.Option("--as", help="Name under which pipelines will know it.")],
    trust: Annotated[
        bool, typer.Option("--trust", help="Run code in the file, if it holds any; for makers you trust.")
    ] = False,
    as_json: _Json = False,
) -> None:
    """Convert foreign weights once, into safetensors with a card.

    Example: streamfuse weights import SeAFusion.pth --as seafusion
    """
    from streamfuse.engine.importing import import_weights  # noqa: PLC0415

    _show([import_weights(checkpoint, name, trust=trust)], as_json=as_json)


@app.command("download")
def download(
    file: Annotated[str, typer.Argument(help="A detector of Ultralytics: yolov8n.pt, yolov8n-seg.pt, …")],
    name: Annotated[
        str | None, typer.Option("--as", help="Name for pipelines; else that of the file.")
    ] = None,
    base: Annotated[
        str | None, typer.Option("--from", help="Address of its folder; else Ultralytics' release.")
    ] = None,
    as_json: _Json = False,
) -> None:
    """Fetch a detector that was trained on COCO, and import it. The only command that goes to the internet.

    Example: streamfuse weights download yolov8n-seg.pt
    """
    from streamfuse.engine.importing import RELEASE, RELEASE_LICENCE, import_detector  # noqa: PLC0415
    from streamfuse.engine.store import user_path  # noqa: PLC0415
    from streamfuse.io.download import download as fetch  # noqa: PLC0415

    if not _FILE.fullmatch(file):
        raise UsageError(f"expected the name of a file such as yolov8n-seg.pt, got {file!r}")
    name = name or Path(file).stem.lower()
    user_path(name)  # can it be taken: asked before a long fetch
    url = f"{(base or RELEASE).rstrip('/')}/{file}"
    with tempfile.TemporaryDirectory(prefix="streamfuse-") as folder:
        path = Path(folder) / file
        with _progress_bar(f"fetching {url}") as on_bytes:
            digest = fetch(url, path, on_bytes=on_bytes)
        typer.echo(f"fetched {url}, sha256 {digest}", err=True)
        licence = RELEASE_LICENCE if base is None else "unknown: ask who offers the file"
        found = import_detector(path, name, source=url, licence=licence)
    _show([found], as_json=as_json)


@app.command("verify")
def verify(
    weights: Annotated[
        str, typer.Argument(help="A name, a path to a .safetensors file, or `default`: fusion and detector.")
    ] = "default",
    model: Annotated[
        str | None,
        typer.Option(help="What they must be made for: a fusion model, `detector` or `segmentation`."),
    ] = None,
    as_json: _Json = False,
) -> None:
    """Check weights against their card, and that they fit the network.

    Example: streamfuse weights verify default
    """
    models = ("grdb", _DETECTOR) if weights == "default" and model is None else (model,)
    _show([_fitting(weights, each) for each in models], as_json=as_json)
    if not as_json:
        typer.echo("  ok: as its card says, and fits the network")


def _fitting(weights: str, model: str | None) -> WeightsFile:
    """The file, after its network was built and filled; without a model, the one of its card."""
    from streamfuse.engine.store import locate, resolve  # noqa: PLC0415
    from streamfuse.engine.store import verify as verify_file  # noqa: PLC0415
    from streamfuse.engine.tasks.networks import load_task_network  # noqa: PLC0415
    from streamfuse.engine.tasks.places import DEFAULT_DETECTOR  # noqa: PLC0415
    from streamfuse.engine.tasks.semantic import ARCHITECTURE, load_semantic_network  # noqa: PLC0415
    from streamfuse.engine.weights import load_network  # noqa: PLC0415

    if model is None and weights != "default":
        card = verify_file(locate(weights, default="")).card
        model = _SEGMENTATION if card.architecture == ARCHITECTURE else _DETECTOR if card.classes else None
    if model == _DETECTOR:
        load_task_network(weights, kind="detect", where="weights verify")
        return verify_file(locate(weights, default=DEFAULT_DETECTOR))
    if model == _SEGMENTATION:
        load_semantic_network(weights, where="weights verify")
        return verify_file(locate(weights, default=""))
    found = resolve(weights, model=model or "grdb")
    load_network(found)
    return found


@contextmanager
def _progress_bar(title: str) -> Iterator[Callable[[int, int | None], None]]:
    """A bar on a terminal's standard error; takes the bytes so far and those of the whole."""
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn  # noqa: PLC0415

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(title, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _show(files: Sequence[WeightsFile], *, as_json: bool) -> None:
    if as_json:
        cards = [
            {**json.loads(file.card.to_json()), "path": str(file.path), "default_of": list(_default_of(file))}
            for file in files
        ]
        sys.stdout.write(json.dumps(cards, indent=2) + "\n")
        return
    for file in files:
        card = file.card
        typer.echo(f"{card.name}  ({card.architecture}, sha256 {card.sha256[:12]})")
        if models := _default_of(file):
            typer.echo(f"  the default of: {', '.join(models)}")
        typer.echo(f"  data: {card.data}\n  made by: {card.made_by}\n  from: {card.source}")
        if card.classes:
            typer.echo(f"  classes: {', '.join(card.classes)}")
        typer.echo(f"  licence: {card.licence}\n  file: {file.path}")


def _default_of(file: WeightsFile) -> tuple[str, ...]:
    """What ``default`` stands for these weights of: fusion models, the detector."""
    from streamfuse.engine.store import default_of, shipped_dir  # noqa: PLC0415
    from streamfuse.engine.tasks.places import DEFAULT_DETECTOR  # noqa: PLC0415

    is_detector = file.path.parent == shipped_dir() and file.path.stem == DEFAULT_DETECTOR
    return (*default_of(file), *((_DETECTOR,) if is_detector else ()))

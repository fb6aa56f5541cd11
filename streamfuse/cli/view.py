"""``streamfuse view``: look at a pipeline that runs, here or elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from streamfuse.io.mjpeg import ViewerAddress

__all__ = ["view"]

_WAIT_S = 0.03
"""How long a window waits for a picture before it looks after its keys."""


def view(
    address: Annotated[
        str, typer.Argument(metavar="[HOST:PORT]", help="Of the viewer, or its https:// address.")
    ] = "127.0.0.1:8090",
    token_file: Annotated[
        Path | None,
        typer.Option("--token-file", metavar="FILE", help="Holds the viewer's token, for --window."),
    ] = None,
    window: Annotated[
        bool, typer.Option("--window", help="A plain window instead of the browser; q closes it.")
    ] = False,
) -> None:
    """Open the page of a running viewer in the browser, or its picture in a plain window.

    Example: streamfuse view edge-box:8090
    """
    from streamfuse.errors import UsageError  # noqa: PLC0415 - slow imports wait for --help
    from streamfuse.io.mjpeg import ViewerAddress, find_viewer  # noqa: PLC0415

    where = ViewerAddress.of(address, token=None if token_file is None else _token_in(token_file))
    let_in = find_viewer(where)
    if not let_in and token_file is not None:
        raise UsageError(f"{where.url} does not accept the token in {token_file}")
    if not window:
        _open_page(where)
    elif let_in:
        _show_window(where)
    else:
        raise UsageError(f"{where.url} wants its token; write it into a file and add --token-file FILE")


def _token_in(path: Path) -> str:
    """The first line of a file.

    Raises:
        SourceError: it cannot be read, or is empty.
    """
    from streamfuse.errors import SourceError  # noqa: PLC0415

    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"--token-file: {path} cannot be read ({error})") from error
    if not token.isascii() or len(token.split()) != 1:
        raise SourceError(f"--token-file: {path} must hold the token alone, on one line")
    return token


def _open_page(where: ViewerAddress) -> None:
    import webbrowser  # noqa: PLC0415

    opened = webbrowser.open(where.url)
    typer.echo(where.url if opened else f"No browser here; open {where.url}")


def _show_window(where: ViewerAddress) -> None:
    from streamfuse.io.mjpeg import LiveStream  # noqa: PLC0415
    from streamfuse.io.window import Window, decode_jpeg  # noqa: PLC0415

    with Window(f"streamfuse {where.host}:{where.port}") as window, LiveStream(where) as stream:
        while window.is_open and not stream.ended:
            if (picture := stream.newest(_WAIT_S)) is not None:
                window.show(decode_jpeg(picture))
            if window.key() in {"q", "\x1b"}:
                window.close()
        if window.is_open:
            typer.echo(f"The viewer at {where.url} has stopped.")

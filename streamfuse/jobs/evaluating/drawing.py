"""What all plots of evaluations have in common: colours, names of sets, files that appear whole."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

from matplotlib.figure import Figure

from streamfuse.errors import OutputError

__all__ = ["COLORS", "LINES", "Line", "save", "set_labels"]

Line = Literal["-", "--", ":", "-."]

COLORS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
"""Of Okabe and Ito: told apart by people who see few colours."""
LINES: Final[tuple[Line, ...]] = ("-", "--", ":", "-.")
"""A further set of the same colour has another line."""


def set_labels(names: Sequence[str]) -> list[str]:
    """Names as a legend takes them: neither a formula ($) nor hidden (_), whatever a folder is called."""
    return [f" {name}".replace("$", r"\$") for name in names]


def save(figure: Figure, path: Path) -> None:
    """Write a figure as its suffix says; the file appears whole or not at all, and replaces an older one.

    Raises:
        OutputError: the file cannot be written.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        figure.savefig(part, format=path.suffix[1:].lower(), dpi=120)
        part.replace(path)
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written ({error.strerror}); check the folder and its space"
        ) from error
    finally:
        part.unlink(missing_ok=True)

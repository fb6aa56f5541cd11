"""What lies beside an exported network: facts for programs, and a page for people."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from streamfuse import __version__
from streamfuse.engine.backends.recipe import GRAPH_REVISION
from streamfuse.jobs.benching.machine import versions
from streamfuse.jobs.exporting.formats import ExportFormat
from streamfuse.jobs.exporting.subject import Port, Subject

__all__ = [
    "CARD",
    "EQUAL_DB",
    "PAGE",
    "agreement",
    "digests",
    "facts_of",
    "is_same",
    "made_with",
    "page_of",
    "read_card",
]

CARD: Final = "card.json"
PAGE: Final = "README.md"
EQUAL_DB: Final = 120.0
"""What stands for no difference at all."""


def facts_of(subject: Subject, form: ExportFormat) -> dict[str, Any]:
    """What decides what is in the files: two exports with the same facts say the same."""
    return {
        "format": str(form),
        **subject.facts,
        "precision": "float32",
        "graph_revision": GRAPH_REVISION,
        "inputs": [asdict(port) for port in subject.inputs],
        "outputs": [asdict(port) for port in subject.outputs],
    }


def read_card(folder: Path) -> Mapping[str, Any] | None:
    """The card of an earlier export; None if there is none that can be read."""
    try:
        found = json.loads((folder / CARD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and isinstance(found.get("files"), dict) else None


def is_same(card: Mapping[str, Any], facts: Mapping[str, Any], folder: Path) -> bool:
    """Whether a folder holds an export with these facts, undamaged."""
    wanted = json.loads(json.dumps(facts))
    return all(card.get(key) == value for key, value in wanted.items()) and card["files"] == digests(folder)


def digests(folder: Path) -> dict[str, str]:
    """The sha256 of every file but the card and the page, by name."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name not in {CARD, PAGE}
    }


def made_with(form: ExportFormat) -> dict[str, str | None]:
    """Versions of what had a part in it."""
    return {"streamfuse": __version__, **versions(("torch", "onnx", form.package))}


def agreement(psnr_db: float) -> str:
    """How well a file agrees with torch, in words."""
    if psnr_db >= EQUAL_DB:
        return "gives the same bits as torch in float32"
    return f"agrees with torch in float32 to {psnr_db:.1f} dB"


def page_of(subject: Subject, form: ExportFormat, *, file: str, psnr_db: float) -> str:
    """A page that says what the file is, and code that runs it."""
    weights = subject.facts["weights"]
    example = _ONNX_EXAMPLE if form is ExportFormat.ONNX else _OPENVINO_EXAMPLE
    what = (
        f"`{file}`: the network `{subject.facts['network']}` with its pre- and post-processing, for "
        f"{form.package}. Exported by streamfuse {__version__}."
    )
    origin = (
        f"Checked before it was kept: it {agreement(psnr_db)}. Weights `{weights['name']}`, sha256 "
        f"`{weights['sha256']}`; licence: {weights['licence']}; trained on: {weights['data']}. "
        f"More in `{CARD}`."
    )
    code = example.format(file=file, inputs=_blank(subject.inputs), first=subject.outputs[0].name)
    lines = [
        f"# {subject.stem}",
        "",
        what,
        "",
        *_table("input", subject.inputs),
        "",
        *_table("output", subject.outputs),
        "",
        "A word in a shape stands for any length.",
        "",
        "```python",
        code,
        "```",
        "",
        origin,
        "",
    ]
    return "\n".join(lines)


_ONNX_EXAMPLE: Final = """\
import numpy as np
import onnxruntime

inputs = {inputs}
session = onnxruntime.InferenceSession("{file}")
{first} = session.run(None, inputs)[0]
print({first}.shape, {first}.dtype)"""

_OPENVINO_EXAMPLE: Final = """\
import numpy as np
import openvino

inputs = {inputs}
network = openvino.compile_model("{file}", "CPU")  # bfloat16 where the processor has it
{first} = network(inputs)["{first}"]
print({first}.shape, {first}.dtype)"""

_BLANK: Final = {"batch": 1, "height": 480, "width": 640}


def _blank(ports: Sequence[Port]) -> str:
    """Inputs of zeros, as Python; the two numbers of a luma range as they are for full range."""
    arrays = [
        f'    "{port.name}": np.array([0, 255], np.float32),'
        if port.dtype == "float32"
        else f'    "{port.name}": np.zeros({port.sized(_BLANK)}, np.uint8),'
        for port in ports
    ]
    return "\n".join(("{", *arrays, "}"))


def _table(title: str, ports: Sequence[Port]) -> list[str]:
    rows = [
        f"| `{port.name}` | {port.dtype} | {' x '.join(map(str, port.shape))} | {port.meaning} |"
        for port in ports
    ]
    return [f"| {title} | type | shape | meaning |", "|---|---|---|---|", *rows]

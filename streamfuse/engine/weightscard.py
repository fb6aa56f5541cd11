"""The card of a weights file: what it is, where it comes from, what it may be used for."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from streamfuse.errors import WeightsError

__all__ = ["WeightsCard"]

_SHA256 = re.compile(r"[0-9a-f]{64}")
_KINDS: Mapping[str, tuple[type, str]] = {"metrics": (Mapping, "table"), "classes": (tuple, "list")}


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsCard:
    """Facts about one weights file.

    Raises:
        ValueError: a text is empty, or ``sha256`` is not 64 hexadecimal digits.
    """

    name: str
    architecture: str
    """Name of the network: in :mod:`streamfuse.nets.registry`, or Ultralytics' own (``yolov8n-seg``)."""
    sha256: str
    """Of the safetensors file, lower-case hexadecimal."""
    data: str
    """What it was trained on."""
    licence: str
    made_by: str
    """The command that made the file."""
    source: str
    """What that command started from."""
    metrics: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """By image set and convention, then by metric."""
    classes: tuple[str, ...] = ()
    """Names by class id, of a network that names what it sees."""

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            kind, word = _KINDS.get(item.name, (str, "text"))
            if not isinstance(value, kind) or value == "":
                raise ValueError(f"`{item.name}` must be a {word}, got {value!r}")
        if not all(isinstance(name, str) and name for name in self.classes):
            raise ValueError(f"`classes` must be names, got {list(self.classes)}")
        if not _SHA256.fullmatch(self.sha256):
            raise ValueError(f"`sha256` must be 64 hexadecimal digits, got {self.sha256!r}")

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> WeightsCard:
        """Build a card from parsed JSON.

        Raises:
            ValueError: a field is missing, unknown or of the wrong kind.
        """
        known = {item.name for item in fields(cls)}
        unknown, missing = sorted(set(values) - known), sorted(known - {"metrics", "classes"} - set(values))
        if unknown or missing:
            raise ValueError(f"fields {missing} are missing and {unknown} are unknown")
        classes = values.get("classes", ())
        return cls(**{**values, "classes": tuple(classes) if isinstance(classes, list) else classes})

    @classmethod
    def read(cls, path: Path) -> WeightsCard:
        """Read a card.

        Raises:
            WeightsError: the file is missing or no card.
        """
        try:
            return cls.from_json(json.loads(path.read_text(encoding="utf-8")))
        except OSError as error:
            raise WeightsError(
                f"cannot read the card {path}: {error.strerror}; weights are used only with their card"
            ) from error
        except (ValueError, TypeError) as error:
            raise WeightsError(f"{path} is no weights card: {error}") from error

    def to_json(self) -> str:
        """The card as a JSON text, fields in the order of the class; no ``classes`` where there are none."""
        values = {name: value for name, value in asdict(self).items() if name != "classes" or value}
        return json.dumps(values, indent=2, ensure_ascii=False) + "\n"

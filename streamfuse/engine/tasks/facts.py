"""What must be known of a task network to feed it and to read its results."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["TaskFacts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFacts:
    """What the results of a network mean, and what images it takes.

    Raises:
        ValueError: sides or strides that are no sizes, or classes that are not numbered from 0.
    """

    kind: str
    """``detect`` or ``segment``: what it can do."""
    names: tuple[str, ...]
    """Of its classes, by number."""
    side_px: int
    """The longer side of the images it was trained with."""
    stride: int
    """Both sides of its input are multiples of this."""
    is_end_to_end: bool
    """Whether it leaves no overlaps."""

    def __post_init__(self) -> None:
        if not self.names or self.side_px < 1 or self.stride < 1:
            raise ValueError(f"expected classes, a side and a stride, got {self}")

    def to_json(self) -> str:
        """As text; :meth:`from_json` is the way back."""
        return json.dumps(asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> TaskFacts:
        """What :meth:`to_json` wrote.

        Raises:
            ValueError: it did not.
        """
        plain: Any = json.loads(text)
        try:
            return cls(**{**plain, "names": tuple(plain["names"])})
        except (TypeError, KeyError) as error:
            raise ValueError(f"not the facts of a network: {error}") from error

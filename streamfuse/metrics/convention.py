"""Which scalings a metric's value was made with: values of two conventions never share a table."""

from __future__ import annotations

import enum

__all__ = ["Convention"]


class Convention(enum.StrEnum):
    """How the eleven metrics of the field's published sheets are scaled; the others have one form only.

    The sheets (Evaluation-for-Image-Fusion, in MATLAB) let several metrics compute in uint8, which rounds
    and clips, and some on [0, 1]. Where a metric depends on it, its docstring says how.
    """

    PLAIN = "plain"
    """The formula as its paper has it, on grey levels 0..255 (MSE and PSNR on 0..1)."""
    PUBLISHED = "published"
    """What gives the published numbers, digit by digit."""

"""Whether pictures have the sizes that a rig was made for."""

from __future__ import annotations

from typing import Protocol

from streamfuse.config.rig_parts import SizeWH
from streamfuse.errors import UsageError

__all__ = ["Sized", "check_sizes"]


class Sized(Protocol):
    """What knows the sizes that a rig is for; None: any."""

    @property
    def visible_size_wh(self) -> SizeWH | None:
        """Of the visible images."""

    @property
    def infrared_size_wh(self) -> SizeWH | None:
        """Of the infrared images."""


def check_sizes(
    rig: Sized,
    *,
    visible_wh: SizeWH | None = None,
    infrared_wh: SizeWH | None = None,
    mend: str = "use a rig made for these cameras",
) -> None:
    """Make sure that pictures have the sizes that a rig was made for.

    Args:
        rig: the rig; what it does not say, fits.
        visible_wh: size of the visible pictures; None: not looked at.
        infrared_wh: size of the infrared ones.
        mend: the end of the sentence, unless the cameras are swapped.

    Raises:
        UsageError: they do not, with the sizes, got and expected.
    """
    wanted, got = (rig.visible_size_wh, rig.infrared_size_wh), (visible_wh, infrared_wh)
    if None not in got and got != wanted and got[::-1] == wanted:
        raise UsageError(
            f"rig: made for visible pictures of {_words(wanted[0])} and infrared ones of "
            f"{_words(wanted[1])}, got the opposite: the cameras seem swapped; exchange visible and infrared"
        )
    for name, expected_wh, got_wh in zip(("visible", "infrared"), wanted, got, strict=True):
        if expected_wh is not None and got_wh is not None and got_wh != expected_wh:
            raise UsageError(
                f"rig: made for {name} pictures of {_words(expected_wh)}, got {_words(got_wh)}; {mend}"
            )


def _words(size_wh: SizeWH | None) -> str:
    return "any size" if size_wh is None else f"{size_wh[0]}x{size_wh[1]}"

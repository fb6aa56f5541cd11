"""Keys of a source's block that its kind cannot use are refused, so that nobody trusts in them."""

from __future__ import annotations

from collections.abc import Iterable

from streamfuse.config.sources import SourceConfig
from streamfuse.errors import UsageError

__all__ = ["refuse_unused"]


def refuse_unused(config: SourceConfig, unused: Iterable[str], *, label: str, kind: str) -> None:
    """Refuse keys that were given in the pipeline file with another value than the default.

    Args:
        config: The source's block.
        unused: Names of the keys that this kind of source cannot use.
        label: What the message starts with.
        kind: What the source is, with its article, as in ``a V4L2 camera``.

    Raises:
        UsageError: at least one of them was given.
    """
    fields = type(config).model_fields
    given = [
        name
        for name in unused
        if name in config.model_fields_set
        and getattr(config, name) != fields[name].get_default(call_default_factory=True)
    ]
    if given:
        raise UsageError(f"{label}: {kind} cannot use {', '.join(given)}; take it out of the source's block")

"""Kinds of sources that other packages bring, and what is said of a package that is broken."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib import metadata
from typing import Final

from streamfuse.errors import UsageError
from streamfuse.frames import StreamName
from streamfuse.io.source import Source

__all__ = ["PLUGIN_GROUP", "Factory", "find_plugin", "package_of"]

PLUGIN_GROUP: Final = "streamfuse.sources"
"""Entry points of other packages that bring further kinds of sources."""

Factory = Callable[..., Source]


def find_plugin(scheme: str, *, label: str) -> Factory | None:
    """What another package calls for ``scheme``; None if no package has it.

    Args:
        scheme: The kind of source, without ``://``.
        label: What error messages start with.

    Raises:
        UsageError: two packages have it, or the one that has it cannot be used; it is named.
    """
    entries = tuple(metadata.entry_points(group=PLUGIN_GROUP, name=scheme))
    if not entries:
        return None
    if len(entries) > 1:
        rivals = " and ".join(sorted(package_of(entry) for entry in entries))
        raise UsageError(f"{label}: {rivals} both bring {scheme}://; uninstall one of them")
    return _load(entries[0], label=label)


def package_of(entry: metadata.EntryPoint) -> str:
    """Name and version of the package that an entry point belongs to."""
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else "an unknown package"


def _load(entry: metadata.EntryPoint, *, label: str) -> Factory:
    bad = f"{label}: {entry.name}:// comes from the package {package_of(entry)}, but its {entry.value}"
    try:
        factory: object = entry.load()
    except Exception as error:  # code of others: whatever it does when it is imported
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise UsageError(f"{bad} cannot be imported ({reason}); mend or uninstall that package") from error
    if not callable(factory):
        raise UsageError(f"{bad} is {type(factory).__name__}, wanted a class or function; mend that package")
    try:
        signature = inspect.signature(factory)
    except ValueError:  # written in C, which tells nothing: the call will show
        return factory
    try:
        signature.bind(None, stream=StreamName.VISIBLE)
    except TypeError as error:
        raise UsageError(
            f"{bad} takes {signature}, wanted (config, *, stream); mend or update that package"
        ) from error
    return factory

"""Reading the query of a ``synthetic://`` URI into the fields of a scene."""

from __future__ import annotations

import difflib
import re
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["Keys", "read_gray16", "read_size", "values_of"]

Keys = Mapping[str, tuple[str, Callable[[str], Any], str]]
"""Key of the URI: field of the spec, reader of its text, what the reader takes in words."""


def read_size(text: str) -> tuple[int, int]:
    """``640x480`` as width and height; ValueError for anything else."""
    match = re.fullmatch(r"(\d+)x(\d+)", text)
    if match is None:
        raise ValueError
    return int(match[1]), int(match[2])


def read_gray16(text: str) -> bool:
    """Whether ``gray8`` or ``gray16`` has 16 bits; KeyError for anything else."""
    return {"gray8": False, "gray16": True}[text]


def values_of(query: str, keys: Keys) -> dict[str, Any]:
    """Fields of a spec from the query of a URI.

    Raises:
        ValueError: an unknown key, or a value that the key does not take; the message is the whole story.
    """
    values: dict[str, Any] = {}
    for key, text in urllib.parse.parse_qsl(query, keep_blank_values=True):
        if key not in keys:
            nearest = difflib.get_close_matches(key, keys, n=1, cutoff=0.0)[0]
            raise ValueError(f"unknown key {key!r}, did you mean {nearest!r}?")
        field, read, words = keys[key]
        try:
            values[field] = read(text)
        except (ValueError, KeyError) as error:
            raise ValueError(f"{key} takes {words}, got {text!r}") from error
    return values

"""Long forms of tests whose short form proves the same: ``STREAMFUSE_LONG=1`` runs them.

The tables of the documents are made with them (``benchmarks/faults.py`` sets it).
"""

from __future__ import annotations

import os

import pytest

__all__ = ["LONG"]

LONG = (
    pytest.mark.slow,
    pytest.mark.skipif(
        os.environ.get("STREAMFUSE_LONG") != "1",
        reason="the short form runs; STREAMFUSE_LONG=1 runs this too",
    ),
)

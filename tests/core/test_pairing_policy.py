"""What a pairing policy accepts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from streamfuse.core.pairing import OnMissing, PairingPolicy

DEFAULT = PairingPolicy(visible_fps=30.0, infrared_fps=25.0)


def test_the_automatic_skew_limit_is_half_the_slower_period_plus_five_ms() -> None:
    """30 and 8.7 fps give 62.5 ms; a number given is taken as it is."""
    assert replace(DEFAULT, infrared_fps=8.7).skew_limit_ms == pytest.approx(500 / 8.7 + 5)
    assert replace(DEFAULT, max_skew_ms=7).skew_limit_ms == 7


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("visible_fps", 0),
        ("infrared_fps", float("nan")),
        ("max_wait_ms", -1),
        ("max_hold_ms", float("inf")),
        ("max_skew_ms", -1),
        ("offset_ms", float("nan")),
    ],
)
def test_an_impossible_policy_is_refused_by_name(field: str, value: float) -> None:
    """The error names the field and the value it got."""
    values: dict[str, Any] = {field: value}
    with pytest.raises(ValueError, match=rf"{field.replace('max_skew', 'skew_limit')} .* got {value}"):
        replace(DEFAULT, **values)


def test_the_words_of_the_yaml_are_the_values() -> None:
    """`on_missing: hold | visible_only | drop`."""
    assert [OnMissing(word) for word in ("hold", "visible_only", "drop")] == list(OnMissing)

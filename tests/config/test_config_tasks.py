"""The tasks of a pipeline file: what one key says of another."""

from __future__ import annotations

from typing import Any

import pytest

from streamfuse.config.tasks import Tasks


def tasks(**blocks: dict[str, Any]) -> Tasks:
    """As read from a file."""
    return Tasks.model_validate(blocks)


def test_what_segment_does_not_say_is_as_in_detect() -> None:
    """With the same weights one network gives each object once, under the keys that the user has set."""
    made = tasks(detect={"confidence": 0.7, "most": 3, "track": True}, segment={"most": 5})
    assert made.segment is not None
    assert (made.segment.confidence, made.segment.most, made.segment.every) == (0.7, 5, 1)
    again = Tasks.model_validate_json(made.model_dump_json())
    assert again == made, "nothing is lost on the way to a worker"


@pytest.mark.parametrize("other", [{"weights": "/a/other.pt"}, {"weights": "other"}])
def test_a_segment_with_weights_of_its_own_has_keys_of_its_own(other: dict[str, str]) -> None:
    """Two networks are two tasks."""
    made = tasks(detect={"confidence": 0.7}, segment=other)
    assert made.segment is not None
    assert made.segment.confidence == 0.25

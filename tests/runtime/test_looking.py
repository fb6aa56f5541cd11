"""Rules against what the networks can find."""

from __future__ import annotations

import pytest

from streamfuse.config.outputs import EventRule
from streamfuse.errors import UsageError
from streamfuse.runtime.stages.looking import check_classes

KNOWN = frozenset({"person", "car"})


def test_a_rule_for_what_no_network_finds_is_refused() -> None:
    """A typing mistake in a class would be a rule that never fires."""
    check_classes([EventRule(name="all"), EventRule(name="road", classes=("car", "person"))], KNOWN)
    with pytest.raises(UsageError, match=r"events\.gate\.classes: no network finds persn; they find car"):
        check_classes([EventRule(name="gate", classes=("car", "persn"))], KNOWN)


def test_of_many_classes_only_some_are_listed() -> None:
    """The message stays one line, however many classes a network has."""
    known = frozenset(f"thing{number:02}" for number in range(80))
    with pytest.raises(UsageError, match=r"thing00, .*thing11 and 68 more$"):
        check_classes([EventRule(name="gate", classes=("person",))], known)

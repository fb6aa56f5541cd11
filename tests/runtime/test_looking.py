"""From the fused images to objects, tracks, events and counts, by a network that sees the same always."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from constant_network import save_constant_network

from streamfuse.clock import NS_PER_MS, UtcLabel
from streamfuse.config.pipeline import PipelineConfig
from streamfuse.errors import UsageError
from streamfuse.frames import Frame, FramePair, FusedFrame, Image, PairState, StreamName
from streamfuse.runtime.stages.looking import Looking, Rules, check_rules, open_looking

UTC = UtcLabel(monotonic_ns=0, utc_ns=0)
KNOWN = frozenset({"person", "car"})
EVERYWHERE = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]
IMAGE = Image.from_rgb(np.full((96, 128, 3), 90, np.uint8))


def config(weights: str | Path = "w.pt", **more: Any) -> PipelineConfig:
    """A pipeline that tracks at every second pair; ``more`` is laid over its tasks, but for events."""
    events = more.pop("events", [])
    detect = {"weights": str(weights), "track": True, "every": 2, "overlap": 0.1} | more.pop("detect", {})
    street = {"uri": "synthetic://street"}
    plain = {
        "sources": {"visible": street, "infrared": street},
        "tasks": {"detect": detect, "backend": "torch", **more},
        "events": events,
    }
    return PipelineConfig.model_validate(plain, strict=False)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The network that sees persons everywhere; its export is kept here, not in the home folder."""
    folder = tmp_path_factory.mktemp("looking")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield save_constant_network(folder / "constant.pt", names={0: "person"})


def pair(pair_id: int) -> FramePair:
    """One of ten pairs a second."""
    capture_ns = pair_id * 100 * NS_PER_MS
    frame = Frame(
        stream=StreamName.VISIBLE, seq=pair_id, image=IMAGE, pts_ns=0, capture_ns=capture_ns, arrival_ns=0
    )
    return FramePair(
        pair_id=pair_id,
        state=PairState.VISIBLE_ONLY,
        visible=frame,
        infrared=None,
        skew_ms=None,
        infrared_age_ms=None,
    )


def fused(of: FramePair) -> FusedFrame:
    """What became of the pair's images."""
    return FusedFrame(
        pair_id=of.pair_id,
        state=of.state,
        image=IMAGE,
        capture_ns=of.base.capture_ns,
        fused_ns=0,
        skew_ms=None,
        infrared_age_ms=None,
        visible_seq=of.pair_id,
        infrared_seq=None,
    )


def watched(looking: Looking, rules: Rules, *pair_ids: int) -> list[FusedFrame]:
    """Pairs through both, in one batch."""
    pairs = [pair(pair_id) for pair_id in pair_ids]
    found = looking.find([IMAGE] * len(pairs), pairs, on_device=lambda: [None] * len(pairs))
    return [rules.see(fused(each), looked) for each, looked in zip(pairs, found, strict=True)]


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (
            {"events": [{"name": "all"}, {"name": "gate", "classes": ["car", "persn"]}]},
            r"events\.gate\.classes: no network finds persn; they find car, person$",
        ),
        (
            {"rules": [{"name": "yard", "zone": EVERYWHERE, "classes": ["dog", "cat"]}]},
            r"tasks\.rules\.yard\.classes: no network finds cat, dog; they find car, person$",
        ),
    ],
)
def test_a_rule_for_what_no_network_finds_is_refused(rules: dict[str, Any], message: str) -> None:
    """A typing mistake in a class would be a rule that never fires."""
    with pytest.raises(UsageError, match=message):
        check_rules(config(**rules), KNOWN)


def test_rules_for_what_networks_find_are_fine() -> None:
    """Some of their classes, or all."""
    zone = {"name": "yard", "zone": EVERYWHERE, "classes": ["car", "person"]}
    check_rules(config(rules=[zone], events=[{"name": "all"}]), KNOWN)


def test_of_many_classes_only_some_are_listed() -> None:
    """The message stays one line, however many classes a network has."""
    known = frozenset(f"thing{number:02}" for number in range(80))
    with pytest.raises(UsageError, match=r"thing00, .*thing11 and 68 more$"):
        check_rules(config(events=[{"name": "gate", "classes": ["person"]}]), known)


def test_where_nothing_is_looked_for_nothing_is_loaded() -> None:
    """A pipeline without tasks has frames as they were, without objects and events."""
    bare = PipelineConfig.model_validate(config().model_dump(mode="json") | {"tasks": None}, strict=False)
    assert open_looking(bare) is None
    frame = fused(pair(0))
    assert Rules(bare, utc=UTC, looking=None).see(frame, None) is frame


def test_objects_become_tracks_counts_and_events(weights: Path) -> None:
    """Between two looks tracks go on as predicted, within the picture; nobody enters or ends by that."""
    yard = {"name": "yard", "zone": EVERYWHERE, "classes": ["person"], "confidence": 0.4}
    settings = config(weights, rules=[yard], events=[{"name": "seen", "min_time_s": 0, "gap_s": 0}])
    looking = open_looking(settings)
    assert looking is not None
    rules = Rules(settings, utc=UTC, looking=looking)
    first, *later = watched(looking, rules, 0, 1, 2, 3, 5)
    looking.close()
    people = len(first.detections)
    assert {found.class_name for found in first.detections} == {"person"}
    assert sorted(found.track_id or 0 for found in first.detections) == list(range(1, people + 1))
    for frame, predicted in zip(later, (True, False, True, True), strict=True):
        assert {found.track_id for found in frame.detections} == set(range(1, people + 1))
        assert {found.is_predicted for found in frame.detections} == {predicted}
        for found in frame.detections:
            left, top, right, bottom = found.box_xyxy
            assert 0 <= left < right <= 128
            assert 0 <= top < bottom <= 96
        (count,) = frame.counts
        assert (count.rule, count.inside, count.entered, count.left) == ("yard", people, people, 0)
        assert count.longest_s == frame.capture_ns / 1e9
        (event,) = frame.events
        assert (event.rule, event.phase, event.objects) == ("seen", "going", people)


def test_rules_and_confidences_change_while_it_runs(weights: Path) -> None:
    """New rules count from zero; of what is less sure than the new confidence only the followed is left."""
    yard = {"name": "yard", "zone": EVERYWHERE}
    settings = config(weights, detect={"every": 1}, rules=[yard])
    looking = Looking(settings.tasks)  # type: ignore[arg-type]
    rules = Rules(settings, utc=UTC, looking=looking)
    (first,) = watched(looking, rules, 0)
    rules.reload(config(weights, detect={"every": 1}, rules=[yard | {"name": "new"}, yard]))
    (second,) = watched(looking, rules, 2)
    told = [rule.name for rule in rules.counted]
    rules.reload(config(weights, detect={"every": 1, "confidence": 0.9}, rules=[]))
    (last,) = watched(looking, rules, 3)
    looking.close()
    assert first.counts[0].entered == len(first.detections) > 0
    assert told == ["new", "yard"]
    assert [(count.rule, count.longest_s) for count in second.counts] == [("new", 0.0), ("yard", 0.2)]
    assert last.counts == rules.counted == ()
    assert last.detections
    followed = {found.track_id for found in second.detections} - {None}
    assert {found.track_id for found in last.detections} <= followed


def test_a_successor_gives_away_no_id_again(weights: Path) -> None:
    """After a restart of the engine the ids go on behind those of its predecessor."""
    looking = Looking(config(weights).tasks, last_track_id=100)  # type: ignore[arg-type]
    (looked,) = looking.find([IMAGE], [pair(0)], on_device=lambda: [None])
    looking.close()
    assert min(found.track_id or 0 for found in looked.detections) == 101

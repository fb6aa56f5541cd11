"""What a running pipeline takes over from its changed file: every key has an answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from streamfuse.config.pipeline import PipelineConfig
from streamfuse.config.reload import Reload, plan_reload

TOKEN = "correct-horse-battery"  # noqa: S105 - of a test


def config(**changes: Any) -> PipelineConfig:
    """A pipeline with everything on; ``changes`` replace top-level blocks."""
    plain: dict[str, Any] = {
        "name": "gate",
        "rig": "/r.yaml",
        "sources": {"visible": {"uri": "synthetic://street"}, "infrared": {"uri": "synthetic://street"}},
        "tasks": {"detect": {"weights": "/w/yolo.pt", "confidence": 0.25}},
        "record": {"dir": "/r", "retention": {"max_days": 7.0}},
        "viewer": {"web": "127.0.0.1:8090", "token": TOKEN},
        "publish": [{"kind": "jsonl", "path": "/e.jsonl"}],
        "events": [{"name": "person"}],
        "metrics": {"prometheus": "127.0.0.1:9464"},
    }
    return PipelineConfig.model_validate(plain | changes, strict=False)


OLD = config()


def reload(**changes: Any) -> Reload:
    """The running pipeline's file gets these blocks."""
    return plan_reload(OLD, config(**changes))


def test_no_change_is_nothing_to_do() -> None:
    """A file that was only touched disturbs nobody."""
    plan = reload()
    assert (plan.config, plan.applied, plan.refused) == (OLD, (), ())
    assert not plan.told | plan.replaced


@pytest.mark.parametrize(
    ("changes", "key", "told"),
    [
        (
            {"tasks": {"detect": {"weights": "/w/yolo.pt", "confidence": 0.6}}},
            "tasks.detect.confidence",
            {"engine"},
        ),
        ({"events": [{"name": "person", "min_time_s": 2.0}]}, "events", {"engine", "recorder"}),
        ({"events": []}, "events", {"engine", "recorder"}),
        ({"registration": {"distance_m": 12.0}}, "registration.distance_m", {"engine"}),
        ({"record": {"dir": "/r", "retention": {"max_days": 1.0}}}, "record.retention", {"recorder"}),
        ({"record": {"dir": "/r"}}, "record.retention", {"recorder"}),
        (
            {"record": {"dir": "/r", "retention": {"max_days": 7.0}, "clips": {"pre_s": 1.0}}},
            "record.clips",
            {"recorder"},
        ),
    ],
)
def test_what_workers_take_over_while_they_run(changes: dict[str, Any], key: str, told: set[str]) -> None:
    """The workers concerned are told, nobody is replaced, and the new value holds from then on."""
    plan = reload(**changes)
    assert (plan.applied, plan.refused, plan.told, plan.replaced) == ((key,), (), told, frozenset())
    assert plan.config == config(**changes)


@pytest.mark.parametrize(
    ("changes", "key", "role"),
    [
        ({"viewer": {"web": "127.0.0.1:8091", "token": TOKEN}}, "viewer.web", "viewer"),
        ({"viewer": {"web": "127.0.0.1:8090", "token": TOKEN, "quality": 60}}, "viewer.quality", "viewer"),
        ({"viewer": {"web": "127.0.0.1:8090"}}, "viewer.token", "viewer"),
        ({"publish": [{"kind": "jsonl", "path": "/f.jsonl"}]}, "publish", "publisher"),
    ],
)
def test_what_replaces_a_worker(changes: dict[str, Any], key: str, role: str) -> None:
    """Sockets and files are opened by a successor that knows the new values from the beginning."""
    plan = reload(**changes)
    assert (plan.applied, plan.refused, plan.told, plan.replaced) == ((key,), (), frozenset(), {role})
    assert plan.config == config(**changes)


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"name": "other"}, "name"),
        ({"mode": "every_frame"}, "mode"),
        ({"rig": "/rig.yaml"}, "rig"),
        ({"sync": {"max_wait_ms": 5.0}}, "sync.max_wait_ms"),
        ({"registration": {"watch": False}}, "registration.watch"),
        ({"fusion": {"batch": 1}}, "fusion.batch"),
        ({"tasks": {"detect": {"weights": "/w/other.pt"}}}, "tasks.detect.weights"),
        (
            {"tasks": {"detect": {"weights": "/w/yolo.pt"}, "segment": {"weights": "/w/seg.pt"}}},
            "tasks.segment",
        ),
        ({"record": {"dir": "/r", "retention": {"max_days": 7.0}, "segment_s": 5.0}}, "record.segment_s"),
        ({"record": None}, "record"),
        ({"viewer": {"web": "127.0.0.1:8090", "token": TOKEN, "window": True}}, "viewer.window"),
        ({"viewer": None}, "viewer"),
        ({"publish": []}, "publish"),
        ({"metrics": {"prometheus": "127.0.0.1:9465"}}, "metrics.prometheus"),
    ],
)
def test_what_waits_for_a_new_start(changes: dict[str, Any], key: str) -> None:
    """It is refused by its key with a reason, and the run stays as it was."""
    plan = reload(**changes)
    assert (plan.config, plan.applied, plan.told | plan.replaced) == (OLD, (), frozenset())
    (refusal,) = plan.refused
    assert refusal.key == key
    assert str(refusal).startswith(f"{key} stays as it was: ")
    assert str(refusal).endswith("; start again to change it")


def test_the_plane_of_cropped_pictures_waits_for_a_new_start() -> None:
    """Another plane gives pictures of another size, for which there is no memory."""
    before, after = (
        config(rig="/rig.yaml", registration={"crop": True, "distance_m": metres}) for metres in (5.0, 9.0)
    )
    (refusal,) = plan_reload(before, after).refused
    assert "the shared memory is laid out" in str(refusal)


def test_what_can_change_does_even_beside_what_cannot() -> None:
    """Each key is decided for itself."""
    plan = reload(
        name="other",
        fusion={"batch": 1},
        tasks={"detect": {"weights": "/w/other.pt", "confidence": 0.5}},
        publish=[{"kind": "jsonl", "path": "/f.jsonl"}],
    )
    assert plan.applied == ("tasks.detect.confidence", "publish")
    assert {refusal.key for refusal in plan.refused} == {"name", "fusion.batch", "tasks.detect.weights"}
    assert plan.config.name == "gate"
    assert plan.config.tasks is not None
    assert plan.config.tasks.detect is not None
    assert plan.config.tasks.detect.weights == "/w/yolo.pt"
    assert plan.config.tasks.detect.confidence == 0.5


def test_a_page_that_goes_does_not_leave_the_old_one_without_its_token() -> None:
    """A viewer's keys go together: web is refused, so what guards it stays too."""
    old = config(viewer={"web": "0.0.0.0:8090", "token": TOKEN})
    plan = plan_reload(old, config(viewer={"window": True}))
    assert plan.config == old
    assert {refusal.key for refusal in plan.refused} == {"viewer.web", "viewer.token", "viewer.window"}


def test_rules_need_something_that_is_looked_for() -> None:
    """Objects cannot be looked for from now on, so events of them are refused too."""
    old = config(tasks=None, events=[])
    plan = plan_reload(old, config())
    assert plan.config == old
    assert {refusal.key for refusal in plan.refused} == {"tasks", "events"}


GATE = {"name": "gate", "line": [[0.5, 0.0], [0.5, 1.0]]}


def tracking(
    *, rules: Sequence[dict[str, Any]] = (), more_confidence: float = 0.25, **detect: Any
) -> dict[str, Any]:
    """A tasks block that tracks, counts, and has a further network."""
    return {
        "detect": {"weights": "/w/yolo.pt", "track": True, **detect},
        "more": [{"kind": "segment", "weights": "/w/seg.pt", "confidence": more_confidence}],
        "rules": rules,
    }


@pytest.mark.parametrize(
    ("new", "key"),
    [
        (tracking(rules=[GATE]), "tasks.rules"),
        (tracking(more_confidence=0.4), "tasks.more"),
        (tracking(confidence=0.4), "tasks.detect.confidence"),
    ],
)
def test_the_engine_takes_over_rules_and_every_confidence(new: dict[str, Any], key: str) -> None:
    """Lines and zones are read anew, and so are the scores of further networks."""
    plan = plan_reload(config(tasks=tracking()), config(tasks=new))
    assert (plan.applied, plan.refused, plan.told, plan.replaced) == ((key,), (), {"engine"}, frozenset())
    assert plan.config == config(tasks=new)


def test_further_networks_stay_the_same() -> None:
    """Of `more` only the scores can change."""
    old, new = tracking(), tracking(more_confidence=0.4)
    new["more"][0]["weights"] = "/w/other.pt"
    plan = plan_reload(config(tasks=old), config(tasks=new))
    assert plan.config == config(tasks=old)
    assert [refusal.key for refusal in plan.refused] == ["tasks.more"]


def test_rules_need_objects_that_are_tracked() -> None:
    """Tracking cannot be switched on, so rules that come with it are refused too."""
    old = config(tasks=tracking(track=False))
    plan = plan_reload(old, config(tasks=tracking(rules=[GATE])))
    assert plan.config == old
    assert {refusal.key for refusal in plan.refused} == {"tasks.detect.track", "tasks.rules"}


def test_no_value_is_told() -> None:
    """A refusal goes to the log: the address of a camera may hold its password."""
    plan = reload(
        sources={"visible": {"uri": "rtsp://me:hidden@cam/1"}, "infrared": {"uri": "synthetic://street"}}
    )
    assert "hidden" not in " ".join(map(str, plan.refused))
    assert plan.refused[0].key == "sources.visible.uri"

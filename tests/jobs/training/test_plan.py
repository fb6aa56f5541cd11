"""The order of a training: pure numbers."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamfuse.config.training import Labels, PairFolder, Segmentation, Semantic, TrainConfig
from streamfuse.jobs.training.plan import Kind, Stage, plan_of
from streamfuse.jobs.training.rates import fusion_rate, learning_rate, segmentation_rate


def a_config(**more: object) -> TrainConfig:
    """A run of 100 fusion steps on some folder."""
    semantic = more.get("semantic")
    folder = PairFolder(path=Path("a"), labels=Labels(maps=Path("b")) if semantic else None)
    return TrainConfig.model_validate(
        {"name": "a", "licence": "none", "train": (folder,), "steps": 100, **more}
    )


def joint(segmentation: Segmentation, **more: object) -> TrainConfig:
    """Three rounds of 100 fusion steps and some segmentation steps."""
    block = {"classes": ("none", "car"), "rounds": 3, "segmentation": segmentation, **more}
    return a_config(semantic=Semantic.model_validate(block))


def test_a_training_by_content_is_one_stage() -> None:
    """All steps are fusion steps of round 1 without semantic loss."""
    plan = plan_of(a_config())
    assert plan.stages == (Stage(kind=Kind.FUSION, round=1, first=0, steps=100, before=0),)
    assert (plan.steps, plan.rounds) == (100, 1)


def test_rounds_alternate_and_the_semantic_loss_grows() -> None:
    """P fusion steps, then q segmentation steps; beta = gamma * (round - 1)."""
    plan = plan_of(joint(Segmentation(steps=40), gamma=0.5))
    assert [(s.kind, s.round, s.first, s.steps, s.before, s.beta) for s in plan.stages] == [
        (Kind.FUSION, 1, 0, 100, 0, 0.0),
        (Kind.SEGMENTATION, 1, 100, 40, 0, 0.0),
        (Kind.FUSION, 2, 140, 100, 100, 0.5),
        (Kind.SEGMENTATION, 2, 240, 40, 40, 0.0),
        (Kind.FUSION, 3, 280, 100, 200, 1.0),
        (Kind.SEGMENTATION, 3, 380, 40, 80, 0.0),
    ]


def test_one_stage_with_a_constant_weight_can_be_said() -> None:
    """One round behind a training of the segmentation network, as the ablation wants it."""
    plan = plan_of(joint(Segmentation(steps=5, pretrain_steps=30), rounds=1, beta=2.0))
    assert [(s.kind, s.round, s.steps, s.beta) for s in plan.stages] == [
        (Kind.SEGMENTATION, 0, 30, 0.0),
        (Kind.FUSION, 1, 100, 2.0),
        (Kind.SEGMENTATION, 1, 5, 0.0),
    ]


def test_every_step_has_its_stage_and_what_is_left_adds_up() -> None:
    """Stages share the steps without gap or overlap."""
    plan = plan_of(joint(Segmentation(steps=40)))
    for step in range(plan.steps):
        stage = plan.stage_of(step)
        assert stage.first <= step < stage.first + stage.steps
        assert sum(plan.left(step).values()) == plan.steps - step
    assert plan.left(141) == {Kind.FUSION: 199, Kind.SEGMENTATION: 80}
    assert plan.stage_of(plan.steps) is plan.stages[-1]


def test_one_cycle_rises_for_a_tenth_and_falls_to_almost_nothing() -> None:
    """A low start, the peak after a tenth of the steps, a far lower end."""
    config = a_config()
    rates = [fusion_rate(config, step) / config.learning_rate for step in range(101)]
    assert rates[0] == pytest.approx(1 / 25)
    assert rates[10] == pytest.approx(1)
    assert rates[100] == pytest.approx(1e-4)
    assert rates[:11] == sorted(rates[:11])
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_one_cycle_spans_all_rounds_of_a_network_that_goes_on() -> None:
    """The peak is a tenth into 300 steps; a fresh network has a cycle in each round."""
    assert fusion_rate(joint(Segmentation()), 30) == pytest.approx(2e-3)
    fresh = joint(Segmentation(), fusion_network="fresh")
    assert [fusion_rate(fresh, step) for step in (10, 110, 210)] == pytest.approx([2e-3] * 3)


def test_a_staircase_is_that_of_the_released_code() -> None:
    """Its epochs count from 0 and its rate is 1e-3 * 0.75^(epoch - 1)."""
    config = a_config(learning_rate=1e-3 / 0.75, schedule="staircase", decay=0.75, decay_every=10)
    rates = [fusion_rate(config, 10 * epoch + 9) for epoch in range(10)]
    assert rates == pytest.approx([1e-3 * 0.75 ** (epoch - 1) for epoch in range(10)])


def test_a_constant_rate_stays() -> None:
    """From the first step to the last."""
    config = a_config(schedule="constant")
    assert {fusion_rate(config, step) for step in range(100)} == {2e-3}


def test_the_segmentation_warms_up_once_and_falls_over_all_rounds() -> None:
    """1000 steps from 1e-5 to 1e-2 by a constant factor, then a power of the share that is left."""
    settings = Segmentation(steps=5000, warm_up_steps=1000)
    rates = [segmentation_rate(settings, step, rounds=2) for step in (0, 500, 1000, 5500, 10_000)]
    assert rates == pytest.approx([1e-5, (1e-5 * 1e-2) ** 0.5, 1e-2, 1e-2 * 0.5**0.9, 0])


def test_a_step_takes_the_rate_of_its_kind() -> None:
    """Steps of one kind count on through the rounds."""
    config = joint(Segmentation(steps=40))
    stages = plan_of(config).stages
    assert learning_rate(config, stages[2], 150) == fusion_rate(config, 110)
    assert learning_rate(config, stages[3], 250) == pytest.approx(1e-2 * (70 / 120) ** 0.9)

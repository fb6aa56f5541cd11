from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest

from streamfuse.config.training import load_training
from streamfuse.jobs.training.plan import Kind, plan_of

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"

EVEN = {
    "EN": 7.0,
    "MI": 3.0,
    "VIF": 0.8,
    "SF": 12.0,
    "SD": 40.0,
    "AG": 4.0,
    "SCD": 1.5,
    "Qabf": 0.6,
    "SSIM": 0.7,
}


@pytest.fixture
def comparison(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A script, imported as when it runs: its folder is on the path."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("comparison")


@pytest.fixture
def ablation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """Another one; its file names data that need not be there to be counted."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    monkeypatch.setenv("STREAMFUSE_DATA", str(tmp_path))
    return importlib.import_module("ablation")


def _scores(*, higher: str = "", checker: float = 0.4) -> dict[str, float]:
    """Means that are even with the published ones, but for those named."""
    return {name: value + 0.01 * (name in higher.split()) for name, value in EVEN.items()} | {
        "CHECKER": checker
    }


@pytest.mark.parametrize(
    ("higher", "checker", "met"),
    [
        ("VIF Qabf SSIM EN MI SF", 0.4, True),
        ("VIF Qabf SSIM EN MI", 0.4, False),
        ("VIF Qabf EN MI SF SD AG SCD", 0.4, False),
        ("VIF Qabf SSIM EN MI SF SD AG SCD", 0.41, False),
    ],
    ids=["six with the three", "five", "eight without SSIM", "all with a grid"],
)
def test_the_target_wants_six_higher_the_three_among_them_and_no_grid(
    comparison: ModuleType, higher: str, checker: float, met: bool
) -> None:
    """A verdict counts the metrics that are higher, and each of the three conditions can fail alone."""
    stands = comparison.verdict(_scores(higher=higher, checker=checker), _scores())
    assert set(stands.wins) == set(higher.split())
    assert stands.target_met is met


def test_what_is_equal_is_no_win(comparison: ModuleType) -> None:
    """Weights compared with themselves win nothing."""
    assert comparison.verdict(_scores(), _scores()).wins == ()


def test_every_variant_spends_the_same_budget(ablation: ModuleType) -> None:
    """All variants make as many fusion steps; the joint ones weigh the semantic loss the same on average."""
    for variant in ablation.variants(400, 0):
        stages = plan_of(load_training(ablation.BASE, variant.overrides)).stages
        fusion = [stage for stage in stages if stage.kind is Kind.FUSION]
        beta = sum(stage.beta * stage.steps for stage in fusion) / 400
        learnt = sum(stage.steps for stage in stages if stage.kind is Kind.SEGMENTATION)
        assert sum(stage.steps for stage in fusion) == 400
        assert (beta, learnt) == ((0, 0) if variant.name == "content" else (1.5, 200))

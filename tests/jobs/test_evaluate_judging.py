"""Groups, comparisons and draws: what is asked of the scores of a task."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfuse.errors import UsageError
from streamfuse.jobs.evaluating.bootstrap import Resampling, Score
from streamfuse.jobs.evaluating.judging import Judging
from streamfuse.jobs.evaluating.scores import Comparison, GroupScores, SetScores, TaskReport


def judging(*, groups: list[str] | None = None, comparisons: list[str] | None = None) -> Judging:
    """As a user writes it."""
    return Judging.parse(groups=groups or [], comparisons=comparisons or [], resampling=Resampling())


def test_words_become_groups_and_comparisons() -> None:
    """Patterns may hold `=`, names of sets a slash."""
    judged = judging(groups=["day=*D", "odd=a=?"], comparisons=["steady/fused:visible"])
    assert judged.groups == {"day": "*D", "odd": "a=?"}
    assert judged.comparisons == (Comparison(first="steady/fused", second="visible"),)
    assert judged.places(["1D", "a=1", "2D", "x"]) == {"day": [0, 2], "odd": [1]}


@pytest.mark.parametrize(
    ("groups", "comparisons", "message"),
    [
        (["day"], [], r"name=PATTERN, each name once, as in day=\*D; got 'day'"),
        (["=*D"], [], "got '=\\*D'"),
        (["day=*D", "day=*N"], [], "each name once"),
        (["all=*"], [], "all is the group of all images"),
        ([], ["fused"], "two sets as in fused:visible, got 'fused'"),
        ([], ["fused:"], "got 'fused:'"),
        ([], ["fused:fused"], "fused is compared with itself"),
    ],
)
def test_words_that_say_nothing_are_refused(groups: list[str], comparisons: list[str], message: str) -> None:
    """What was expected, and what was got."""
    with pytest.raises(UsageError, match=message):
        judging(groups=groups, comparisons=comparisons)


def test_a_group_that_holds_nothing_is_an_error() -> None:
    """It names the pattern, and a name that it could have been."""
    with pytest.raises(UsageError, match=r"group day: no image has a name like \*D; .* such as 00162N"):
        judging(groups=["day=*D"]).places(["00162N"])


def test_draws_come_from_the_seed() -> None:
    """The same seed draws alike, another one otherwise; each draw holds as many images as there are."""
    counts = Resampling(draws=50).counts(7)
    assert counts.shape == (50, 7)
    assert (counts.sum(axis=1) == 7).all()
    assert np.array_equal(counts, Resampling(draws=50).counts(7))
    assert not np.array_equal(counts, Resampling(draws=50, seed=1).counts(7))
    with pytest.raises(UsageError, match="must not be negative, got -1 resamples and seed 0"):
        Resampling(draws=-1)


def test_the_interval_of_a_mean_is_that_of_statistics() -> None:
    """Of the mean of 400 values the bootstrap finds what the normal distribution says, to a tenth."""
    values = np.random.default_rng(0).normal(5.0, 2.0, 400)
    counts = Resampling(draws=2000).counts(400)
    low, high = Score(value=float(values.mean()), draws=counts @ values / 400).interval or (0.0, 0.0)
    wanted = 1.96 * values.std() / 20
    assert high - values.mean() == pytest.approx(wanted, rel=0.1)
    assert values.mean() - low == pytest.approx(wanted, rel=0.1)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_a_score_does_not_differ_from_itself(draws: list[float]) -> None:
    """Draw by draw, so the interval of the difference is a point."""
    score = Score(value=0.5, draws=np.array(draws))
    assert score.minus(score).interval == (0.0, 0.0)


def test_draws_without_a_score_have_no_say() -> None:
    """They are left out; where none is left, or the score itself is missing, there is no interval."""
    nan = float("nan")
    assert Score(value=0.5, draws=np.array([nan, 0.5, 0.5])).interval == (0.5, 0.5)
    assert Score(value=0.5, draws=np.array([nan])).interval is None
    assert Score(value=nan, draws=np.array([0.5])).interval is None
    assert Score(value=0.5, draws=np.array([])).interval is None


def scores(value: float, draws: list[float]) -> SetScores:
    """Of one class, which is also the mean."""
    score = Score(value=value, draws=np.array(draws))
    return SetScores(mean={"mIoU": score}, classes={"car": {"IoU": score}})


def report(*, draws: int) -> TaskReport:
    """Two sets of three images, and a group of one of them."""
    sets = {"a": scores(0.75, [0.5, 1.0][:draws]), "b": scores(0.25, [0.25, 0.5][:draws])}
    group = GroupScores(images=1, truths=(4,), sets={"a": scores(float("nan"), []), "b": scores(0.5, [])})
    return TaskReport(
        whole=GroupScores(images=3, truths=(9,), sets=sets),
        groups={"day": group},
        comparisons=(Comparison(first="a", second="b"),),
        resampling=Resampling(draws=draws),
    )


def test_the_report_holds_values_intervals_and_differences() -> None:
    """For all images at the top, for each group beside them; None where there is no score."""
    values = report(draws=2).as_dict()
    assert values["sets"]["a"]["mean"] == {"mIoU": 0.75}
    assert values["sets"]["a"]["intervals"]["classes"]["car"]["IoU"] == pytest.approx([0.5125, 0.9875])
    (over,) = values["comparisons"]
    assert over["mean"] == {"mIoU": 0.5}
    assert over["intervals"]["mean"]["mIoU"] == pytest.approx([0.25625, 0.49375])
    assert values["groups"]["day"]["sets"]["a"]["mean"] == {"mIoU": None}
    assert values["bootstrap"] == {"resamples": 2, "seed": 0, "interval": 0.95}


def test_without_draws_there_are_no_intervals() -> None:
    """Values and differences are there all the same."""
    values = report(draws=0).as_dict()
    assert list(values["sets"]["a"]) == ["mean", "classes"]
    assert values["comparisons"][0]["mean"] == {"mIoU": 0.5}


def test_csv_has_a_row_for_each_score() -> None:
    """Differences too; what is not there is left empty."""
    rows = list(csv.DictReader(report(draws=2).as_csv().splitlines()))
    assert len(rows) == 2 * 3 * 2
    first, over, nothing = rows[0], rows[4], rows[6]
    assert list(first.values())[:5] == ["all", "a", "all", "mIoU", "0.75"]
    assert (float(first["low"]), float(first["high"])) == pytest.approx((0.5125, 0.9875))
    assert (over["set"], over["value"]) == ("a - b", "0.5")
    assert (nothing["group"], nothing["value"], nothing["low"]) == ("day", "", "")

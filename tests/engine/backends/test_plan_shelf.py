"""Plans that take minutes to build are built rarely, and never more of them than the device holds."""

from __future__ import annotations

from streamfuse.engine.backends.plan_shelf import PlanShape, PlanShelf
from streamfuse.engine.backends.recipe import Recipe

SIZE_WH = (64, 48)


def shape(batch: int, size_wh: tuple[int, int] = SIZE_WH, recipe: Recipe = Recipe.LUMA) -> PlanShape:
    """A shape in short."""
    return PlanShape(recipe, batch, size_wh)


class Builder:
    """Remembers what it built."""

    def __init__(self) -> None:
        self.built: list[PlanShape] = []

    def __call__(self, wanted: PlanShape) -> str:
        """A plan that is a text."""
        self.built.append(wanted)
        return f"{wanted.recipe} {wanted.batch}"


def test_a_smaller_batch_takes_the_smallest_plan_that_it_fits_into() -> None:
    """Nothing is built for it."""
    builder = Builder()
    shelf = PlanShelf(builder, kept=4)
    for batch in (8, 4):
        shelf.exact(shape(batch))
    assert shelf.fitting(shape(3)) == (4, "luma 4")
    assert shelf.fitting(shape(5)) == (8, "luma 8")
    assert [one.batch for one in builder.built] == [8, 4]


def test_a_larger_batch_another_size_or_recipe_is_built() -> None:
    """A plan serves one recipe and one size alone."""
    builder = Builder()
    shelf = PlanShelf(builder, kept=4)
    shelf.exact(shape(4))
    assert shelf.fitting(shape(5)) == (5, "luma 5")
    assert shelf.fitting(shape(1, (48, 64))) == (1, "luma 1")
    assert shelf.fitting(shape(2, recipe=Recipe.RGB)) == (2, "rgb 2")
    assert len(builder.built) == 4


def test_those_used_last_are_kept() -> None:
    """The oldest goes before the new one comes; warming up asks for exactly one shape."""
    builder = Builder()
    shelf = PlanShelf(builder, kept=2)
    shelf.exact(shape(1))
    shelf.exact(shape(2))
    shelf.exact(shape(1))
    shelf.exact(shape(3))
    assert sorted(shelf) == ["luma 1", "luma 3"]
    shelf.clear()
    assert list(shelf) == []
    shelf.exact(shape(1))
    assert builder.built == [shape(1), shape(2), shape(3), shape(1)]

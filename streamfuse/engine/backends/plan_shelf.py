"""What is compiled for one shape each, and takes long to compile: kept by shape, and shared where it fits."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Generic, NamedTuple, TypeVar

from streamfuse.engine.backends.recipe import Recipe

__all__ = ["PlanShape", "PlanShelf"]

Plan = TypeVar("Plan")


class PlanShape(NamedTuple):
    """What a plan is compiled for."""

    recipe: Recipe
    batch: int
    size_wh: tuple[int, int]


class PlanShelf(Generic[Plan]):
    """Plans by shape, those used last.

    Args:
        make: compiles one.
        kept: plans at most.
    """

    def __init__(self, make: Callable[[PlanShape], Plan], *, kept: int) -> None:
        self._make = make
        self._kept = kept
        self._plans: OrderedDict[PlanShape, Plan] = OrderedDict()

    def exact(self, shape: PlanShape) -> Plan:
        """The plan of a shape, made now if there is none."""
        if shape not in self._plans:
            while len(self._plans) >= self._kept:  # first, or the device would hold one more for a moment
                self._plans.popitem(last=False)
            self._plans[shape] = self._make(shape)
        self._plans.move_to_end(shape)
        return self._plans[shape]

    def fitting(self, shape: PlanShape) -> tuple[int, Plan]:
        """The plan of the smallest batch here that this one fits into; else a new one of just this batch.

        Returns:
            The batch that the plan is for, and the plan.
        """
        batches = (
            other.batch
            for other in self._plans
            if (other.recipe, other.size_wh) == (shape.recipe, shape.size_wh) and other.batch >= shape.batch
        )
        batch = min(batches, default=shape.batch)
        return batch, self.exact(shape._replace(batch=batch))

    def clear(self) -> None:
        """Let go of all plans."""
        self._plans.clear()

    def __iter__(self) -> Iterator[Plan]:
        """The plans, in no order that means anything."""
        return iter(self._plans.values())

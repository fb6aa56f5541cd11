"""What the uncertainty of lenses that were given does to the pose between the cameras."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from streamfuse.geometry.calibration.fit import Fit
from streamfuse.geometry.calibration.joint import Joint, Views, solve_again
from streamfuse.geometry.calibration.lens import TERMS, numbers_of, with_numbers
from streamfuse.geometry.camera import Camera
from streamfuse.geometry.lenses import Lenses

__all__ = ["shaken"]

Deviations = Mapping[str, float]


def shaken(views: Views, joint: Joint, deviations: tuple[Deviations, Deviations]) -> tuple[Lenses, ...]:
    """The rig, solved again with each number of a given lens moved by its standard deviation.

    The changes add up in quadrature as if the numbers were independent (their correlations are not in a rig
    file); both focal lengths move together, as those of square pixels do.

    Args:
        views: With the corners of a pair in one order.
        joint: The solution.
        deviations: Of the visible and the infrared lens, by the name of the number; none: it is exact.
    """
    found = []
    for index, (fit, spread) in enumerate(zip(joint.fits, deviations, strict=True)):
        for camera in () if fit.free else _moved(fit.camera, spread):
            fits: list[Fit] = list(joint.fits)
            fits[index] = replace(fit, camera=camera)
            found.append(solve_again(views, joint, (fits[0], fits[1])))
    return tuple(found)


def _moved(camera: Camera, deviations: Deviations) -> Iterator[Camera]:
    names = TERMS[camera.model]
    for together in (("fx", "fy"), *((name,) for name in names[2:])):
        numbers = numbers_of(camera)
        for name in together:
            numbers[names.index(name)] += deviations.get(name, 0.0)
        if any(deviations.get(name) for name in together):
            yield with_numbers(camera, numbers)

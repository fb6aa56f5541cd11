"""Who is where at which time: routes through the street, and the timing that keeps them apart.

Everything repeats: cars, bicycles and crossings share a cycle of 30 s, in whose first half the cars
have the zebra crossing and in whose second half the people. So the state at any time follows in closed
form, and nobody appears or vanishes in sight: all routes begin and end out of the picture or behind a corner.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from streamfuse.io.synthetic.arrays import Doubles, Point3

__all__ = ["Journey", "Route", "bicycle_journey", "car_journeys", "person_journey"]

CYCLE_S = 30.0
ZEBRA_Y = (13.0, 16.6)
STOP_Y = 19.2

_STEP_M = 0.25
_STEP_S = 0.1

Point = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Route:
    """A way along the ground, sampled every 0.25 m."""

    places: tuple[Point3, ...]
    """x, y and heading (radians, anticlockwise from +y, without jumps) of each sample."""

    @classmethod
    def through(cls, corners: Sequence[Point], *, rounding_m: float) -> Route:
        """Straight lines through the corners, rounded over a length."""
        stops = np.array(corners, np.float64)
        legs = np.linalg.norm(np.diff(stops, axis=0), axis=1)
        along = np.concatenate([[0.0], np.cumsum(legs)])
        at = np.arange(0.0, along[-1], _STEP_M)
        points = np.stack([np.interp(at, along, stops[:, axis]) for axis in (0, 1)], axis=1)
        width = 2 * int(rounding_m / _STEP_M / 2) + 1
        padded = np.pad(points, ((width // 2, width // 2), (0, 0)), mode="reflect", reflect_type="odd")
        kernel = np.ones(width) / width
        smooth = np.stack([np.convolve(padded[:, axis], kernel, mode="valid") for axis in (0, 1)], axis=1)
        ahead = np.gradient(smooth, axis=0)
        heading = np.unwrap(np.arctan2(-ahead[:, 0], ahead[:, 1]))
        return cls(places=tuple(map(tuple, np.column_stack([smooth, heading]).tolist())))

    @property
    def length_m(self) -> float:
        """Length of the way."""
        return (len(self.places) - 1) * _STEP_M

    def at(self, distance_m: float) -> Point3:
        """x, y and heading after a distance."""
        where = min(max(distance_m / _STEP_M, 0.0), len(self.places) - 1.001)
        index = int(where)
        part = where - index
        (x0, y0, h0), (x1, y1, h1) = self.places[index], self.places[index + 1]
        return x0 + part * (x1 - x0), y0 + part * (y1 - y0), h0 + part * (h1 - h0)

    def distance_to_y(self, y: float) -> float:
        """How far along the way it first comes nearest to a y."""
        return float(np.argmin([abs(place[1] - y) for place in self.places])) * _STEP_M

    def distance_to_x(self, x: float) -> float:
        """How far along the way it first comes nearest to an x."""
        return float(np.argmin([abs(place[0] - x) for place in self.places])) * _STEP_M


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Journey:
    """A route travelled again and again."""

    route: Route
    travelled: tuple[float, ...]
    """Distance in metres every 0.1 s from the start of the journey."""
    start_s: float
    period_s: float

    @property
    def moves(self) -> bool:
        """Whether it leads anywhere."""
        return self.travelled[-1] > 0.0

    def distance(self, t_s: float) -> float | None:
        """Metres travelled at a time, or None while not under way."""
        since = (t_s - self.start_s) % self.period_s / _STEP_S
        index = int(since)
        if index + 1 >= len(self.travelled):
            return None
        before, after = self.travelled[index], self.travelled[index + 1]
        return before + (since - index) * (after - before)


def _steady(route: Route, speed_mps: float, *, passes_s: float, at_m: float) -> Journey:
    """At constant speed, so as to be ``at_m`` along the route at time ``passes_s``."""
    steps = int(route.length_m / speed_mps / _STEP_S)
    travelled = tuple(step * speed_mps * _STEP_S for step in range(steps + 1))
    period_s = CYCLE_S * float(np.ceil((steps + 1) * _STEP_S / CYCLE_S))
    return Journey(route=route, travelled=travelled, start_s=passes_s - at_m / speed_mps, period_s=period_s)


def _waiting(route: Route, speed_mps: float, *, stop_m: float, stops_s: float, leaves_s: float) -> Journey:
    """Drives, brakes to a stand at ``stop_m``, and drives on."""
    brake_s = 3.2
    time = np.arange(0.0, CYCLE_S * 2, _STEP_S)
    start_s = stops_s - brake_s - (stop_m - speed_mps * brake_s / 2) / speed_mps
    clock = time + start_s
    braking = np.clip((clock - (stops_s - brake_s)) / brake_s, 0, 1)
    leaving = np.clip((clock - leaves_s) / brake_s, 0, 1)
    share = 1 - _smooth(braking) + _smooth(leaving)
    travelled = np.cumsum(share * speed_mps * _STEP_S)
    within = tuple(travelled[travelled < route.length_m].tolist())
    return Journey(route=route, travelled=within, start_s=start_s, period_s=CYCLE_S)


def _smooth(x: Doubles) -> Doubles:
    return np.asarray(x * x * (3 - 2 * x))


def _standing(x: float, y: float, towards: Point) -> Journey:
    """Stays where it is for ever."""
    place = (x, y, math.atan2(-towards[0], towards[1]))
    still = (0.0,) * (int(CYCLE_S / _STEP_S) + 2)
    return Journey(route=Route(places=(place, place)), travelled=still, start_s=0.0, period_s=CYCLE_S)


def car_journeys(rng: np.random.Generator, count: int) -> list[Journey]:
    """Every third car is parked on the left; the others alternate between coming and going."""
    parked = count // 3
    berths = [24.5, 31.5, 45.0, 38.2]
    journeys = [_standing(-4.6, y + float(rng.uniform(-0.4, 0.4)), (0.0, -1.0)) for y in berths[:parked]]
    coming = Route.through([(-16, 69.5), (-1.65, 69.5), (-1.65, -9)], rounding_m=6.0)
    going = Route.through([(1.45, -9), (1.45, 67.5), (16, 67.5)], rounding_m=6.0)
    moving = count - parked
    for index in range(moving):
        slot = index // 2
        passes = 1.6 + 3.3 * slot + float(rng.uniform(-0.3, 0.3))
        if index % 2:
            journeys.append(_steady(going, 8.4, passes_s=passes, at_m=going.distance_to_y(ZEBRA_Y[0])))
        elif index + 2 >= moving > 2:
            stop_m = coming.distance_to_y(STOP_Y)
            journeys.append(_waiting(coming, 8.4, stop_m=stop_m, stops_s=16.5, leaves_s=27.6))
        else:
            journeys.append(_steady(coming, 8.4, passes_s=passes, at_m=coming.distance_to_y(ZEBRA_Y[1])))
    return journeys


def bicycle_journey(rng: np.random.Generator, index: int) -> Journey:
    """Close to the kerb, alternately coming and going."""
    speed, passes = float(rng.uniform(4.0, 4.8)), float(rng.uniform(3.0, 12.0))
    if index % 2:
        route = Route.through([(2.75, -6), (2.75, 66.5), (16, 66.5)], rounding_m=3.0)
    else:
        route = Route.through([(-16, 70.5), (-2.75, 70.5), (-2.75, -6)], rounding_m=3.0)
    return _steady(route, speed, passes_s=passes, at_m=route.distance_to_y(ZEBRA_Y[0]))


def person_journey(rng: np.random.Generator, index: int) -> Journey:
    """By index: across to the right, along the right or left pavement, across to the left, standing."""
    speed = float(rng.uniform(1.15, 1.5))
    near, far = float(rng.uniform(4.7, 6.4)), float(rng.uniform(-7.4, -6.3))
    across_y = float(rng.uniform(13.6, 16.0))
    kind = index % 6
    if kind in {0, 3}:
        corners = [(far, 3.0), (far, across_y), (near, across_y), (near, -3.0)]
        route = Route.through(corners[:: 1 if kind == 0 else -1], rounding_m=1.5)
        passes = 17.3 + float(rng.uniform(0, 3.6)) + CYCLE_S * int(rng.integers(0, 2))
        return _steady(route, speed, passes_s=passes, at_m=route.distance_to_x(-3.5 if kind == 0 else 3.5))
    if kind == 4:
        place = [(-5.9, 21.0), (6.5, 9.0), (-6.2, 34.0), (5.0, 20.5), (6.3, 31.0)][index // 6 % 5]
        return _standing(*place, (float(rng.uniform(-1, 1)), -1.0))
    side = near if kind in {1, 5} else far
    end = 15.0 if side > 0 else -16.0
    corners = [(side, -3.0), (side, 64.0), (end, 64.5)]
    away = bool(rng.random() < 0.5)
    route = Route.through(corners if away else corners[::-1], rounding_m=1.5)
    middle = route.distance_to_y(float(rng.uniform(6.0, 22.0)))
    return _steady(route, speed, passes_s=float(rng.uniform(0, 60)), at_m=middle)

"""The cast of the street: who takes part, how they look, and where they are at a time."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from streamfuse.io.synthetic import bicycles, cars, coats, gait, people
from streamfuse.io.synthetic.arrays import Floats, Point3
from streamfuse.io.synthetic.cameras import CAMERA_XYZ
from streamfuse.io.synthetic.climate import Climate
from streamfuse.io.synthetic.lights import NO_SPOTS, car_spots
from streamfuse.io.synthetic.mesh import Mesh, Skin, join_skinned
from streamfuse.io.synthetic.raster import pose
from streamfuse.io.synthetic.spec import StreetSpec
from streamfuse.io.synthetic.traffic import Journey, bicycle_journey, car_journeys, person_journey

__all__ = ["Actor", "Appearance", "cast", "on_stage"]


_GEAR_M = 4.6
"""Distance that a bicycle covers per turn of the cranks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lamp:
    """Something bright that an actor carries; in the actor's own frame or in the world."""

    position: Point3
    direction: Point3
    """Horizontal, of unit length."""
    colour: Point3
    """R, G, B of the flare it makes on the axis."""

    def moved(self, place: Point3) -> Lamp:
        """The lamp of an actor who stands at x, y and heading, in the world."""
        cos, sin = math.cos(place[2]), math.sin(place[2])
        (x, y, z), (dx, dy, _) = self.position, self.direction
        return Lamp(
            position=(place[0] + cos * x - sin * y, place[1] + sin * x + cos * y, z),
            direction=(cos * dx - sin * dy, sin * dx + cos * dy, 0.0),
            colour=self.colour,
        )


_FORWARDS, _BACKWARDS = (0.0, 1.0, 0.0), (0.0, -1.0, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Appearance:
    """An actor at one moment."""

    actor: Actor
    corners: Floats
    """Vx3, world."""
    normals: Floats
    place: Point3
    """x, y, heading."""
    distance_m: float
    """From the cameras, along the ground."""
    spots: Floats
    """The light it gives to others."""
    lamps: tuple[Lamp, ...]
    """As seen from outside, whether they light anything or not."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Actor(ABC):
    """Somebody or something that moves."""

    mesh: Mesh
    skin: Skin
    journey: Journey
    classes: tuple[str, ...]
    """Name of each part of the mesh."""
    footprint_m: tuple[float, float]
    """Half width and half length of what it covers of the ground."""
    climate: Climate
    lamps: tuple[Lamp, ...] = ()
    """What shines, in its own frame."""

    @abstractmethod
    def frames(self, t_s: float, distance_m: float) -> Floats:
        """Bones (Nx3x4) in the actor's own frame."""

    def spots(self, place: Point3) -> Floats:  # noqa: ARG002 - most give no light
        """Light it gives to others."""
        return NO_SPOTS

    def at(self, t_s: float) -> Appearance | None:
        """How it appears at a time, or None while it is not in the street."""
        travelled = self.journey.distance(t_s)
        if travelled is None:
            return None
        place = self.journey.route.at(travelled)
        if place[1] < -self.footprint_m[1]:
            return None  # behind the cameras
        mesh = self.mesh
        corners, normals = pose(mesh.corners, mesh.normals, mesh.bones, self.frames(t_s, travelled), place)
        return Appearance(
            actor=self,
            corners=corners,
            normals=normals,
            place=place,
            distance_m=math.hypot(place[0] - CAMERA_XYZ[0], place[1] - CAMERA_XYZ[1]),
            spots=self.spots(place),
            lamps=tuple(lamp.moved(place) for lamp in self.lamps),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Person(Actor):
    size: float
    stands: bool

    def frames(self, t_s: float, distance_m: float) -> Floats:
        if self.stands:
            return gait.standing(t_s, self.size)
        return gait.walking(distance_m, self.size)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Cyclist(Actor):
    size: float

    def frames(self, t_s: float, distance_m: float) -> Floats:  # noqa: ARG002 - only who stands needs the time
        turns = distance_m / _GEAR_M
        return np.concatenate([gait.riding(turns, self.size), bicycles.bicycle_frames(distance_m, turns)])


@dataclass(frozen=True, kw_only=True, eq=False)
class _Car(Actor):
    def frames(self, t_s: float, distance_m: float) -> Floats:  # noqa: ARG002 - only who stands needs the time
        route = self.journey.route
        steer = route.at(distance_m + 1.3)[2] - route.at(distance_m - 1.3)[2]
        return cars.car_frames(distance_m, steer)

    def spots(self, place: Point3) -> Floats:
        return car_spots(*place, self.climate) if self.lamps else NO_SPOTS


def cast(spec: StreetSpec, climate: Climate) -> tuple[Actor, ...]:
    """Everybody of a street; each has a random stream of its own, so that counts do not disturb looks."""
    return (
        *(_person(np.random.default_rng((spec.seed, 1, i)), i, climate) for i in range(spec.people)),
        *(_cyclist(np.random.default_rng((spec.seed, 2, i)), i, climate) for i in range(spec.cyclists)),
        *_cars(spec, climate),
    )


def on_stage(actors: tuple[Actor, ...], t_s: float) -> list[Appearance]:
    """Those who are in the street at a time, the farthest first."""
    present = [appearance for actor in actors if (appearance := actor.at(t_s)) is not None]
    return sorted(present, key=lambda appearance: -appearance.distance_m)


def _person(rng: np.random.Generator, index: int, climate: Climate) -> Actor:
    journey = person_journey(rng, index)
    return _Person(
        mesh=people.body(rng),
        skin=people.clothes(rng, climate),
        journey=journey,
        classes=("person",),
        footprint_m=(0.26, 0.26),
        climate=climate,
        size=float(rng.uniform(0.9, 1.07)),
        stands=not journey.moves,
    )


def _cyclist(rng: np.random.Generator, index: int, climate: Climate) -> Actor:
    rider = people.body(rng, luggage=False), people.clothes(rng, climate)
    machine = bicycles.bicycle(first_bone=gait.BONES, part=1), bicycles.lacquer(rng, climate)
    mesh, skin = join_skinned(rider, machine)
    power = climate.lamps
    front = Lamp(
        position=(0, 0.52, 0.88), direction=_FORWARDS, colour=(2.5 * power, 2.5 * power, 2.4 * power)
    )
    rear = Lamp(position=(0, -0.66, 0.66), direction=_BACKWARDS, colour=(0.5 * power, 0.02, 0.02))
    return _Cyclist(
        mesh=mesh,
        skin=skin,
        journey=bicycle_journey(rng, index),
        classes=("person", "bicycle"),
        footprint_m=(0.25, 0.85),
        climate=climate,
        lamps=(front, rear) if climate.lit else (),
        size=1.0,
    )


def _cars(spec: StreetSpec, climate: Climate) -> list[Actor]:
    fleet: list[Actor] = []
    for index, journey in enumerate(car_journeys(np.random.default_rng((spec.seed, 3)), spec.cars)):
        rng = np.random.default_rng((spec.seed, 3, index))
        shape, driven = cars.car_shape(rng), journey.moves
        fleet.append(
            _Car(
                mesh=cars.car(shape),
                skin=coats.coat(rng, shape, climate, driven=driven),
                journey=journey,
                classes=("car",),
                footprint_m=(0.95, 2.2),
                climate=climate,
                lamps=_car_lamps(shape, climate) if driven and climate.lit else (),
            )
        )
    return fleet


def _car_lamps(shape: cars.CarShape, climate: Climate) -> tuple[Lamp, ...]:
    power = climate.lamps
    white, red = (26.0 * power, 25.0 * power, 22.0 * power), (1.6 * power, 0.06 * power, 0.04 * power)
    rear, front = shape.top[0][0], shape.top[-1][0]
    return tuple(
        Lamp(position=(x, y, z), direction=direction, colour=colour)
        for y, z, direction, colour in ((front, 0.67, _FORWARDS, white), (rear, 0.8, _BACKWARDS, red))
        for x in (-0.68, 0.68)
    )

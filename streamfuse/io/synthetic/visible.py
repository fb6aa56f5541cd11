"""The visible camera: light on surfaces, headlights, shadows, smoke, lens and sensor."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from streamfuse.io.synthetic import effects, raster
from streamfuse.io.synthetic.actors import Appearance
from streamfuse.io.synthetic.arrays import Doubles, Floats, Point3, floats
from streamfuse.io.synthetic.backdrop import COARSE, Street3d
from streamfuse.io.synthetic.cameras import CAMERA_XYZ, Camera
from streamfuse.io.synthetic.kept import kept_backdrop
from streamfuse.io.synthetic.lights import NO_SPOTS, illuminate, reaching, shade
from streamfuse.io.synthetic.nature import LAMP_COLOUR, LAMP_HEADS, lamp_spots
from streamfuse.io.synthetic.noise import GRAIN_MARGIN, sensor_grain
from streamfuse.io.synthetic.smoke import Smoke

__all__ = ["VisibleCamera"]


_SUPERSAMPLING = 2
_SHADOWS = 14
"""So many of the nearest actors darken the ground; farther ones are too small for it to show."""
_EYE = np.array(CAMERA_XYZ, np.float32)


class VisibleCamera:
    """Renders what the visible camera sees of the actors at a time."""

    def __init__(self, street: Street3d, camera: Camera) -> None:
        climate = street.climate
        self._street, self._camera, self._climate = street, camera, climate
        self._still = still = kept_backdrop(street, camera, supersampling=_SUPERSAMPLING)
        self._image, self._depth = np.empty_like(still.radiance), np.empty_like(still.inverse_depth)
        self._space = raster.Workspace.for_image(camera.size_wh, _SUPERSAMPLING)
        self._grain = sensor_grain(np.random.default_rng((street.seed, 6)), camera.size_wh, 3, blur_px=0.6)
        self._lamps = lamp_spots(climate) if climate.lit else NO_SPOTS
        self._sky = floats([climate.ambient, climate.zenith, climate.horizon])
        self._sun = floats([climate.sun_towards, climate.sun])
        self._to_ground: Doubles = np.asarray(np.linalg.inv(camera.matrix[:, [0, 1, 3]]), np.float64)
        self._smoke = Smoke(street.seed, camera.size_wh, climate) if climate.smoke else None
        for head in LAMP_HEADS:
            self._flare(still.radiance, still.inverse_depth, head, _times(1.6 * climate.lamps, LAMP_COLOUR))

    def render(self, present: list[Appearance], t_s: float, token: int) -> NDArray[np.uint8]:
        """RGB HxWx3 of the actors present; ``token`` picks the noise of this frame."""
        image, depth = self._image, self._depth
        np.copyto(image, self._still.radiance)
        np.copyto(depth, self._still.inverse_depth)
        moving = np.concatenate([NO_SPOTS, *(actor.spots for actor in present)])
        self._light_backdrop(image, moving)
        spots = np.concatenate([self._lamps, moving])
        for appearance in present[-_SHADOWS:]:
            self._shade_ground(image, depth, appearance)
        for appearance in present:
            self._draw(image, depth, appearance, spots)
        for appearance in present:
            self._dazzle(image, depth, appearance)
        if self._smoke:
            self._smoke.draw(image, depth, t_s)
        return self._develop(image, token)

    def _light_backdrop(self, image: Floats, moving: Floats) -> None:
        """Headlights on what stands still, worked out coarsely and only where they reach."""
        if not len(moving):
            return
        width, height = self._still.coarse_wh
        light = illuminate(self._still.coarse_points, self._still.coarse_normals, moving)
        light = light.reshape(height, width, 3)
        bright = light.max(axis=2) > 1e-3
        rows, columns = np.flatnonzero(bright.any(axis=1)), np.flatnonzero(bright.any(axis=0))
        if not len(rows):
            return
        top, left = max(rows[0] - 1, 0), max(columns[0] - 1, 0)
        lit = light[top : rows[-1] + 2, left : columns[-1] + 2]
        fine = np.asarray(cv2.resize(lit, None, fx=COARSE, fy=COARSE), np.float32)
        flat, albedo = image.reshape(len(image), -1), self._still.albedo.reshape(len(image), -1)
        effects.add_light(flat, albedo, fine.reshape(len(fine), -1), top * COARSE, left * COARSE)

    def _shade_ground(self, image: Floats, depth: Floats, appearance: Appearance) -> None:
        """An actor hides the sky from the ground below it, and throws a shadow in the sun."""
        half, (x, y, _) = appearance.actor.footprint_m, appearance.place
        reach = max(half) + 1.2
        corners = floats([(x + a, y + b, 0) for a in (-reach, reach) for b in (-reach, reach)])
        _, window = raster.project(corners, self._camera.matrix, self._camera.size_wh)
        effects.press_down(image, depth, window, self._to_ground, appearance.place, half, 0.62)
        sunny = self._sunny(appearance)
        if sunny > 0.1:
            self._throw_shadow(image, depth, appearance, sunny)

    def _throw_shadow(self, image: Floats, depth: Floats, appearance: Appearance, sunny: float) -> None:
        """The actor, squashed onto the ground away from the sun."""
        towards, sun = self._sun
        flat = appearance.corners - appearance.corners[:, 2:] * (towards / towards[2])
        flat[:, 2] = 0.004
        points, window = raster.project(flat, self._camera.matrix, self._camera.size_wh)
        raster.cover(points, appearance.actor.mesh.triangles, window, 1, self._space)
        dark = self._sky[0] / (self._sky[0] + sun * towards[2] * np.float32(sunny))
        effects.cast_shadow(image, depth, window, self._space.owner, self._space.inverse_depth, dark)

    def _sunny(self, appearance: Appearance) -> float:
        """How much of the sun reaches an actor, 0..1."""
        if not self._climate.sunlit:
            return 0.0
        x, y, _ = appearance.place
        return float(self._street.sun_share(floats([[x, y, 0.8]]))[0])

    def _draw(self, image: Floats, depth: Floats, appearance: Appearance, spots: Floats) -> None:
        mesh, skin = appearance.actor.mesh, appearance.actor.skin
        points, window = raster.project(appearance.corners, self._camera.matrix, self._camera.size_wh)
        if window[0] >= window[2] or window[1] >= window[3]:
            return
        corners, normals = appearance.corners, appearance.normals
        near = reaching(spots, *appearance.place[:2], max(appearance.actor.footprint_m))
        lit = illuminate(corners, normals, near)
        light = shade(corners, normals, lit, _EYE, self._sky, self._sun, self._sunny(appearance))
        raster.cover(points, mesh.triangles, window, _SUPERSAMPLING, self._space)
        painted = raster.Painted(triangles=mesh.triangles, uv=mesh.uv, light=light, paint=skin.paint)
        raster.paint(image, depth, window, painted, self._space)

    def _dazzle(self, image: Floats, depth: Floats, appearance: Appearance) -> None:
        """Lamps that point at the camera flare."""
        for lamp in appearance.lamps:
            to_eye = _EYE - floats(lamp.position)
            facing = float(to_eye @ floats(lamp.direction) / np.linalg.norm(to_eye))
            if facing > 0.2:
                self._flare(image, depth, lamp.position, _times(facing**4, lamp.colour))

    def _flare(self, image: Floats, depth: Floats, position: Point3, colour: Point3) -> None:
        x, y, far = self._camera.project(np.array([position]))[0].tolist()
        width, height = self._camera.size_wh
        if far < 0.7 or not (-20 < x < width + 20 and -20 < y < height + 20):
            return
        column, row = min(max(int(x), 0), width - 1), min(max(int(y), 0), height - 1)
        if depth[row, column] < 1.06 / far:  # else it is hidden
            core = min(max(36.0 / far, 0.9), 3.4) * width / 640.0
            effects.add_flare(image, x, y, colour, core)

    def _develop(self, image: Floats, token: int) -> NDArray[np.uint8]:
        width, height = self._camera.size_wh
        crop = token % GRAIN_MARGIN, token // GRAIN_MARGIN % GRAIN_MARGIN
        out = np.empty((height, 3 * width), np.uint8)
        rows = image.reshape(height, -1)
        effects.develop(rows, self._grain, crop, out, self._climate.exposure, self._climate.grain)
        return out.reshape(height, width, 3)


def _times(factor: float, colour: Point3) -> Point3:
    return factor * colour[0], factor * colour[1], factor * colour[2]

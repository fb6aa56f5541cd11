"""Cameras and poses out of a rig file, and into one."""

from __future__ import annotations

from streamfuse.config.rig import CameraConfig, Intrinsics, MadeBy, PoseConfig
from streamfuse.geometry.camera import Camera
from streamfuse.geometry.pose import Pose

__all__ = ["camera_config", "camera_of", "pose_config", "pose_of"]


def camera_of(config: CameraConfig) -> Camera | None:
    """The camera of a rig file; None where only its size is known."""
    found = config.intrinsics
    return None if found is None else Camera(size_wh=config.size_wh, **dict(found))


def camera_config(camera: Camera, *, made_by: MadeBy | None = None) -> CameraConfig:
    """A camera for a rig file."""
    intrinsics = Intrinsics(
        model=camera.model,
        fx=camera.fx,
        fy=camera.fy,
        cx=camera.cx,
        cy=camera.cy,
        distortion=camera.distortion,
    )
    return CameraConfig(size_wh=camera.size_wh, intrinsics=intrinsics, made_by=made_by)


def pose_of(config: PoseConfig | None) -> Pose | None:
    """The pose of a rig file."""
    if config is None:
        return None
    return Pose(rotation_vector=config.rotation_vector, translation_m=config.translation_m)


def pose_config(pose: Pose, *, made_by: MadeBy | None = None) -> PoseConfig:
    """A pose for a rig file."""
    return PoseConfig(rotation_vector=pose.rotation_vector, translation_m=pose.translation_m, made_by=made_by)

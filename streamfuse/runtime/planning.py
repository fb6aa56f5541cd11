"""From a checked configuration to a plan: looks at the sources, and checks that all fits together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from streamfuse.config.pipeline import PipelineConfig
from streamfuse.config.rig import Rig, load_rig
from streamfuse.errors import UsageError
from streamfuse.frames import StreamName
from streamfuse.geometry.field import Field
from streamfuse.runtime.plan import Plan
from streamfuse.runtime.rigging import check_distance, check_streams, registration_of
from streamfuse.runtime.survey import survey

__all__ = ["make_plan"]

SizeWH = tuple[int, int]


def make_plan(
    config: PipelineConfig,
    *,
    run_dir: Path,
    max_frames: int | None = None,
    say: Callable[[str], None] | None = None,
    wait_s: float | None = None,
) -> Plan:
    """Look at both sources and check that they, the rig and the sinks fit together.

    Args:
        config: The checked configuration.
        run_dir: Where the processes of the run will meet.
        max_frames: Fused pairs after which the run ends.
        say: Told of cameras that are absent; one that has to be waited for is an error without it.
        wait_s: How long one may be waited for; None: for ever.

    Raises:
        SourceError: a source cannot be opened.
        ConfigError: the rig file is wrong.
        UsageError: the sizes or the distance need another rig, or cannot be recorded; a camera cannot be
            made to wait.
    """
    rig = load_rig(config.rig)
    found = survey(config, rig, say=say, wait_s=wait_s)
    visible, infrared = found.infos[StreamName.VISIBLE], found.infos[StreamName.INFRARED]
    check_streams(rig, visible.spec.size_wh, infrared.spec.size_wh)
    plan = Plan(
        config=config,
        run_dir=str(run_dir),
        visible=visible,
        infrared=infrared,
        max_frames=max_frames,
        shown=_shown(rig, config, visible.spec.size_wh, infrared.spec.size_wh),
        absent=found.absent,
    )
    live = [stream for stream, info in found.infos.items() if info.live]
    if plan.every_frame and live:
        raise UsageError(f'mode: "every_frame" needs files, the {live[0]} source is live; use "realtime"')
    width, height = plan.fused_spec.size_wh
    if config.record is not None and (width % 2 or height % 2):
        raise UsageError(
            f"sources.visible: pictures of {width}x{height} cannot be recorded, video needs even sides; "
            f"crop them to {width // 2 * 2}x{height // 2 * 2} or leave out `record`"
        )
    return plan


def _shown(rig: Rig, config: PipelineConfig, visible_wh: SizeWH, infrared_wh: SizeWH) -> Field | None:
    """The part of the visible image to show.

    Raises:
        UsageError: the rig does not know the distance, or both cameras have nothing in common.
    """
    wanted = config.registration
    check_distance(rig, wanted)
    if rig.is_identity or not wanted.crop:
        return None
    registration = registration_of(rig, wanted, visible_size_wh=visible_wh, infrared_size_wh=infrared_wh)
    return registration.field_xywh

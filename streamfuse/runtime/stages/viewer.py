"""View: shows the fused stream on a web page."""

from __future__ import annotations

from contextlib import closing

from streamfuse.clock import NS_PER_MS
from streamfuse.config.fields import split_host_port
from streamfuse.core.convert import image_to_rgb
from streamfuse.core.stats import RateMeter
from streamfuse.frames import FusedFrame
from streamfuse.io.overlay import draw_overlay, encode_jpeg
from streamfuse.io.viewer import WebViewer
from streamfuse.runtime.context import Context
from streamfuse.runtime.stages.sink import consume

__all__ = ["run"]

_JPEG_QUALITY = 80


def run(context: Context) -> None:
    """Serve the page until the stream ends."""
    viewer_config = context.plan.config.viewer
    assert viewer_config is not None  # the plan starts a viewer only where one is configured
    assert viewer_config.web is not None
    host, port = split_host_port(viewer_config.web)
    rate = RateMeter()
    with closing(WebViewer(host, port)) as viewer:
        viewer.start()

        def show(frame: FusedFrame) -> bool:
            now_ns = context.clock.now_ns()
            rate.tick(now_ns)
            rgb = draw_overlay(image_to_rgb(frame.image), frame.detections)
            viewer.show(
                encode_jpeg(rgb, _JPEG_QUALITY),
                {
                    "pipeline": context.plan.config.name,
                    "pair_id": frame.pair_id,
                    "state": frame.state.value,
                    "skew_ms": frame.skew_ms,
                    "infrared_age_ms": frame.infrared_age_ms,
                    "fps": round(rate.recent_fps(now_ns), 1),
                    "latency_ms": round(max(0, frame.fused_ns - frame.capture_ns) / NS_PER_MS, 1),
                    "detections": len(frame.detections),
                },
            )

            return True

        consume(context, show)

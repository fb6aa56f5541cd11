"""View: shows the fused stream on a web page."""

from __future__ import annotations

from streamfuse.frames import FusedFrame
from streamfuse.io.viewer.server import WebViewer
from streamfuse.io.viewer.settings import ViewerSettings
from streamfuse.runtime.context import Context
from streamfuse.runtime.stages.sink import consume

__all__ = ["run"]


def run(context: Context) -> None:
    """Serve the page until the stream ends."""
    with WebViewer(_settings(context), clock=context.clock) as viewer:
        viewer.start()

        def show(frame: FusedFrame) -> bool:
            viewer.show(frame)
            return True

        consume(context, show, on_turn=viewer.check)


def _settings(context: Context) -> ViewerSettings:
    config = context.plan.config
    viewer, record = config.viewer, config.record
    assert viewer is not None  # the plan starts a viewer only where one is configured
    assert viewer.address is not None
    host, port = viewer.address
    return ViewerSettings(
        host=host,
        port=port,
        pipeline=config.name,
        token=viewer.token,
        certificate=viewer.tls.certificate if viewer.tls else None,
        key=viewer.tls.key if viewer.tls else None,
        origins=viewer.origins,
        quality=viewer.quality,
        max_fps=viewer.max_fps,
        recordings=record.dir if record else None,
        status_file=context.run_dir.path / "status.json",
    )

"""One run from beginning to end: shared memory up, workers up, wait, down again, the summaries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from streamfuse.clock import SystemClock
from streamfuse.config.outputs import JsonlSink
from streamfuse.config.pipeline import PipelineConfig
from streamfuse.config.several import check_together
from streamfuse.errors import StreamfuseError
from streamfuse.io.files import missing, remove_empty
from streamfuse.io.signals import caught_signals
from streamfuse.io.transport.rundir import RunDir
from streamfuse.runtime.loop import OnMessage, OnStatus, RunLoop, RunOptions, RunResult
from streamfuse.runtime.message import Message
from streamfuse.runtime.monitor import Monitor
from streamfuse.runtime.pipeline import Pipeline, open_pipeline
from streamfuse.runtime.service import Service
from streamfuse.runtime.status import Status

__all__ = ["RunOptions", "RunResult", "run_pipelines"]


def run_pipelines(
    configs: Sequence[PipelineConfig], options: RunOptions, *, on_status: OnStatus, on_message: OnMessage
) -> RunResult:
    """Run pipelines on one engine until their sources end, the options say so, or the user interrupts.

    Args:
        configs: the checked configurations; with different names.
        options: when to stop.
        on_status: called twice a second with the state of the moment, by pipeline.
        on_message: called when something happens that a person should know.

    Raises:
        StreamfuseError: the run could not begin; nothing is left behind.
    """
    check_together(configs)
    new, began = missing([path for config in configs for path in _outputs(config)]), False
    try:
        result = _run_workers(configs, options, on_status=on_status, on_message=on_message)
        began = result.began
    finally:
        if not began:
            remove_empty(new)
    return result


def _outputs(config: PipelineConfig) -> list[Path]:
    """Files and folders that a run makes before it knows whether it can begin."""
    files = [sink.path for sink in config.publish if isinstance(sink, JsonlSink)]
    return files if config.record is None else [config.record.dir, *files]


def _run_workers(
    configs: Sequence[PipelineConfig], options: RunOptions, *, on_status: OnStatus, on_message: OnMessage
) -> RunResult:
    """As :func:`run_pipelines`, which tidies up after it."""
    for left in RunDir.sweep():
        on_message(Message(text=f"removed what a crashed run left in shared memory: {left}"))
    with ExitStack() as stack:
        pipelines = [
            _opened(config, options, stack, is_alone=len(configs) == 1, say=on_message) for config in configs
        ]
        clock = SystemClock()
        monitors = {
            pipeline.name: stack.enter_context(Monitor(pipeline.plan, clock, say=on_message))
            for pipeline in pipelines
        }
        service = stack.enter_context(Service(clock))

        def show(statuses: Mapping[str, Status]) -> None:
            for name, status in statuses.items():
                monitors[name].show(status)
            service.show(statuses)
            on_status(statuses)

        run = RunLoop(pipelines, options, clock=clock, show=show, service=service, say=on_message)
        with caught_signals(hangups=options.reload is not None) as signals:
            return run.to_its_end(signals)


def _opened(
    config: PipelineConfig, options: RunOptions, stack: ExitStack, *, is_alone: bool, say: OnMessage
) -> Pipeline:
    """A pipeline with its memory; what keeps it from running is told with its name where there are others."""
    try:
        return open_pipeline(
            config,
            stack,
            prefix="" if is_alone else f"{config.name}/",
            max_frames=options.max_frames,
            wait_s=options.duration_s,
            say=say,
        )
    except StreamfuseError as error:
        if is_alone:
            raise
        raise type(error)(f"{config.name}: {error}") from error

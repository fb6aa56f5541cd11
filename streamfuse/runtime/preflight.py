"""``streamfuse check``: everything a run needs, looked at one by one, without running."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from streamfuse.config.fields import split_host_port
from streamfuse.config.outputs import JsonlSink, MqttSink, PublishSink, Record, WebhookSink, ZeromqSink
from streamfuse.config.pipeline import PipelineConfig
from streamfuse.config.rig import load_rig
from streamfuse.engine.fusion import FusionEngine
from streamfuse.errors import OutputError, StreamfuseError
from streamfuse.frames import StreamName
from streamfuse.io.files import check_writable
from streamfuse.io.publish.publishers import check_publisher, open_publisher
from streamfuse.io.transport.segment import preflight
from streamfuse.io.video.encoders import pick_encoder
from streamfuse.runtime.plan import Plan, summary_of
from streamfuse.runtime.planning import make_plan
from streamfuse.runtime.rigging import describe_rig
from streamfuse.runtime.stages.looking import open_looking

__all__ = ["Finding", "check_pipeline"]

_ANSWER_S: Final = 2.0
"""How long a server may take to accept a connection."""

_SHM = Path("/dev/shm")  # noqa: S108 - shared memory, looked at and not written


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The result of one check."""

    what: str
    ok: bool
    text: str
    exit_code: int = 0
    """What `streamfuse run` would exit with for this reason."""


def check_pipeline(config: PipelineConfig) -> list[Finding]:
    """Try each thing the run would need; one finding each, in the order in which a run needs them."""
    findings = []
    plan: Plan | None = None
    try:
        plan = make_plan(config, run_dir=_SHM)
    except StreamfuseError as error:
        findings.append(_failure("sources", error))
    for what, look in _checks(config, plan):
        try:
            findings.append(Finding(what=what, ok=True, text=look()))
        except StreamfuseError as error:
            findings.append(_failure(what, error))
    return findings


def _failure(what: str, error: StreamfuseError) -> Finding:
    return Finding(what=what, ok=False, text=str(error), exit_code=error.exit_code)


def _checks(config: PipelineConfig, plan: Plan | None) -> Iterator[tuple[str, Callable[[], str]]]:
    if plan is not None:
        for stream in StreamName:
            yield stream, partial(_describe, plan, stream)
        yield "shared memory", lambda: _shared_memory(plan)
    yield "rig", lambda: describe_rig(config.rig, load_rig(config.rig), config.registration)
    yield "engine", lambda: _engine(config)
    if config.tasks is not None:
        yield "tasks", lambda: _tasks(config)
    if config.viewer is not None and config.viewer.web is not None:
        yield "viewer", partial(_free_port, config.viewer.web)
    if config.metrics is not None and config.metrics.prometheus is not None:
        yield "metrics", partial(_free_port, config.metrics.prometheus)
    record = config.record
    if record is not None:
        yield "record", lambda: _record(record)
    for sink in config.publish:
        yield f"publish {sink.kind}", partial(_publish, sink)


def _describe(plan: Plan, stream: StreamName) -> str:
    if stream in plan.absent:
        return plan.without(stream)
    info = plan.source(stream)
    frames = f", {info.frame_count} frames" if info.frame_count is not None else ""
    return f"{summary_of(info)}{frames}"


def _shared_memory(plan: Plan) -> str:
    preflight(_SHM, plan.shared_nbytes)
    free = shutil.disk_usage(_SHM).free
    return f"{plan.shared_nbytes / 1e6:.1f} MB needed, {free / 1e6:.0f} MB free in {_SHM}"


def _engine(config: PipelineConfig) -> str:
    fusion = config.fusion
    with FusionEngine.load(
        fusion.model, weights=fusion.weights, backend=fusion.backend, precision=fusion.precision
    ) as engine:
        return f"{fusion.model} by {engine.backend} in {engine.precision} on {engine.device} ({engine.why})"


def _tasks(config: PipelineConfig) -> str:
    looking = open_looking(config)
    assert looking is not None  # asked only where something is looked for
    looking.close()
    count = len(config.events) + (0 if config.tasks is None else len(config.tasks.rules))
    rules = f", {count} rules" if count else ""
    return f"{len(looking.class_names)} kinds of objects{rules}"


def _free_port(address: str) -> str:
    host, port = split_host_port(address)
    try:
        with socket.create_server((host, port)):
            return f"{address} is free"
    except OSError as error:
        raise OutputError(
            f"{address}: {error.strerror}; stop what uses it (this pipeline itself, if it runs) "
            "or choose another port"
        ) from error


def _record(record: Record) -> str:
    there = _writable_parent(record.dir)
    encoders = [pick_encoder(record.codec).name]
    if record.raw_infrared:
        encoders.append(pick_encoder("ffv1").name)
    free = shutil.disk_usage(there).free
    return f"{record.dir}: {' and '.join(encoders)}, {free / 1e9:.1f} GB free"


def _publish(sink: PublishSink) -> str:
    check_publisher(sink)
    match sink:
        case JsonlSink():
            return str(sink.path)
        case ZeromqSink():
            open_publisher(sink, pipeline="check").close()
            return f"{sink.bind} is free"
        case MqttSink():
            return _answers(*split_host_port(sink.broker))
        case WebhookSink():
            parts = urlsplit(sink.url)
            return _answers(parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))


def _answers(host: str, port: int) -> str:
    """Whether somebody is there now. Nobody is no failure: the run waits for him."""
    try:
        with socket.create_connection((host, port), timeout=_ANSWER_S):
            return f"{host}:{port} answers"
    except OSError as error:
        return f"{host}:{port} does not answer now ({error}); the run tries again and again"


def _writable_parent(folder: Path) -> Path:
    """The nearest folder that exists, where ``folder`` can be made: a check leaves nothing behind."""
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    check_writable(there)
    return there

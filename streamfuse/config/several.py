"""Several pipeline files for one run: whose overrides are whose, and whether they can share an engine."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from pathlib import Path
from typing import Final

from streamfuse.config.fields import are_one_address, split_host_port
from streamfuse.config.outputs import JsonlSink, ZeromqSink
from streamfuse.config.overrides import with_overrides
from streamfuse.config.pipeline import PipelineConfig, load_pipeline
from streamfuse.config.yamldoc import load_yaml
from streamfuse.errors import ConfigError, UsageError

__all__ = ["PipelineFile", "check_summary_place", "check_together", "pipeline_files"]

_ADDRESSED: Final = re.compile(r"(?P<name>[\w.-]+):[^=:]+=.*", re.DOTALL)
_SHARED: Final = ("model", "weights", "backend", "precision")
"""What the pipelines of one engine must agree on, in their ``fusion`` blocks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineFile:
    """A pipeline file, with what the command line says about it."""

    path: Path
    name: str
    """Of the pipeline, with all overrides."""
    address: str
    """What overrides for it alone begin with: its name without them."""
    overrides: tuple[str, ...]

    def load(self) -> PipelineConfig:
        """Read and check the file, as it is now.

        Raises:
            ConfigError: all its mistakes.
        """
        return load_pipeline(self.path, self.overrides, name=self.address)


def pipeline_files(paths: Sequence[Path], overrides: Sequence[str] = ()) -> tuple[PipelineFile, ...]:
    """Give each file its overrides: ``key=value`` is for all of them, ``name:key=value`` for one.

    Raises:
        ConfigError: an override is for a pipeline that is not there, or two are called the same.
    """
    general = [override for override in overrides if _ADDRESSED.fullmatch(override) is None]
    files: dict[str, PipelineFile] = {}
    for path in paths:
        address = _name_of(path, general)
        own = tuple(_own(overrides, address))
        name = _name_of(path, own, address=address)
        if name in files:
            raise ConfigError(
                f'{path}: the pipeline is called "{name}", as that of {files[name].path} is; '
                "pipelines that run together need different names (`name: …`)"
            )
        files[name] = PipelineFile(path=path, name=name, address=address, overrides=own)
    addresses = [file.address for file in files.values()]
    for override in overrides:
        found = _ADDRESSED.fullmatch(override)
        if found is not None and found["name"] not in addresses:
            raise ConfigError(
                f'--set {override}: no pipeline of this run is called "{found["name"]}"; '
                f"expected {' or '.join(addresses)}"
            )
    return tuple(files.values())


def check_together(configs: Sequence[PipelineConfig]) -> None:
    """Refuse pipelines that cannot run together.

    Raises:
        ConfigError: they want different networks, or the same address or file; one line each.
    """
    problems = [
        problem
        for one, other in combinations(configs, 2)
        for problem in (*_networks_apart(one, other), *_places_shared(one, other))
    ]
    if problems:
        raise ConfigError(problems)


def check_summary_place(
    summary: Path, files: Sequence[PipelineFile], configs: Sequence[PipelineConfig]
) -> None:
    """Refuse to write a summary over a file that the run reads or writes.

    Args:
        summary: the file to be written at the end.
        files: of the run.
        configs: what is in each of them.

    Raises:
        UsageError: it is one of theirs.
    """
    for file, config in zip(files, configs, strict=True):
        for what, path in (("pipeline file", file.path), *_files(config)):
            if path.resolve() == summary.resolve():
                raise UsageError(
                    f"--summary {summary}: this is the {what} of {file.name}; "
                    "give the summary a file of its own"
                )


def _files(config: PipelineConfig) -> Iterator[tuple[str, Path]]:
    """Files that a pipeline names, with their keys; the address of a camera is none that there is."""
    if config.rig != "identity":
        yield "rig", Path(config.rig)
    yield "sources.visible.uri", Path(config.sources.visible.uri)
    yield "sources.infrared.uri", Path(config.sources.infrared.uri)
    yield from ((key, place) for key, place in _places(config) if isinstance(place, Path))


def _name_of(path: Path, overrides: Sequence[str], *, address: str | None = None) -> str:
    """As the file says, even if the rest of it is wrong: that is told later."""
    data = with_overrides(load_yaml(path), overrides, name=address).data
    name = data.get("name") if isinstance(data, dict) else None
    return str(PipelineConfig.model_fields["name"].default if name is None else name)


def _own(overrides: Sequence[str], name: str) -> Iterator[str]:
    """The overrides of one pipeline, in their order."""
    for override in overrides:
        found = _ADDRESSED.fullmatch(override)
        if found is None or found["name"] == name:
            yield override


def _networks_apart(one: PipelineConfig, other: PipelineConfig) -> Iterator[str]:
    for key in _SHARED:
        mine, theirs = getattr(one.fusion, key), getattr(other.fusion, key)
        if mine != theirs:
            yield (
                f'pipelines that run together share one engine, and fusion.{key} is "{mine}" in {one.name} '
                f'and "{theirs}" in {other.name}; make them equal, as with `--set fusion.{key}={mine}`, '
                "or run them apart"
            )


def _places_shared(one: PipelineConfig, other: PipelineConfig) -> Iterator[str]:
    """Addresses and files that each of two pipelines wants for itself."""
    for (key, mine), (taken_by, theirs) in product(_places(one), _places(other)):
        if _is_same_place(mine, theirs):
            same = f"both {mine}" if mine == theirs else f"the same address ({mine} and {theirs})"
            yield (
                f"{key} of {one.name} and {taken_by} of {other.name} are {same}; "
                f"give one of them another, as with `--set {other.name}:{taken_by}=…`"
            )


def _places(config: PipelineConfig) -> Iterator[tuple[str, str | Path]]:
    """The keys of what a pipeline takes for itself: ``host:port`` or a file."""
    if config.viewer is not None and config.viewer.web is not None:
        yield "viewer.web", config.viewer.web
    if config.metrics is not None:
        yield "metrics.prometheus", config.metrics.prometheus
    for number, sink in enumerate(config.publish):
        if isinstance(sink, JsonlSink):
            yield f"publish.{number}.path", sink.path
        elif isinstance(sink, ZeromqSink):
            yield f"publish.{number}.bind", sink.bind.removeprefix("tcp://")


def _is_same_place(one: str | Path, other: str | Path) -> bool:
    """Whether two cannot have their places at once."""
    if isinstance(one, Path) or isinstance(other, Path):
        return one == other
    return are_one_address(split_host_port(one), split_host_port(other))

"""Several pipeline files for one run: whose overrides are whose, and whether they can share an engine."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Final

from streamfuse.config.overrides import with_overrides
from streamfuse.config.pipeline import PipelineConfig, load_pipeline
from streamfuse.config.yamldoc import load_yaml
from streamfuse.errors import ConfigError

__all__ = ["PipelineFile", "check_together", "pipeline_files"]

_ADDRESSED: Final = re.compile(r"(?P<name>[\w.-]+):(?P<override>[^=:]+=.*)", re.DOTALL)
_SHARED: Final = ("model", "weights", "backend", "precision")
"""What the pipelines of one engine must agree on, in their ``fusion`` blocks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineFile:
    """A pipeline file, with what the command line says about it."""

    path: Path
    name: str
    """Of the pipeline."""
    overrides: tuple[str, ...]

    def load(self) -> PipelineConfig:
        """Read and check the file, as it is now.

        Raises:
            ConfigError: all its mistakes.
        """
        return load_pipeline(self.path, self.overrides)


def pipeline_files(paths: Sequence[Path], overrides: Sequence[str] = ()) -> tuple[PipelineFile, ...]:
    """Give each file its overrides: ``key=value`` is for all of them, ``name:key=value`` for one.

    Raises:
        ConfigError: an override is for a pipeline that is not there, or two are called the same.
    """
    general = [override for override in overrides if _ADDRESSED.fullmatch(override) is None]
    names = [_name_of(path, general) for path in paths]
    files: dict[str, Path] = {}
    for name, path in zip(names, paths, strict=True):
        if name in files:
            raise ConfigError(
                f'{path}: the pipeline is called "{name}", as that of {files[name]} is; '
                "pipelines that run together need different names (`name: …`)"
            )
        files[name] = path
    for override in overrides:
        found = _ADDRESSED.fullmatch(override)
        if found is not None and found["name"] not in files:
            raise ConfigError(
                f'--set {override}: no pipeline of this run is called "{found["name"]}"; '
                f"expected {' or '.join(files)}"
            )
    return tuple(
        PipelineFile(path=path, name=name, overrides=tuple(_own(overrides, name)))
        for name, path in files.items()
    )


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


def _name_of(path: Path, overrides: Sequence[str]) -> str:
    """As the file says, even if the rest of it is wrong: that is told later."""
    data = with_overrides(load_yaml(path), overrides).data
    name = data.get("name") if isinstance(data, dict) else None
    return str(PipelineConfig.model_fields["name"].default if name is None else name)


def _own(overrides: Sequence[str], name: str) -> Iterator[str]:
    """The overrides of one pipeline, in their order."""
    for override in overrides:
        found = _ADDRESSED.fullmatch(override)
        if found is None:
            yield override
        elif found["name"] == name:
            yield found["override"]


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
    theirs = dict(_places(other))
    for place, key in _places(one):
        if place.endswith(":0"):  # a port that is free
            continue
        if (taken_by := theirs.get(place)) is not None:
            yield (
                f"{key} of {one.name} and {taken_by} of {other.name} are both {place}; "
                f"give one of them another, as with `--set {other.name}:{taken_by}=…`"
            )


def _places(config: PipelineConfig) -> Iterator[tuple[str, str]]:
    """What a pipeline takes for itself, with its key."""
    if config.viewer is not None and config.viewer.web is not None:
        yield config.viewer.web, "viewer.web"
    if config.metrics is not None and config.metrics.prometheus is not None:
        yield config.metrics.prometheus, "metrics.prometheus"
    for number, sink in enumerate(config.publish):
        for key in ("path", "bind"):
            if (place := getattr(sink, key, None)) is not None:
                yield str(place), f"publish.{number}.{key}"

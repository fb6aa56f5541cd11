"""Trains a detector on what the two cameras and their fusion show: one network for all three.

The scenes are rendered once, to pictures that a person can look at; Ultralytics then learns from them. A run
that was stopped goes on: with its pictures if they were not all written, else with its last whole epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from streamfuse.config.training_detector import DetectorConfig
from streamfuse.engine.fusion import FusionEngine
from streamfuse.engine.store import WeightsFile
from streamfuse.engine.tasks.networks import load_task_network
from streamfuse.engine.tasks.saved import save_task_network
from streamfuse.engine.tasks.training import EpochReport, YoloTraining, train_yolo
from streamfuse.errors import UsageError
from streamfuse.io.files import check_writable, write_text
from streamfuse.jobs.detecting.dataset import write_dataset
from streamfuse.jobs.detecting.folders import folder_scenes
from streamfuse.jobs.detecting.guessing import open_guesses
from streamfuse.jobs.detecting.rendering import Renderer
from streamfuse.jobs.detecting.scene import Scene
from streamfuse.jobs.detecting.streets import street_scenes

__all__ = ["train_detector"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Watcher:
    """Whom to tell what; both are called in the thread that trains."""

    on_scene: Callable[[int], None] = lambda _: None
    """Scenes rendered so far."""
    on_epoch: Callable[[EpochReport], None] = lambda _: None


def train_detector(
    config: DetectorConfig,
    *,
    out_dir: Path,
    made_by: str = "streamfuse train detector",
    watcher: Watcher | None = None,
) -> WeightsFile:
    """Train, or go on where a run in ``out_dir`` stopped.

    ``out_dir`` gets a folder ``data`` with the pictures and labels, a folder ``run`` with the losses of each
    epoch and, at the end, ``NAME.safetensors`` with its card.

    Args:
        config: the run.
        out_dir: made when missing.
        made_by: the command, for the card.
        watcher: whom to tell how far it is.

    Raises:
        SourceError: scenes or labels cannot be read.
        OutputError: ``out_dir`` cannot be written.
        UsageError: ``out_dir`` holds a run of another configuration, or nobody knows the architecture.
        WeightsError: weights to begin with, or to guess with, cannot be used.
        MachineError: the device is missing.
    """
    watcher = watcher or Watcher()
    check_writable(out_dir)
    _same_run(config, out_dir / "config.json")
    described = out_dir / "data" / "dataset.yaml"
    if not described.exists():
        write_dataset(
            _scenes(config),
            out_dir / "data",
            classes=config.classes,
            side_px=config.side_px,
            on_scene=watcher.on_scene,
        )
    training = YoloTraining(
        dataset=described,
        architecture=config.architecture,
        learning=config.learning,
        start=config.start_from,
        side_px=config.side_px,
        precision=config.precision,
        device=config.device,
        threads=config.threads,
        loaders=config.loaders,
    )
    last = train_yolo(training, out_dir, on_epoch=watcher.on_epoch)
    return _written(config, last, out_dir, made_by)


def _same_run(config: DetectorConfig, path: Path) -> None:
    """Whoever goes on must want the same."""
    wanted = config.model_dump_json(indent=2) + "\n"
    if path.exists() and path.read_text(encoding="utf-8") != wanted:
        raise UsageError(
            f"{path.parent}: holds a run of another configuration (see {path.name}); take another folder"
        )
    write_text(path, wanted)


def _scenes(config: DetectorConfig) -> Iterator[Scene]:
    """All scenes, one after the other."""
    with FusionEngine.load(weights=config.fusion) as engine:
        renderer = Renderer(engine, config.renderings)
        for folder in config.scenes:
            guess = None if folder.guesses is None else open_guesses(folder.guesses, config.classes)
            yield from folder_scenes(folder, config.classes, renderer, guess)
        if config.streets is not None:
            yield from street_scenes(config.streets, config.classes, renderer)


def _written(config: DetectorConfig, last: Path, out_dir: Path, made_by: str) -> WeightsFile:
    """The weights in their final form, with a card."""
    kind = "segment" if config.architecture.endswith("-seg") else "detect"
    network = load_task_network(str(last), kind=kind, where="the trained network")
    learning = config.learning
    start = "fresh weights" if config.start_from is None else f"weights {config.start_from.stem}"
    source = (
        f"{start}, seed {learning.seed}; {learning.epochs} epochs in batches of {learning.batch}, "
        f"views of {config.side_px} px"
    )
    card = {
        "architecture": config.architecture,
        "data": _data(config),
        "licence": config.licence,
        "made_by": made_by,
        "source": source,
    }
    path = out_dir / f"{config.name}.safetensors"
    return save_task_network(network.module, network.names, path=path, card=card)


def _data(config: DetectorConfig) -> str:
    """What was trained on, for the card."""
    parts = []
    for folder in config.scenes:
        by = "labelled by people" if folder.guesses is None else f"labelled by {folder.guesses.weights.stem}"
        parts.append(f"{folder.title or folder.path.name} ({by})")
    if config.streets is not None:
        parts.append(f"{config.streets.seeds[1]} synthetic streets (exact)")
    return f"{', '.join(parts)}; each scene as {', '.join(config.renderings)}"

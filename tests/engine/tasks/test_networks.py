"""Task networks from files: our own, Ultralytics', and everything that is neither."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from streamfuse.engine import store
from streamfuse.engine.importing import import_detector, import_weights
from streamfuse.engine.store import card_path, user_dir
from streamfuse.engine.tasks.library import ultralytics
from streamfuse.engine.tasks.networks import load_task_network
from streamfuse.engine.tasks.saved import architecture_of, build_task_network, save_task_network
from streamfuse.errors import UsageError, WeightsError

NAMES = {0: "person", 1: "bicycle", 2: "car"}
CARD = {"data": "none", "licence": "MIT", "made_by": "a test", "source": "nothing"}
WHERE = "tasks.detect.weights"


@pytest.fixture(scope="module")
def networks() -> dict[str, nn.Module]:
    """Networks with random weights and statistics, by architecture."""
    torch.manual_seed(1)
    made = {name: build_task_network(name, NAMES) for name in ("yolov8n", "yolov8n-seg")}
    for network in made.values():
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.running_mean = torch.randn(layer.num_features) / 10
                layer.running_var = torch.rand(layer.num_features) + 0.5
    return made


@pytest.fixture(scope="module")
def pickles(networks: dict[str, nn.Module], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same as files of Ultralytics."""
    folder = tmp_path_factory.mktemp("pickles")
    for name, network in networks.items():
        torch.save({"model": network, "train_args": {"task": network.task}}, folder / f"{name}.pt")
    return {name: folder / f"{name}.pt" for name in networks}


@pytest.fixture(scope="module")
def saved(networks: dict[str, nn.Module], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same as files of our own."""
    folder = tmp_path_factory.mktemp("saved")
    for name, network in networks.items():
        card = CARD | {"architecture": name}
        save_task_network(network, NAMES, path=folder / f"{name}.safetensors", card=card)
    return {name: folder / f"{name}.safetensors" for name in networks}


def answer(network: nn.Module) -> torch.Tensor:
    """What a network says of a picture that is always the same."""
    picture = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        said = network(picture)[0]
    found: torch.Tensor = said[0] if isinstance(said, tuple) else said
    return found


@pytest.mark.parametrize("name", ["yolov8n", "yolov8n-seg"])
def test_a_saved_network_comes_back(
    networks: dict[str, nn.Module], saved: dict[str, Path], name: str
) -> None:
    """Ready to run, with its names, known by its file; in half precision it answers nearly the same."""
    found = load_task_network(str(saved[name]), kind="detect", where=WHERE)
    assert found.kind == ("segment" if name.endswith("-seg") else "detect")
    assert found.names == NAMES
    assert found.title == name
    assert found.sha256 == hashlib.sha256(saved[name].read_bytes()).hexdigest()
    assert not any(parameter.requires_grad for parameter in found.module.parameters())
    assert {tensor.dtype for tensor in found.module.parameters()} == {torch.float32}
    assert not found.module.training
    torch.testing.assert_close(answer(found.module), answer(networks[name]), rtol=0.02, atol=0.02)
    assert saved[name].stat().st_size < 2.1 * sum(p.numel() for p in networks[name].parameters())


@pytest.mark.parametrize("name", ["yolov8n", "yolov8n-seg"])
def test_a_file_of_ultralytics_answers_as_it_does(
    networks: dict[str, nn.Module], pickles: dict[str, Path], name: str
) -> None:
    """A .pt file is read bit for bit."""
    found = load_task_network(str(pickles[name]), kind="detect", where=WHERE)
    assert (found.names, found.title) == (NAMES, f"{name}.pt")
    assert found.sha256 == hashlib.sha256(pickles[name].read_bytes()).hexdigest()
    assert torch.equal(answer(found.module), answer(networks[name]))


def test_what_ultralytics_itself_saves_is_read(tmp_path: Path) -> None:
    """The way its users make files; half precision there becomes single precision here."""
    path = tmp_path / "it's mine.PT"
    ultralytics().YOLO("yolov5n.yaml").save(path)
    found = load_task_network(str(path), kind="detect", where=WHERE)
    assert (found.kind, len(found.names)) == ("detect", 80)
    assert {tensor.dtype for tensor in found.module.parameters()} == {torch.float32}
    assert architecture_of(found.module) == "yolov5n"


def test_names_of_coco_mean_the_same_in_both(tmp_path: Path) -> None:
    """Class numbers 0, 1 and 2 of COCO are the person, bicycle and car of the shipped classes."""
    coco = ultralytics("utils").YAML.load(ultralytics("utils").ROOT / "cfg/datasets/coco.yaml")["names"]
    torch.save({"model": build_task_network("yolov8n", coco)}, tmp_path / "coco.pt")
    found = load_task_network(str(tmp_path / "coco.pt"), kind="detect", where=WHERE)
    assert {number: found.names[number] for number in range(3)} == NAMES
    assert len(found.names) == 80


def test_early_files_with_a_list_of_names_are_read(tmp_path: Path) -> None:
    """Names are numbered by their place."""
    network: Any = build_task_network("yolov8n", NAMES)
    network.names = list(NAMES.values())
    torch.save({"model": network}, tmp_path / "list.pt")
    assert load_task_network(str(tmp_path / "list.pt"), kind="detect", where=WHERE).names == NAMES


def test_a_detector_has_no_masks(saved: dict[str, Path], pickles: dict[str, Path]) -> None:
    """Weights with masks serve for boxes; a detector cannot segment, wherever it comes from."""
    for path in (saved["yolov8n"], pickles["yolov8n"]):
        with pytest.raises(
            WeightsError,
            match=rf"^tasks.segment.weights: {path}: made for the task detect, .* weights for segment$",
        ):
            load_task_network(str(path), kind="segment", where="tasks.segment.weights")
    assert load_task_network(str(saved["yolov8n-seg"]), kind="segment", where=WHERE).kind == "segment"


def test_default_is_the_shipped_detector(
    saved: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``default`` needs nothing of the user; a package without it says so."""
    folder = tmp_path / "shipped"
    folder.mkdir()
    monkeypatch.setattr(store, "shipped_dir", lambda: folder)
    with pytest.raises(
        WeightsError, match=r"^tasks.detect.weights: cannot read the weights .*detector.safeten"
    ):
        load_task_network("default", kind="detect", where=WHERE)
    for suffix in (".safetensors", ".json"):
        (folder / f"detector{suffix}").symlink_to(saved["yolov8n-seg"].with_suffix(suffix))
    assert load_task_network("default", kind="segment", where=WHERE).names == NAMES


def test_the_shipped_detector_says_what_it_finds() -> None:
    """It is in the package, whole, with masks, and knows the three classes."""
    found = load_task_network("default", kind="segment", where=WHERE)
    assert (found.kind, found.names, found.title) == ("segment", NAMES, "detector")


def test_a_name_is_looked_up_in_the_store(pickles: dict[str, Path]) -> None:
    """What was imported is found by its name; a slip names what was meant."""
    imported = import_weights(pickles["yolov8n-seg"], "mine-seg")
    assert imported.path.parent == user_dir()
    assert (imported.card.architecture, imported.card.classes) == ("yolov8n-seg", tuple(NAMES.values()))
    assert hashlib.sha256(pickles["yolov8n-seg"].read_bytes()).hexdigest() in imported.card.source
    assert load_task_network("mine-seg", kind="segment", where=WHERE).sha256 == imported.card.sha256
    with pytest.raises(WeightsError, match=r"^tasks.detect.weights: no .*did you mean 'mine-seg'\?; "):
        load_task_network("mine-sag", kind="segment", where=WHERE)


def test_fusion_weights_are_no_detector() -> None:
    """Weights of the shipped fusion networks are refused by what they are."""
    with pytest.raises(
        WeightsError, match=r"^--weights: .*grdb.safetensors is no detector: its card \('grdb'\)"
    ):
        load_task_network("grdb", kind="detect", where="--weights")


def test_missing_weights_are_not_searched_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that Ultralytics would download is a missing file here."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        WeightsError, match=r"^tasks.detect.weights: yolov8n.pt: no such file; nothing is downl"
    ):
        load_task_network("yolov8n.pt", kind="detect", where=WHERE)
    assert list(tmp_path.iterdir()) == []


def test_a_saved_file_that_was_changed_is_refused(saved: dict[str, Path], tmp_path: Path) -> None:
    """The card holds the checksum; without a card nothing is used."""
    path = tmp_path / "a.safetensors"
    path.write_bytes(saved["yolov8n"].read_bytes()[:-1])
    with pytest.raises(WeightsError, match=r"^tasks.detect.weights: cannot read the card"):
        load_task_network(str(path), kind="detect", where=WHERE)
    card_path(path).write_bytes(card_path(saved["yolov8n"]).read_bytes())
    with pytest.raises(WeightsError, match="is damaged or was exchanged"):
        load_task_network(str(path), kind="detect", where=WHERE)


def test_a_card_of_another_network_is_refused(saved: dict[str, Path], tmp_path: Path) -> None:
    """Names and architecture on the card must fit the file."""
    path = tmp_path / "a.safetensors"
    path.write_bytes(saved["yolov8n"].read_bytes())
    text = card_path(saved["yolov8n"]).read_text()
    card_path(path).write_text(text.replace('"yolov8n"', '"yolov8s"'))
    with pytest.raises(WeightsError, match="does not fit 'yolov8s'"):
        load_task_network(str(path), kind="detect", where=WHERE)
    card_path(path).write_text(text.replace('"architecture": "yolov8n"', '"architecture": "../yolov8n"'))
    with pytest.raises(WeightsError, match=r"'\.\./yolov8n' is no network for detection"):
        load_task_network(str(path), kind="detect", where=WHERE)


def test_only_what_can_be_read_again_is_saved(networks: dict[str, nn.Module], tmp_path: Path) -> None:
    """Another architecture, missing names and values that are no numbers leave no file behind."""
    path = tmp_path / "a.safetensors"
    card = CARD | {"architecture": "yolov8n"}
    with pytest.raises(UsageError, match="the network is no 'yolov8n' of 3 classes"):
        save_task_network(networks["yolov8n-seg"], NAMES, path=path, card=card)
    with pytest.raises(UsageError, match=r"numbered from 0 without a gap, got \[0, 2\]"):
        save_task_network(networks["yolov8n"], {0: "person", 2: "car"}, path=path, card=card)
    broken = build_task_network("yolov8n", NAMES)
    with torch.no_grad():
        next(broken.parameters())[0, 0, 0, 0] = 70_000.0  # finite here, not in half precision
    with pytest.raises(WeightsError, match="holds values that are no finite numbers"):
        save_task_network(broken, NAMES, path=path, card=card)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["resnet18", "yolov8n-cls", "../yolov8n", "yolov99n", "", "yolov8n.yaml"])
def test_only_networks_that_find_objects_can_be_built(name: str) -> None:
    """Anything else is refused with an example of what is meant."""
    with pytest.raises(UsageError, match=r"is no network for detection or segmentation; .*such as yolov8n"):
        build_task_network(name, NAMES)


def test_a_file_in_the_working_folder_is_not_taken_for_an_architecture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ultralytics would prefer it to its own."""
    monkeypatch.chdir(tmp_path)
    for name in ("yolov8.yaml", "yolov8n.yaml"):
        Path(name).write_text("nonsense")
    assert sum(p.numel() for p in build_task_network("yolov8n", NAMES).parameters()) == 3_011_433


@pytest.mark.parametrize("name", ["yolov10n", "yolo26n-seg", "yolov8n-p2"])
def test_an_architecture_knows_its_name(name: str) -> None:
    """What is built under a name can be saved under it."""
    assert architecture_of(build_task_network(name, NAMES)) == name


def test_layers_of_their_own_design_cannot_be_kept(tmp_path: Path) -> None:
    """An import says that such a file serves by its path; nothing is written."""
    network: Any = build_task_network("yolov8n", NAMES)
    network.model[0].conv = nn.Conv2d(3, 16, 5, stride=2, padding=2, bias=False)
    torch.save({"model": network}, tmp_path / "own.pt")
    with pytest.raises(WeightsError, match=r"own.pt has layers of its own design .* use it by its path$"):
        import_detector(tmp_path / "own.pt", "own-design")
    assert not (user_dir() / "own-design.safetensors").exists()
    assert load_task_network(str(tmp_path / "own.pt"), kind="detect", where=WHERE).kind == "detect"


def test_loading_leaves_the_libraries_and_the_random_numbers_alone(
    saved: dict[str, Path], pickles: dict[str, Path]
) -> None:
    """Threads of OpenCV and torch, OpenMP's setting, printing and random state stay."""

    def state() -> tuple[Any, ...]:
        numpy: Any = np.random.get_state()
        return (
            *(cv2.getNumThreads(), torch.get_num_threads(), os.environ.get("OMP_NUM_THREADS")),
            *(np.get_printoptions()["linewidth"], torch.random.get_rng_state().tolist(), repr(numpy)),
        )

    before = state()
    for path in (saved["yolov8n"], pickles["yolov8n"]):
        load_task_network(str(path), kind="detect", where=WHERE)
    assert state() == before

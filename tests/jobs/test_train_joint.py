"""Joint training: both networks learn in turn, no interruption leaves a trace, labels of both kinds serve."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from streamfuse.config.training import load_training
from streamfuse.engine.store import resolve, verify
from streamfuse.errors import ConfigError, PromiseError, SourceError
from streamfuse.jobs.train import TrainResult, train_fusion
from streamfuse.jobs.training.plan import Kind
from streamfuse.jobs.training.run import TrainProgress

CONFIG = """
name: tiny
licence: none
train:
  - {path: scenes, skip_last: 1, labels: {maps: scenes/maps}}
  - {path: plain}
validate_on: [{path: scenes, only_last: 1, labels: {maps: scenes/maps}}]
crop: 32
batch: 3
steps: 2
threads: 1
checkpoint_every: 3
semantic:
  classes: [background, person, car]
  rounds: 2
  near_objects: 0.5
  segmentation: {steps: 2, batch: 4}
"""

pytestmark = pytest.mark.usefixtures("same_threads")

RELEASED = (
    "semantic.fusion_network=fresh",
    "semantic.segmentation.restart_momentum=true",
    "semantic.segmentation.warm_up_steps=1",
    "semantic.segmentation.head_rate=10",
    "semantic.segmentation.decay_all=false",
    "semantic.segmentation.scales=[0.75,1,2]",
    "semantic.segmentation.jitter=0.5",
    "semantic.segmentation.stretch=true",
)

Trained = tuple[TrainResult, list[TrainProgress]]

RUN_AND_STAY = """
import sys
from pathlib import Path
from streamfuse.config.training import load_training
from streamfuse.jobs.train import train_fusion

def on_progress(progress):
    if progress.step == 5:
        print("at 5", flush=True)
        sys.stdin.read()

train_fusion(load_training(sys.argv[1]), out_dir=Path(sys.argv[2]), on_progress=on_progress)
"""


def draw_scene(folder: Path, index: int, *, labelled: bool) -> None:
    """A bright, warm person (a disc) or car (a square) on noise; its edge is unknown."""
    rng = np.random.default_rng(index)

    def draw(image: np.ndarray, color: object, thickness: int) -> None:
        if index % 2:
            cv2.rectangle(image, (18, 14), (38, 34), color, thickness)
        else:
            cv2.circle(image, (28, 24), 11, color, thickness)

    visible = cv2.GaussianBlur(rng.integers(0, 200, (48, 56, 3), dtype=np.uint8), (0, 0), 2)
    infrared, labels = np.full((48, 56), 40, np.uint8), np.zeros((48, 56), np.uint8)
    for image, color in ((visible, (40, 90, 230)), (infrared, 220), (labels, 1 + index % 2)):
        draw(image, color, -1)
    draw(labels, 255, 1)
    for name, image in {
        "visible": visible,
        "infrared": infrared,
        **({"maps": labels} if labelled else {}),
    }.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / name / f"{index}.png"), image)


def write_world(folder: Path) -> Path:
    """Two rounds of two fusion and two segmentation steps on four labelled and two other pairs."""
    for index in range(5):
        draw_scene(folder / "scenes", index, labelled=True)
    for index in range(2):
        draw_scene(folder / "plain", index, labelled=False)
    (folder / "joint.yaml").write_text(CONFIG)
    return folder / "joint.yaml"


@pytest.fixture
def config_path(tmp_path: Path) -> Path:
    """The file of a small world of its own."""
    return write_world(tmp_path)


def train(path: Path, name: str, *overrides: str, stop_at: int = 0) -> Trained:
    """Train into a folder beside the file; what was made and told. ``stop_at`` ends it like a kill."""
    told: list[TrainProgress] = []

    def on_progress(progress: TrainProgress) -> None:
        told.append(progress)
        if progress.step == stop_at:
            raise KeyboardInterrupt

    result = train_fusion(load_training(path, overrides), out_dir=path.parent / name, on_progress=on_progress)
    return result, told


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """The run of the file as it is, which several tests look at."""
    return train(write_world(tmp_path_factory.mktemp("undisturbed")), "out")


def both_files(result: TrainResult) -> list[bytes]:
    """Contents of the two weights files."""
    assert result.segmentation is not None
    return [weights.path.read_bytes() for weights in (result.weights, result.segmentation)]


def test_rounds_alternate_and_only_later_ones_heed_the_segmentation(undisturbed: Trained) -> None:
    """The steps come in the order of the plan; the semantic loss appears with its weight above 0."""
    result, told = undisturbed
    assert [(step.stage.round, str(step.stage.kind)) for step in told] == [
        (number, kind) for number in (1, 2) for kind in ("fusion", "fusion", "segmentation", "segmentation")
    ]
    assert ["semantic" in step.losses for step in told] == [False] * 4 + [True] * 2 + [False] * 2
    assert set(result.validation) == {"validation", "validation_semantic"}
    assert told[4].losses["total"] == pytest.approx(
        told[4].losses["intensity"] + 10 * told[4].losses["texture"] + told[4].losses["semantic"], rel=1e-5
    )


def test_both_networks_come_with_their_cards(undisturbed: Trained) -> None:
    """The fusion weights can be named; both cards say how they came about."""
    result, _ = undisturbed
    card = resolve(result.weights.path).card
    assert "6 pairs of scenes, plain, 4 of them labelled" in card.data
    assert "2 rounds" in card.source
    assert "counts 0, 1" in card.source
    assert result.segmentation is not None
    card = verify(result.segmentation.path).card
    assert (card.name, card.architecture) == ("tiny-segmentation", "banet")
    assert "classes background, person, car" in card.data


@pytest.mark.slow
@pytest.mark.parametrize("variant", [(), RELEASED], ids=["continued", "released"])
def test_an_interruption_in_any_stage_leaves_no_trace(
    config_path: Path, undisturbed: Trained, variant: tuple[str, ...]
) -> None:
    """Stopped after every single step and started again, it ends with the weights of an undisturbed run."""
    expected, _ = train(config_path, "undisturbed", *variant) if variant else undisturbed
    for stop_at in (2, 4, 6, 7):
        with pytest.raises(KeyboardInterrupt):
            train(config_path, "stopped", *variant, stop_at=stop_at)
    resumed, _ = train(config_path, "stopped", *variant)
    assert both_files(resumed) == both_files(expected)
    logs = [(made.weights.path.parent / "losses.jsonl").read_text() for made in (resumed, expected)]
    assert logs[0] == logs[1]


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_weights(config_path: Path, undisturbed: Trained) -> None:
    """SIGKILL in the second round, then a second start: both networks equal those of an undisturbed run."""
    command = [sys.executable, "-c", RUN_AND_STAY, str(config_path), str(config_path.parent / "killed")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "at 5\n"
        child.kill()
    resumed, told = train(config_path, "killed")
    assert [step.step for step in told] == [4, 5, 6, 7, 8]
    assert both_files(resumed) == both_files(undisturbed[0])


@pytest.mark.slow
def test_the_segmentation_network_learns_and_the_fusion_network_heeds_it(config_path: Path) -> None:
    """Its loss falls by a third, and a strong semantic loss changes the fused image."""
    fast = ("learning_rate=0.05", "head_rate=10", "steps=40", "batch=6")
    learning = [f"semantic.segmentation.{setting}" for setting in fast]
    more = ("steps=1", "semantic.rounds=1", "semantic.cross_entropy=plain", "checkpoint_every=100", *learning)
    _, told = train(config_path, "out", *more)
    losses = [step.losses["total"] for step in told if step.stage.kind is Kind.SEGMENTATION]
    assert np.mean(losses[-5:]) < 0.67 * np.mean(losses[:2])
    heeding, _ = train(config_path, "heeding", "semantic.rounds=1", "semantic.beta=5.0")
    deaf, _ = train(config_path, "deaf", "semantic.rounds=1", "semantic.beta=0.0")
    assert both_files(heeding)[0] != both_files(deaf)[0]


def test_a_pretrained_judge_comes_first(config_path: Path) -> None:
    """One stage: the segmentation network is trained before the one round, which heeds it from the start."""
    stages = ("semantic.rounds=1", "semantic.beta=1.0", "semantic.segmentation.pretrain_steps=2")
    _, told = train(config_path, "out", *stages)
    assert [step.stage.round for step in told] == [0, 0, 1, 1, 1, 1]
    assert "semantic" in told[2].losses


def test_pairs_without_labels_are_not_judged(config_path: Path) -> None:
    """If no crop of a batch has a label, the semantic loss is 0 and the run goes on."""
    empty = np.full((48, 56), 255, np.uint8)
    for index in range(5):
        cv2.imwrite(str(config_path.parent / f"scenes/maps/{index}.png"), empty)
    _, told = train(config_path, "out", "semantic.beta=1.0")
    assert [step.losses["semantic"] for step in told if "semantic" in step.losses] == [0.0] * 4


def test_a_loss_that_is_no_number_names_the_batch_of_its_stage(config_path: Path) -> None:
    """A segmentation network ruined by its own step is never stored; the error names the crops."""
    ruin = ("semantic.segmentation.learning_rate=1.0e+30", "precision=float32")
    said = r"after 3 steps .*main.* after step 0; .* batch: [0-3] at x \d+ y \d+, .*, [0-3] at x \d+ y \d+$"
    with pytest.raises(PromiseError, match=said):
        train(config_path, "out", *ruin)
    assert not list((config_path.parent / "out").glob("*.safetensors"))


def boxes_in(folder: Path, texts: list[str]) -> str:
    """A folder of text files, as an override names it."""
    folder.mkdir()
    for index, text in enumerate(texts):
        (folder / f"{index}.txt").write_text(text)
    return str(folder)


def test_boxes_become_masks_that_a_person_can_look_at(config_path: Path) -> None:
    """The object of each pair gets the class of its box, in a PNG file that the second start reads again."""
    box = "{} 0.5 0.5 0.42 0.5"
    seen = boxes_in(config_path.parent / "seen", [box.format(index % 2) for index in range(5)])
    unseen = boxes_in(config_path.parent / "unseen", [""] * 5)
    labels = f"{{boxes: [{seen}, {unseen}], box_classes: [person, car]}}"
    config = load_training(config_path, [f"train.0.labels={labels}", f"validate_on.0.labels={labels}"])
    asked: list[str] = []
    for _ in range(2):
        train_fusion(config, out_dir=config_path.parent / "out", on_label=asked.append)
    assert asked == ["0", "1", "2", "3", "4"]
    kept = sorted((config_path.parent / "out/labels").glob("scenes-*/*.png"))
    assert [path.stem for path in kept] == asked
    for index, path in enumerate(kept):
        mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        assert mask is not None
        assert mask[24, 28] == 1 + index % 2
        assert mask[2, 2] == 0


def test_other_boxes_never_meet_old_masks(config_path: Path) -> None:
    """A changed text file makes new masks in a folder of their own."""
    folder = config_path.parent / "seen"
    seen = boxes_in(folder, ["0 0.5 0.5 0.42 0.5"] * 5)
    labels = f"{{boxes: [{seen}], box_classes: [person]}}"
    config = load_training(config_path, [f"train.0.labels={labels}", "validate_on=[]", "semantic.rounds=1"])
    for _ in range(2):
        train_fusion(config, out_dir=config_path.parent / "out")
        (folder / "0.txt").write_text("")
    masks = sorted((config_path.parent / "out/labels").glob("*/0.png"), key=lambda path: path.stat().st_mtime)
    assert [bool(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE).any()) for path in masks] == [True, False]


def test_missing_and_wrong_labels_are_named(config_path: Path) -> None:
    """A folder that is none, a pair without a map, and an id that is no class."""
    maps = config_path.parent / "scenes/maps"
    with pytest.raises(SourceError, match=r"nowhere is no folder; `labels` names folders"):
        train(config_path, "out", "train.0.labels={maps: nowhere}")
    cv2.imwrite(str(maps / "2.png"), np.full((48, 56), 3, np.uint8))
    with pytest.raises(SourceError, match=r"2\.png: has the class ids 3, wanted 0 to 2"):
        train(config_path, "out")
    (maps / "2.png").unlink()
    with pytest.raises(SourceError, match=r"holds no label file 2\.png"):
        train(config_path, "out")


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        ("semantic=null", "expected a block semantic, since a folder has labels"),
        ("train.0.labels=null", "expected labels in at least one folder of train"),
        (
            "train.0.labels={boxes: [a], box_classes: [dog]}",
            "box_classes that are all among semantic.classes",
        ),
        ("train.0.labels={boxes: [a], maps: b}", "expected either maps or boxes"),
        ("semantic.segmentation.batch=1", "expected at least 2"),
        ("semantic.segmentation.crop=24", "expected crops of at least 32 pixels for a joint training"),
    ],
)
def test_contradictions_in_the_file_are_named(config_path: Path, override: str, complaint: str) -> None:
    """One line that says what was expected."""
    with pytest.raises(ConfigError, match=complaint):
        load_training(config_path, [override])

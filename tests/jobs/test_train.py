"""Training by content loss: it learns, it survives a kill without a trace, and it says what is wrong."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from streamfuse.config.training import Loss, load_training
from streamfuse.engine.store import resolve
from streamfuse.engine.weights import load_network
from streamfuse.errors import ConfigError, PromiseError, UsageError, WeightsError
from streamfuse.jobs.train import train_fusion
from streamfuse.jobs.training.run import TrainProgress
from streamfuse.nets.losses import LossWeights
from streamfuse.nets.registry import build

pytestmark = pytest.mark.usefixtures("same_threads")

CONFIGS = Path(__file__).parents[2] / "configs/train"

RUN_AND_STAY = """
import sys
from pathlib import Path
from streamfuse.jobs.train import train_fusion
from streamfuse.config.training import load_training

def on_progress(progress):
    if progress.step == 7:
        print("at 7", flush=True)
        sys.stdin.read()

train_fusion(load_training(sys.argv[1]), out_dir=Path(sys.argv[2]), on_progress=on_progress)
"""


@pytest.fixture
def config_path(scenes: Path) -> Path:
    """A run of twelve small steps with a checkpoint at five and ten."""
    path = scenes.parent / "train.yaml"
    path.write_text(
        "name: tiny\nlicence: none\n"
        "train: [{path: scenes, skip_last: 1}]\nvalidate_on: [{path: scenes, only_last: 1}]\n"
        "crop: 16\nbatch: 2\nsteps: 12\nthreads: 1\ncheckpoint_every: 5\n"
        "loss: {intensity: 1, texture: 10, detail: 10, checker: 10}\n"
    )
    return path


def train(path: Path, name: str, *overrides: str) -> tuple[Path, list[TrainProgress]]:
    """Train into a folder beside the file; the weights made, and what was told on the way."""
    told: list[TrainProgress] = []
    config = load_training(path, overrides)
    result = train_fusion(config, out_dir=path.parent / name, on_progress=told.append)
    return result.weights.path, told


def test_the_loss_falls_on_pairs_not_trained_on(config_path: Path) -> None:
    """Sixty steps take at least a quarter off the loss on the held-out pair."""
    more = ("steps=60", "checkpoint_every=6", "learning_rate=0.005", "crop=24", "batch=4")
    _, told = train(config_path, "out", *more)
    validation = [told[index].losses["validation"] for index in (5, 59)]
    assert validation[1] < 0.75 * validation[0]


def test_the_result_is_weights_with_a_card(config_path: Path) -> None:
    """What comes out can be named in a pipeline, and its card says what it is."""
    path, _ = train(config_path, "out")
    found = resolve(path)
    assert load_network(found)
    assert found.card.name == "tiny"
    assert "5 pairs of scenes" in found.card.data
    assert "12 steps" in found.card.source
    assert math.isfinite(found.card.metrics["validation crops"]["validation"])


def test_a_killed_run_goes_on_to_the_same_weights(config_path: Path) -> None:
    """SIGKILL between two checkpoints, then a second start: every bit equals that of an undisturbed run."""
    undisturbed, _ = train(config_path, "undisturbed")
    command = [sys.executable, "-c", RUN_AND_STAY, str(config_path), str(config_path.parent / "killed")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "at 7\n"
        child.kill()
    resumed, told = train(config_path, "killed")
    assert [progress.step for progress in told] == list(range(6, 13))
    assert resumed.read_bytes() == undisturbed.read_bytes()
    logs = [(path.parent / "losses.jsonl").read_text() for path in (resumed, undisturbed)]
    assert logs[0] == logs[1]
    assert [json.loads(line)["step"] for line in logs[0].splitlines()] == list(range(1, 13))
    assert (resumed.parent / "losses.png").exists()


def test_a_finished_run_started_again_does_nothing(config_path: Path) -> None:
    """The second start makes no step and leaves the same weights."""
    first, _ = train(config_path, "out")
    content = first.read_bytes()
    again, told = train(config_path, "out")
    assert not told
    assert again.read_bytes() == content


def test_another_seed_gives_other_weights(config_path: Path) -> None:
    """The equality of a resumed run is no accident: a seed changes the result."""
    first, _ = train(config_path, "first", "steps=1")
    second, _ = train(config_path, "second", "steps=1", "seed=1")
    assert first.read_bytes() != second.read_bytes()


def test_a_folder_with_another_run_is_refused(config_path: Path) -> None:
    """A checkpoint of other settings is not silently continued."""
    train(config_path, "out")
    with pytest.raises(UsageError, match="another configuration"):
        train(config_path, "out", "learning_rate=0.001")


def test_a_damaged_checkpoint_says_so(config_path: Path) -> None:
    """The error names the file."""
    train(config_path, "out", "steps=1")
    (config_path.parent / "out/checkpoint.pt").write_bytes(b"torn")
    with pytest.raises(WeightsError, match=r"checkpoint\.pt is not a torch file .* damaged"):
        train(config_path, "out", "steps=1")


@pytest.mark.parametrize("every", [1, 5])
def test_a_loss_that_is_no_number_stops_the_run_at_the_last_good_checkpoint(
    config_path: Path, every: int
) -> None:
    """The error names step and batch; weights that one absurd step has ruined are never stored."""
    ruin = ("learning_rate=1.0e+30", "precision=float32", f"checkpoint_every={every}")
    place = r"[0-4] at x \d+ y \d+"
    said = rf"after 1 steps .* after step 0; lower `learning_rate` .* batch: {place}, {place}$"
    with pytest.raises(PromiseError, match=said):
        train(config_path, "out", *ruin)
    state = torch.load(config_path.parent / "out/checkpoint.pt", weights_only=True)
    assert state["step"] == 0
    network = state["learners"]["fusion"]["network"]
    assert all(tensor.isfinite().all() for tensor in network.values())
    assert not (config_path.parent / "out/tiny.safetensors").exists()


def test_a_checkpoint_of_something_else_is_refused(config_path: Path) -> None:
    """A state dict, a list, another version's file: told apart from a checkpoint, and left alone."""
    train(config_path, "out", "steps=1")
    path = config_path.parent / "out/checkpoint.pt"
    for foreign in ({"step": 1}, [1, 2]):
        torch.save(foreign, path)
        content = path.read_bytes()
        with pytest.raises(WeightsError, match=r"checkpoint\.pt is no checkpoint of this version's training"):
            train(config_path, "out", "steps=1")
        assert path.read_bytes() == content


def test_a_checkpoint_with_missing_keys_says_so(config_path: Path) -> None:
    """The error names the file; the weights of the finished run stay."""
    weights, _ = train(config_path, "out", "steps=1")
    before = weights.read_bytes()
    path = config_path.parent / "out/checkpoint.pt"
    state = torch.load(path, weights_only=True)
    del state["learners"]["fusion"]["network"]["decoder.0.weight"]
    torch.save(state, path)
    with pytest.raises(WeightsError, match=r"does not fit the networks of this run \(.*decoder\.0\.weight"):
        train(config_path, "out", "steps=1")
    assert weights.read_bytes() == before


def test_a_run_can_start_from_weights(config_path: Path) -> None:
    """The first loss is the last one of the run that made them, and the card says where they come from."""
    first, _ = train(config_path, "first")
    second, told = train(config_path, "second", f"start_from={first}", "seed=7", "steps=1")
    _, fresh = train(config_path, "fresh", "seed=7", "steps=1")
    assert told[0].losses["total"] != fresh[0].losses["total"]
    card = resolve(second).card
    assert card.source.startswith(f"weights tiny (sha256 {resolve(first).card.sha256[:12]}")


def test_frozen_parts_stay_as_they_begin(config_path: Path) -> None:
    """Every Sobel kernel stays Sobel's and everything else is trained; the card says so."""
    path, _ = train(config_path, "frozen", "freeze=[gradient]", "adam.weight_decay=0.01")
    initial, trained = build("grdb").state_dict(), load_network(resolve(path)).state_dict()
    for name, tensor in trained.items():
        if "gradient" in name.split("."):
            assert torch.equal(tensor, initial[name])
    assert not torch.equal(trained["decoder.0.weight"], initial["decoder.0.weight"])
    assert "not trained: gradient" in resolve(path).card.source
    moved = load_network(resolve(train(config_path, "free")[0])).state_dict()
    name = "visible.blocks.0.gradient.horizontal.weight"
    assert not torch.equal(moved[name], initial[name])


def test_a_part_that_cannot_be_frozen_is_named(config_path: Path) -> None:
    """The error lists what there is."""
    with pytest.raises(
        UsageError, match=r"`freeze` names 'sobel', which is no part of the model; parts are: .*gradient"
    ):
        train(config_path, "out", "freeze=[sobel]")


def test_mistakes_in_the_file_are_listed_with_their_lines(config_path: Path) -> None:
    """Unknown keys, wrong numbers and contradictions come together, one line each."""
    config_path.write_text(
        "name: tiny\nlicence: none\nstep: 3\nbatch: 0\n"
        "train:\n  - {path: scenes, skip_last: 1, only_last: 1}\nprecision: half\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_training(config_path)
    assert [problem.split(": ", 1)[0].rsplit(":", 2)[1] for problem in caught.value.problems] == list("3467")
    assert 'did you mean "steps"' in caught.value.problems[0]


def test_the_losses_of_the_file_default_to_those_of_the_network_room() -> None:
    """The block ``loss`` and the weights it becomes have the same fields and defaults."""
    assert LossWeights(**Loss().model_dump()) == LossWeights()


@pytest.mark.parametrize(
    "path",
    [path for path in sorted(CONFIGS.glob("*.yaml")) if path.stem not in {"detector", "retrain"}],
    ids=lambda path: path.stem,
)
def test_the_shipped_training_files_are_valid(
    path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each passes the check and names its folders by environment."""
    monkeypatch.setenv("STREAMFUSE_DATA", str(tmp_path))
    config = load_training(path)
    assert config.validate_on
    assert all(folder.path.is_relative_to(tmp_path) for folder in (*config.train, *config.validate_on))

"""Training: it learns, it survives a kill without a trace, and it says what is wrong with its input."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from streamfuse.config.training import Loss, PairFolder, TrainConfig, load_training
from streamfuse.engine.weights import load_network, resolve
from streamfuse.errors import ConfigError, PromiseError, SourceError, UsageError, WeightsError
from streamfuse.jobs.train import TrainProgress, learning_rate_at, train_fusion
from streamfuse.jobs.training.dataset import Pair, draw_batch, load_pairs
from streamfuse.jobs.training.events import file_header, scalars_record
from streamfuse.jobs.training.losslog import LossLog
from streamfuse.nets.losses import LossWeights

# Made with tensorboard 2.21: RecordWriter over Event(wall_time=1.5, file_version="brain.Event:2") and over
# Event(wall_time=2, step=300) with the summary values loss/total = 0.5 and a = -2.
HEADER = bytes.fromhex("1800000000000000a37f4b2209000000000000f83f1a0d627261696e2e4576656e743a322a28646c")
RECORD = bytes.fromhex(
    "2b00000000000000861bc34b09000000000000004010ac022a1d0a110a0a6c6f73732f746f74616c150000003f0a080a0161"
    "15000000c04d1595c7"
)

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


@pytest.fixture(autouse=True)
def _same_threads() -> Iterator[None]:
    """Give the number of threads back that a run sets."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    """Six small pairs: structure in the visible image, a warm disc in the infrared one."""
    rng = np.random.default_rng(0)
    for stream in ("visible", "infrared"):
        (tmp_path / "scenes" / stream).mkdir(parents=True)
    for index in range(6):
        visible = cv2.GaussianBlur(rng.integers(0, 256, (40, 48, 3), dtype=np.uint8), (0, 0), 2)
        infrared = np.full((40, 48), 40, np.uint8)
        cv2.circle(infrared, (24, 20), 6 + index, 220, -1)
        cv2.imwrite(str(tmp_path / f"scenes/visible/{index}.jpg"), visible)
        cv2.imwrite(str(tmp_path / f"scenes/infrared/{index}.png"), infrared)
    return tmp_path / "scenes"


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
    assert math.isfinite(found.card.metrics["validation crops"]["loss"])


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
    """The error names the step; weights that one absurd step has ruined are never stored."""
    ruin = ("learning_rate=1.0e+30", "precision=float32", f"checkpoint_every={every}")
    with pytest.raises(PromiseError, match=r"after 1 steps .* after step 0; lower `learning_rate`"):
        train(config_path, "out", *ruin)
    state = torch.load(config_path.parent / "out/checkpoint.pt", weights_only=True)
    assert state["step"] == 0
    assert all(tensor.isfinite().all() for tensor in state["network"].values())
    assert not (config_path.parent / "out/tiny.safetensors").exists()


def test_the_learning_rate_rises_for_a_tenth_and_falls_to_almost_nothing(scenes: Path) -> None:
    """One cycle: a low start, the peak after a tenth of the steps, a far lower end."""
    config = TrainConfig(name="a", licence="none", train=(PairFolder(path=scenes),), steps=100)
    rates = [learning_rate_at(step, config) / config.learning_rate for step in range(101)]
    assert rates[0] == pytest.approx(1 / 25)
    assert rates[10] == pytest.approx(1)
    assert rates[100] == pytest.approx(1e-4)
    assert rates[:11] == sorted(rates[:11])
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_a_torn_last_line_of_the_log_is_cut_off(tmp_path: Path) -> None:
    """A kill in the middle of a line costs that line, and what came after the checkpoint goes too."""
    (tmp_path / "losses.jsonl").write_text('{"step": 1}\n{"step": 2}\n{"step": 3}\n{"st')
    with LossLog(tmp_path, done=2) as log:
        log.write(3, {"total": 0.5})
    assert (tmp_path / "losses.jsonl").read_text() == '{"step": 1}\n{"step": 2}\n{"step": 3, "total": 0.5}\n'


def test_event_records_are_those_of_tensorboard() -> None:
    """Header and scalar record equal bytes made by the tensorboard package."""
    assert file_header(1_500_000_000) == HEADER
    assert scalars_record(300, {"loss/total": 0.5, "a": -2.0}, utc_ns=2_000_000_000) == RECORD


def test_batches_are_a_pure_function_of_seed_and_step() -> None:
    """The same numbers give the same crops, other numbers give others."""
    plane = np.arange(30 * 40, dtype=np.uint16).reshape(30, 40).astype(np.uint8)
    pairs = [Pair(name="a", visible=plane, infrared=255 - plane)]

    def draw(seed: int, step: int) -> np.ndarray:
        return np.concatenate(draw_batch(pairs, seed=seed, step=step, batch=4, crop=16))

    assert np.array_equal(draw(1, 5), draw(1, 5))
    assert not np.array_equal(draw(1, 5), draw(1, 6))
    assert not np.array_equal(draw(1, 5), draw(2, 5))


def test_crops_of_a_pair_stay_registered() -> None:
    """Both streams are cut and turned alike, and lie in 0..1."""
    plane = np.random.default_rng(0).integers(0, 256, (30, 40), dtype=np.uint8)
    pairs = [Pair(name="a", visible=plane, infrared=255 - plane)]
    visible, infrared = draw_batch(pairs, seed=0, step=0, batch=16, crop=8)
    assert visible.shape == infrared.shape == (16, 1, 8, 8)
    assert visible.dtype == np.float32
    np.testing.assert_allclose(visible + infrared, 1, atol=1e-6)


def test_lists_choose_the_pairs(scenes: Path) -> None:
    """Names, exclusions and both ends work on the order by name; equal halves do not overlap."""
    (scenes / "names.txt").write_text("1\n3\n4")

    def names(**choice: object) -> list[str]:
        folder = PairFolder.model_validate({"path": scenes, **choice})
        return [pair.name for pair in load_pairs(folder, min_side=16)]

    assert names() == ["0", "1", "2", "3", "4", "5"]
    assert names(names=scenes / "names.txt") == ["1", "3", "4"]
    assert names(exclude=("0", "5")) == ["1", "2", "3", "4"]
    assert names(skip_last=4) == ["0", "1"]
    assert names(only_last=2) == ["4", "5"]


def test_every_nth_frame_of_a_video_pair_is_taken(tmp_path: Path) -> None:
    """Eight frames at every third are three pairs, from the first frame on, in step."""
    for stream, gain in (("visible", 20), ("infrared", 30)):
        (tmp_path / stream).mkdir()
        writer = cv2.VideoWriter(
            str(tmp_path / stream / "clip.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 30, (64, 48)
        )
        for index in range(8):
            writer.write(np.full((48, 64, 3), gain * index, np.uint8))
        writer.release()
    pairs = load_pairs(PairFolder(path=tmp_path, every=3), min_side=16)
    assert [pair.name for pair in pairs] == ["clip#0", "clip#3", "clip#6"]
    for pair, index in zip(pairs, (0, 3, 6), strict=True):
        assert pair.visible.mean() == pytest.approx(20 * index, abs=3)
        assert pair.infrared.mean() == pytest.approx(30 * index, abs=3)


def test_sixteen_bit_infrared_is_stretched_to_eight(scenes: Path) -> None:
    """Thermal counts in a narrow band use the whole range."""
    counts = np.linspace(7000, 7400, 40 * 48).reshape(40, 48).astype(np.uint16)
    cv2.imwrite(str(scenes / "infrared/2.png"), counts)
    infrared = load_pairs(PairFolder(path=scenes), min_side=16)[2].infrared
    assert infrared.dtype == np.uint8
    assert infrared.min() < 10
    assert infrared.max() > 245


def _no_partner(scenes: Path) -> PairFolder:
    (scenes / "infrared/2.png").unlink()
    return PairFolder(path=scenes)


def _unreadable(scenes: Path) -> PairFolder:
    (scenes / "infrared/2.png").write_bytes(b"no image")
    return PairFolder(path=scenes)


def _unreadable_video(scenes: Path) -> PairFolder:
    for stream in ("visible", "infrared"):
        (scenes / stream / "clip.mp4").write_bytes(b"no video")
    return PairFolder(path=scenes)


def _other_size(scenes: Path) -> PairFolder:
    cv2.imwrite(str(scenes / "infrared/2.png"), np.zeros((40, 50), np.uint8))
    return PairFolder(path=scenes)


def _unknown_name(scenes: Path) -> PairFolder:
    (scenes / "names.txt").write_text("nobody")
    return PairFolder(path=scenes, names=scenes / "names.txt")


def _missing_list(scenes: Path) -> PairFolder:
    return PairFolder(path=scenes, names=scenes / "names.txt")


def _missing_folder(scenes: Path) -> PairFolder:
    return PairFolder(path=scenes / "nowhere")


def _nothing_left(scenes: Path) -> PairFolder:
    return PairFolder(path=scenes, skip_last=6)


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (_no_partner, r"2\.jpg has no partner"),
        (_unreadable, r"2\.png: is no whole image"),
        (_unreadable_video, r"clip\.mp4"),
        (_other_size, "2: visible is 48x40 but infrared is 50x40"),
        (_unknown_name, "lists 'nobody', which is not in"),
        (_missing_list, r"cannot read the list of names .*names\.txt: No such file"),
        (_missing_folder, "visible is no folder"),
        (_nothing_left, "no pairs are left"),
    ],
)
def test_wrong_training_data_is_answered_with_what_and_where(
    scenes: Path, make: object, complaint: str
) -> None:
    """Each mistake is one sentence that names the file."""
    assert callable(make)
    with pytest.raises(SourceError, match=complaint):
        load_pairs(make(scenes), min_side=16)


def test_pairs_smaller_than_the_crop_are_refused(scenes: Path) -> None:
    """The error names the pair, its size and the key to change."""
    with pytest.raises(SourceError, match="0 is 48x40, but crops are 41 px; lower `crop`"):
        load_pairs(PairFolder(path=scenes), min_side=41)


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


def test_the_shipped_training_file_is_valid(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The file that made the default weights passes the check and names its folders by environment."""
    monkeypatch.setenv("STREAMFUSE_DATA", str(tmp_path))
    config = load_training(Path(__file__).parents[2] / "configs/train/content.yaml")
    assert config.name == "grdb-content"
    assert all(folder.path.is_relative_to(tmp_path) for folder in (*config.train, *config.validate_on))

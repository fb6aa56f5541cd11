"""Several pipeline files for one run."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamfuse.config.several import check_together, pipeline_files
from streamfuse.errors import ConfigError


def write(folder: Path, name: str, more: str = "") -> Path:
    """A pipeline file."""
    path = folder / f"{name}.yaml"
    path.write_text(
        f"name: {name}\nsources: {{visible: {{uri: v}}, infrared: {{uri: i}}}}\n{more}", encoding="utf-8"
    )
    return path


def test_overrides_are_for_all_or_for_the_one_they_name(tmp_path: Path) -> None:
    """In their order, so that the last word counts."""
    paths = [write(tmp_path, "front"), write(tmp_path, "rear")]
    overrides = ["fusion.batch=2", "rear:fusion.batch=8", "rear:sources.visible.uri=rtsp://cam/1?a=b:c=d"]
    front, rear = (file.load() for file in pipeline_files(paths, overrides))
    assert (front.fusion.batch, rear.fusion.batch) == (2, 8)
    assert rear.sources.visible.uri == "rtsp://cam/1?a=b:c=d"


def test_a_value_with_colons_addresses_nobody(tmp_path: Path) -> None:
    """Only what stands before the key, and so before the equals sign, is a name."""
    (file,) = pipeline_files([write(tmp_path, "front")], ["viewer.web=127.0.0.1:8090"])
    assert file.load().viewer is not None


def test_an_override_for_nobody_is_refused(tmp_path: Path) -> None:
    """A misspelt name does not vanish without a word."""
    paths = [write(tmp_path, "front"), write(tmp_path, "rear")]
    with pytest.raises(ConfigError, match='no pipeline of this run is called "raer"; expected front or rear'):
        pipeline_files(paths, ["raer:mode=every_frame"])


def test_pipelines_need_different_names(tmp_path: Path) -> None:
    """Recordings, metrics and the summary go by them."""
    one = write(tmp_path, "front")
    (other := tmp_path / "other.yaml").write_text(one.read_text())
    with pytest.raises(
        ConfigError, match=r'other.yaml: the pipeline is called "front", as that of .*front.yaml is'
    ):
        pipeline_files([one, other])


def test_names_are_compared_as_the_overrides_leave_them(tmp_path: Path) -> None:
    """One that is for a single pipeline may rename it, away from another or onto it."""
    paths = [write(tmp_path, "front"), write(tmp_path, "rear")]
    with pytest.raises(ConfigError, match=r'rear.yaml: the pipeline is called "front", as that of'):
        pipeline_files(paths, ["rear:name=front"])
    files = pipeline_files(paths, ["rear:name=back", "rear:mode=every_frame"])
    assert [file.name for file in files] == [file.load().name for file in files] == ["front", "back"]
    assert files[1].load().mode == "every_frame"


def test_a_wrong_override_is_told_as_it_was_written(tmp_path: Path) -> None:
    """With the name of the pipeline that it is for, and the key once."""
    _, rear = pipeline_files(
        [write(tmp_path, "front"), write(tmp_path, "rear")], ["rear:fusion.batch=zero", "rear:mode=x"]
    )
    with pytest.raises(ConfigError) as error:
        rear.load()
    assert error.value.problems[0] == '--set rear:fusion.batch: expected a whole number, got "zero"'
    assert error.value.problems[1].startswith("--set rear:mode: expected ")


def test_a_file_that_is_wrong_says_so_itself(tmp_path: Path) -> None:
    """Whose override is whose is known before the rest of the file is read."""
    front, rear = pipeline_files(
        [write(tmp_path, "front"), write(tmp_path, "rear", "fusoin: {}\n")], ["front:mode=every_frame"]
    )
    assert front.load().mode == "every_frame"
    with pytest.raises(ConfigError, match="fusoin"):
        rear.load()


@pytest.mark.parametrize(
    ("front", "rear", "problem"),
    [
        (
            "fusion: {backend: torch}\n",
            "",
            'in front and "auto" in rear; make them equal, as with `--set fusion.backend=torch`, or run',
        ),
        (
            "fusion: {precision: float32}\n",
            "fusion: {precision: bfloat16}\n",
            'fusion.precision is "float32" in front and "bfloat16" in rear',
        ),
        (
            "viewer: {web: '127.0.0.1:8090'}\n",
            "metrics: {prometheus: '127.0.0.1:8090'}\n",
            "both 127.0.0.1:8090; give one of them another, as with `--set rear:metrics.prometheus=…`",
        ),
        (
            "publish: [{kind: jsonl, path: events.jsonl}]\n",
            "publish: [{kind: jsonl, path: events.jsonl}]\n",
            "publish.0.path of front and publish.0.path of rear are both ",
        ),
        (
            "metrics: {prometheus: '127.0.0.1:9481'}\n",
            "metrics: {prometheus: 'localhost:9481'}\n",
            "are the same address (127.0.0.1:9481 and localhost:9481); give one of them another",
        ),
        (
            "metrics: {prometheus: '0.0.0.0:9481'}\n",
            "publish: [{kind: zeromq, bind: 'tcp://127.0.0.1:9481'}]\n",
            "publish.0.bind of rear are the same address (0.0.0.0:9481 and 127.0.0.1:9481)",
        ),
    ],
)
def test_what_cannot_run_together_is_one_sentence(
    tmp_path: Path, front: str, rear: str, problem: str
) -> None:
    """What differs, or what both want, and how to mend it."""
    files = pipeline_files([write(tmp_path, "front", front), write(tmp_path, "rear", rear)])
    with pytest.raises(ConfigError) as error:
        check_together([file.load() for file in files])
    assert problem in str(error.value)
    assert len(error.value.problems) == 1


def test_what_is_free_to_differ_may(tmp_path: Path) -> None:
    """Modes, batches, tasks and free ports are each pipeline's own affair."""
    front = write(tmp_path, "front", "fusion: {batch: 1, mode: stream}\nviewer: {web: '127.0.0.1:0'}\n")
    rear = write(tmp_path, "rear", "mode: every_frame\nviewer: {web: '127.0.0.1:0'}\n")
    check_together([file.load() for file in pipeline_files([front, rear])])

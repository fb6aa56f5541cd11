"""The pipeline file as users write it."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamfuse.config.pipeline import PipelineConfig, load_pipeline
from streamfuse.errors import ConfigError

REPO = Path(__file__).parents[2]

MINIMAL = """\
sources:
  visible: {uri: day.mp4}
  infrared: {uri: night.mp4}
"""

FULL = """\
name: vehicle
mode: realtime
sources:
  visible:  {uri: "synthetic://street?seed=7"}
  infrared: {uri: "synthetic://street?seed=7", format: auto}
rig: ../calibration/rig.yaml
sync:    {base: visible, max_skew_ms: 12.5, max_wait_ms: 20, on_missing: hold, offset_ms: -3}
fusion:  {model: grdb, weights: mine.safetensors, backend: auto, precision: auto, batch: 4, max_delay_ms: 20}
tasks:
  detect:  {weights: yolo.pt, confidence: 0.25, track: false, every: 2}
  segment: {weights: /models/yolo-seg.pt}
record:  {dir: recordings, segment_s: 60, codec: auto, raw_infrared: false, overlay: true}
viewer:  {web: "127.0.0.1:8090", window: false}
publish: [{kind: jsonl, path: recordings/events.jsonl}]
metrics: {prometheus: "[::]:9464"}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder ``work`` to stand in, with the pipeline in its neighbour ``pipes``."""
    for name in ("work", "pipes"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


def _load(content: str, *overrides: str) -> PipelineConfig:
    Path("../pipes/a.yaml").write_text(content)
    return load_pipeline("../pipes/a.yaml", overrides)


def _problems(content: str, *overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        _load(content, *overrides)
    return list(caught.value.problems)


def test_a_minimal_file_gets_the_documented_defaults() -> None:
    """Two sources are enough; everything else has a default, and optional blocks are off."""
    config = _load(MINIMAL)
    assert (config.name, config.mode, config.rig) == ("pipeline", "realtime", "identity")
    assert (config.sync.max_skew_ms, config.sync.max_hold_ms) == ("auto", 250.0)
    assert config.fusion.batch == 4
    assert (config.tasks, config.record, config.viewer, config.publish, config.metrics) == (None,) * 3 + (
        (),
        None,
    )


def test_a_full_file_means_what_it_says(folder: Path) -> None:
    """Paths are absolute from the folder of the file, numbers and words arrive as written."""
    config = _load(FULL)
    pipes = folder / "pipes"
    assert config.sources.visible.uri == "synthetic://street?seed=7"
    assert config.rig == str(folder / "calibration" / "rig.yaml")
    assert config.fusion.weights == str(pipes / "mine.safetensors")
    assert config.tasks is not None
    assert config.tasks.detect is not None
    assert config.tasks.segment is not None
    assert (config.tasks.detect.weights, config.tasks.detect.every) == (str(pipes / "yolo.pt"), 2)
    assert config.tasks.segment.weights == "/models/yolo-seg.pt"
    assert config.record is not None
    assert config.record.dir == pipes / "recordings"
    assert config.publish[0].path == pipes / "recordings" / "events.jsonl"
    assert config.sync.max_skew_ms == 12.5
    assert config.viewer is not None
    assert config.viewer.address == ("127.0.0.1", 8090)
    assert config.metrics is not None
    assert config.metrics.address == ("::", 9464)


@pytest.mark.parametrize("content", [MINIMAL, FULL])
def test_a_configuration_travels_as_json(content: str) -> None:
    """A worker gets back from JSON exactly the configuration that was loaded."""
    config = _load(content)
    assert PipelineConfig.model_validate_json(config.model_dump_json()) == config


def test_overrides_win_and_start_in_the_working_directory(folder: Path) -> None:
    """``--set`` paths are relative to where the user stands, unlike those of the file."""
    config = _load(
        FULL, "sources.visible.uri=day.mp4", "record=null", "mode=every_frame", "sync.base=infrared"
    )
    assert config.sources.visible.uri == str(folder / "work" / "day.mp4")
    assert config.record is None
    assert (config.mode, config.sync.base) == ("every_frame", "infrared")


def test_secrets_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """``${NAME}`` is replaced in addresses; an unset name is a mistake with its place."""
    content = MINIMAL.replace("day.mp4", '"rtsp://me:${CAMERA_PASSWORD}@cam/1"')
    monkeypatch.delenv("CAMERA_PASSWORD", raising=False)
    assert _problems(content) == [
        '../pipes/a.yaml:2:18: sources.visible.uri: the environment variable "CAMERA_PASSWORD" is not set'
    ]
    monkeypatch.setenv("CAMERA_PASSWORD", "hunter2")
    assert _load(content).sources.visible.uri == "rtsp://me:hunter2@cam/1"


def test_a_device_link_keeps_its_name(folder: Path) -> None:
    """Links are not followed: a camera's stable name is what must be opened again after a restart."""
    (folder / "pipes" / "by-id").symlink_to("/dev/null")
    assert _load(MINIMAL.replace("day.mp4", "by-id")).sources.visible.uri == str(folder / "pipes" / "by-id")


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("sources.visible.uri=", "sources.visible.uri: expected text, got nothing"),
        ("sources.visible.uri=0", "sources.visible.uri: expected text, got 0"),
        ("sources.visible.uir=a.mp4", 'sources.visible.uir: unknown key "uir"; did you mean "uri"?'),
        (
            "sources.infrared.agc=plateau",
            'sources.infrared.agc: expected a block of keys, got "plateau"',
        ),
        (
            "sources.infrared.format=grey16",
            'sources.infrared.format: expected auto, gray8 or gray16, got "grey16"; did you mean "gray16"?',
        ),
        ("mode=fast", 'mode: expected realtime or every_frame, got "fast"'),
        ("name=a/b", 'name: expected 1 to 64 letters, digits, dots, dashes or underscores, got "a/b"'),
        ("rig=", "rig: expected text, got nothing"),
        ("sync=", "sync: expected a block of keys, got nothing"),
        ("sync.max_hold_ms=-1", "sync.max_hold_ms: expected at least 0, got -1"),
        (
            "sync.max_skew_ms=atuo",
            'sync.max_skew_ms: expected auto or a number, got "atuo"; did you mean "auto"?',
        ),
        ("fusion.batch=4.5", "fusion.batch: expected a whole number, got 4.5"),
        ("fusion.weights=''", 'fusion.weights: expected text that is not empty, got ""'),
        ("tasks.detct.weights=a.pt", 'tasks.detct.weights: unknown key "detct"; did you mean "detect"?'),
        (
            "tasks.detect.weights=models/a.onnx",
            (
                "tasks.detect.weights: expected default, the name of weights, or a path that ends in .pt or "
                '.safetensors, got "models/a.onnx"'
            ),
        ),
        ("tasks.segment.confidence=2", "tasks.segment.confidence: expected at most 1, got 2"),
        (
            "record.retention.max_bytes=20 apples",
            'record.retention.max_bytes: expected bytes such as 20GB or 500MiB, got "20 apples"',
        ),
        (
            "record.retention.maxdays=3",
            'record.retention.maxdays: unknown key "maxdays"; did you mean "max_days"?',
        ),
        ('viewer={web: "127.0.0.1:1", token: short}', "viewer: expected a token of 16 characters at least"),
        (
            'viewer={web: "0.0.0.0:8090"}',
            "viewer: expected web on 127.0.0.1, or a token: others can reach 0.0.0.0:8090",
        ),
        ("viewer.web=127.0.0.1", 'viewer.web: expected host:port such as 127.0.0.1:8090, got "127.0.0.1"'),
        (
            "metrics.prometheus=h:65536",
            'metrics.prometheus: expected host:port such as 127.0.0.1:8090, got "h:65536"',
        ),
        (
            "publish.0.kind=json",
            'publish.0.kind: expected jsonl, zeromq, mqtt or webhook, got "json"; did you mean "jsonl"?',
        ),
        ("publish.0={path: a}", 'publish.0: missing key "kind"'),
        ("publish.0=3", "publish.0: expected a block of keys, got 3"),
        (
            'publish.0={kind: mqtt, broker: "a:1", topc: x}',
            'publish.0: unknown key "topc"; did you mean "topic"?',
        ),
        (
            'publish.0={kind: mqtt, broker: "a:1", qos: 3}',
            "publish.0: publish.0.qos: expected 0, 1 or 2, got 3",
        ),
        (
            'publish.0={kind: zeromq, bind: "tcp://0.0.0.0:5"}',
            "publish.0: expected bind on 127.0.0.1, or keys: others can reach tcp://0.0.0.0:5",
        ),
        (
            'publish.0={kind: mqtt, broker: "a:1", password: x}',
            "publish.0: expected a username with the password",
        ),
        (
            'publish.0={kind: mqtt, broker: "a:1", ca: x.pem}',
            "publish.0: expected tls: true with the ca",
        ),
        (
            'publish.0={kind: webhook, url: "http://a:70000/"}',
            (
                "publish.0: publish.0.url: expected an address such as https://example.org/hook, "
                'got "http://a:70000/"'
            ),
        ),
        (
            'publish.0={kind: webhook, url: "http://a/", token: "schlüssel"}',
            'publish.0: publish.0.token: expected letters, digits and signs of ASCII, got "schlüssel"',
        ),
        (
            "events=[{name: a, zone: [[0,0],[1,1]]}]",
            "events: events.0.zone: expected 3 or more items, got a list",
        ),
        (
            "events=[{name: a, zone: [[0,0],[1,1.5],[0,1]]}]",
            "events: events.0.zone.1.1: expected at most 1, got 1.5",
        ),
        (
            "sources.visible.retry={first_s: 5, max_s: 1}",
            "sources.visible.retry: expected first_s at most max_s (1)",
        ),
    ],
)
def test_each_mistake_has_its_line(override: str, problem: str) -> None:
    """What a user gets wrong is named at the key he set, with what would be right."""
    assert _problems(FULL, override) == [f"--set {problem}"]


@pytest.mark.parametrize(
    ("overrides", "problem"),
    [
        (
            ["mode=every_frame", "sources.infrared.uri=rtsp://cam/ir"],
            '--set mode: "every_frame" needs files, the infrared source is live; use "realtime"',
        ),
        (
            ["mode=every_frame", "sources.visible.uri=genicam://"],
            '--set mode: "every_frame" needs files, the visible source is live; use "realtime"',
        ),
        (
            ["mode=every_frame", "sync.estimate_offset=apply"],
            (
                '--set sync.estimate_offset: "apply" needs `mode: realtime`; '
                'pairs of "every_frame" must not depend on who was faster'
            ),
        ),
        (
            ["sources.infrared.format=gray8", "sources.infrared.radiometry={scale: 0.04}"],
            '--set sources.infrared.format: "gray8" has no counts for `radiometry`; use "gray16"',
        ),
        (
            ["sources.visible.uri=/dev/video0", "sources.infrared.uri=/dev/../dev/video0"],
            "--set sources.infrared.uri: the same camera as sources.visible.uri; expected another one",
        ),
        (
            ["publish.1={kind: jsonl, path: ../pipes/recordings/events.jsonl}"],
            "--set publish.1: publish.1.path: the same as publish.0; expected another",
        ),
        (
            ["events=[{name: gate}, {name: gate}]"],
            "--set events: events.1.name: the same as events.0; expected another",
        ),
        (
            ["rig=identity", "registration={distance_m: 8}"],
            (
                "--set registration: registration.distance_m: `rig: identity` leaves nothing to choose; "
                "expected a rig file"
            ),
        ),
        (
            ["rig=identity", "registration.correct=true"],
            "--set registration.correct: `rig: identity` leaves nothing to choose; expected a rig file",
        ),
        (
            ["events=[{name: registration}]"],
            "--set events: events.0.name: what `registration.watch` calls its events; expected another",
        ),
        (
            ["metrics.prometheus=0.0.0.0:8090"],
            "--set metrics.prometheus: the same address as viewer.web; expected another port",
        ),
        (
            ["metrics.prometheus=127.0.0.1:8090"],
            "--set metrics.prometheus: the same address as viewer.web; expected another port",
        ),
    ],
)
def test_impossible_combinations_are_refused(overrides: list[str], problem: str) -> None:
    """Values that are right alone and impossible together are one mistake with one place."""
    assert _problems(FULL, *overrides) == [problem]


@pytest.mark.parametrize(("text", "plane_m"), [("8", 8.0), ("inf", math.inf), ("null", None)])
def test_the_plane_survives_the_way_to_the_workers(text: str, plane_m: float | None) -> None:
    """JSON knows no infinity, and the workers get their configuration as JSON."""
    config = _load(FULL, f"registration={{distance_m: {text}}}")
    there = PipelineConfig.model_validate_json(config.model_dump_json())
    assert there.registration.plane_m == plane_m


def test_ports_chosen_by_the_system_do_not_collide() -> None:
    """Port 0 takes a free port, so that two servers may both ask for it."""
    _load(FULL, "viewer.web=127.0.0.1:0", "metrics.prometheus=127.0.0.1:0")


def test_missing_sources_point_at_their_block() -> None:
    """A key that is not there is reported at the block it belongs in, all of them at once."""
    assert _problems("mode: realtime\n") == ['../pipes/a.yaml:1:1: missing key "sources"']
    assert _problems("name: x\nsources:\n  visible: {}\n") == [
        '../pipes/a.yaml:2:1: sources: missing key "infrared"',
        '../pipes/a.yaml:3:3: sources.visible: missing key "uri"',
    ]


def test_the_shipped_pipeline_is_valid() -> None:
    """The file of the README's first command loads, and its rig exists."""
    config = load_pipeline(REPO / "pipelines" / "vehicle.yaml")
    assert Path(config.rig).is_file()
    assert config.record is not None
    assert config.record.dir == REPO / "pipelines" / "recordings"


def test_what_the_shipped_pipeline_has_commented_out_is_valid() -> None:
    """A newcomer can take the comment signs away from every block."""
    text = (REPO / "pipelines" / "vehicle.yaml").read_text()
    lines = text.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("# events:"))
    keys = ("events:", "  - {name:", "viewer:", "publish:", "metrics:")
    opened = [line[2:] if line[2:].startswith(keys) else line for line in lines[start:]]
    config = _load("\n".join(lines[:start] + opened))
    assert config.tasks is not None
    assert config.viewer is not None
    assert config.metrics is not None
    assert len(config.publish) == len(config.events) == 1


_SIGNS = [*"{}[]:,#&*!|>%@`'\"-? \n\t", *("\n  ", "${HOME}", "~", "null", ".inf", "1e999", "\\ud800", "\0")]
_PIECES = st.sampled_from(FULL.split() + _SIGNS) | st.text(max_size=4)


def _loads_or_is_refused(overrides: list[str]) -> None:
    """Whether ``a.yaml`` loads and travels, or is refused in single lines; all else is raised."""
    try:
        config = load_pipeline("a.yaml", overrides)
    except ConfigError as error:
        problems = error.problems
    else:
        problems = ()
        assert PipelineConfig.model_validate_json(config.model_dump_json()) == config
    assert all(problem.isprintable() for problem in problems)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, len(FULL)), st.integers(0, 12), _PIECES), min_size=1, max_size=4))
def test_no_edit_of_the_file_raises_anything_but_config_errors(edits: list[tuple[int, int, str]]) -> None:
    """Whatever is typed into a pipeline file, it loads or is refused in single lines, never a traceback."""
    content = FULL
    for start, length, piece in edits:
        content = content[:start] + piece + content[start + length :]
    Path("a.yaml").write_bytes(content.encode("utf-8", "surrogatepass"))
    _loads_or_is_refused([])


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=20), _PIECES, st.text(max_size=20))
def test_no_override_raises_anything_but_config_errors(key: str, piece: str, value: str) -> None:
    """Whatever follows ``--set``, it is applied or refused in single lines."""
    Path("a.yaml").write_text(MINIMAL)
    _loads_or_is_refused([f"{key}{piece}={value}", f"tasks.detect.weights={piece}", f"{piece}.{key}={value}"])


def test_bytes_are_written_as_people_write_them() -> None:
    """Powers of 1000 and of 1024, fractions, blanks, and plain numbers."""
    texts = {"20GB": 20 * 10**9, "1.5 MB": 1_500_000, "2GiB": 2 * 2**30, "700": 700, "12B": 12}
    for text, expected in texts.items():
        retention = _load(FULL, f"record.retention.max_bytes={text}").record.retention
        assert retention is not None
        assert retention.max_bytes == expected


def test_events_need_something_that_is_looked_for() -> None:
    """Rules without a task can never be met, and that is said."""
    assert _problems(MINIMAL + "events: [{name: gate}]\n") == [
        "../pipes/a.yaml:4:9: events: nothing is looked for, so nothing can happen; expected `tasks`"
    ]

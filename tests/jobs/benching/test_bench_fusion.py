"""``streamfuse bench fusion``: backends beside the published network in plain torch, in real processes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from streamfuse.cli.bench import fusion as command
from streamfuse.cli.bench.group import app
from streamfuse.engine.backends.choosing import BACKEND_NAMES
from streamfuse.errors import OutputError, StreamfuseError, UsageError
from streamfuse.jobs.benching.fusion import FusionBench, shipped_networks
from streamfuse.jobs.benching.fusion_plot import write_fusion_plot
from streamfuse.jobs.benching.fusion_report import FusionReport
from streamfuse.jobs.benching.fusion_roofline import Peak, Roofline, demand_of
from streamfuse.jobs.benching.fusion_round import IDENTICAL_DB, Entry, Missing, Rounds, psnr_db
from streamfuse.jobs.benching.fusion_turns import Contestant, Opened, Turn
from streamfuse.nets.registry import build

RESULT_KEYS = {
    "model",
    "weights",
    "backend",
    "precision",
    "device",
    "batch",
    "size_wh",
    "ms_per_pair",
    "p95_ms",
    "ratio_vs_reference",
    "psnr_db",
    "memory_mb",
}
HOME = (640, 480)
MakeEntry = Callable[..., Entry]


def bench(*options: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does."""
    command = [sys.executable, "-m", "streamfuse", "bench", "fusion", *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)


def turns(took_ms: Sequence[float], *, device_mb: int | None = None) -> list[Turn]:
    """Turns of one call each."""
    device_nbytes = None if device_mb is None else device_mb * 1_000_000
    return [
        Turn(
            took_ms=(ms,),
            cpu_ms=ms,
            memory_nbytes=100_000_000,
            peak_nbytes=200_000_000,
            device_nbytes=device_nbytes,
        )
        for ms in took_ms
    ]


@pytest.fixture
def entry() -> MakeEntry:
    """Makes what was measured of a contestant from its milliseconds and those of the reference."""

    def make(took_ms: Sequence[float], reference_ms: Sequence[float], **facts: Any) -> Entry:
        opened = Opened(
            architecture=facts.get("architecture", "grdb"),
            weights="some",
            backend=facts.get("backend", "openvino"),
            precision=facts.get("precision", "bfloat16"),
            device="a device",
            why="asked for",
            on_gpu=facts.get("device_mb") is not None,
        )
        return Entry(
            opened=opened,
            turns=turns(took_ms, device_mb=facts.get("device_mb")),
            reference=turns(reference_ms),
            reference_batch=facts.get("reference_batch", 1),
            psnr_db=facts.get("psnr_db", 55.0),
            is_default=facts.get("is_default", True),
        )

    return make


def report(
    *rounds: Rounds, roofline: Roofline | None = None, missing: Sequence[Missing] = ()
) -> FusionReport:
    """The report of a run."""
    return FusionReport(rounds=rounds, missing=missing, roofline=roofline, threads=2, load_before=0.0)


@pytest.mark.slow
@pytest.mark.timeout(900)  # loads torch in six processes
def test_a_short_run_compares_backends(tmp_path: Path) -> None:
    """Those that work have numbers for each batch, the others a reason; pictures are those of torch."""
    out, plot = tmp_path / "fusion.json", tmp_path / "fusion.png"
    backends = ("openvino", "torch", "torch-cuda")
    options = [word for name in backends for word in ("--backend", name)]
    options += ["--weights", "default", "--batch", "1,2", "--size", "64x64", "--rounds", "2", "--roofline"]
    done = bench(*options, "--json", str(out), "--plot", str(plot))
    assert done.returncode == 0, done.stderr
    values = json.loads(out.read_text(encoding="utf-8"))
    assert {"machine", "versions", "reference", "results", "targets"} <= set(values)
    reference = values["reference"]
    assert (reference["model"], reference["weights"], reference["precision"]) == ("grdb", "grdb", "float32")
    assert reference["ms_per_pair"] > 0
    measured = {(result["backend"], result["batch"]) for result in values["results"]}
    absent = {gone["backend"] for gone in values["missing"]}
    assert {(name, batch) for name in backends if name not in absent for batch in (1, 2)} == measured
    assert {"openvino", "torch"}.isdisjoint(absent)
    assert all(gone["why"] for gone in values["missing"])
    for result in values["results"]:
        assert set(result) >= RESULT_KEYS
        assert 0 < result["ms_per_pair"] <= result["p95_ms"]
        assert result["psnr_db"] >= 50
        assert result["memory_mb"] > 50
        assert result["size_wh"] == [64, 64]
        assert result["gmac_per_s"] > 0
    assert plot.read_bytes().startswith(b"\x89PNG")
    for word in ("ms/pair", "times ref.", "plain torch", "GMAC", "PSNR"):
        assert word in done.stdout


@pytest.mark.skipif(torch.cuda.is_available(), reason="here it works")
def test_when_nothing_works_it_says_why(tmp_path: Path) -> None:
    """One sentence from whichever process found out, and no report."""
    out = tmp_path / "fusion.json"
    done = bench("--backend", "torch-cuda", "--size", "64x64", "--json", str(out))
    assert done.returncode != 0
    (line,) = done.stderr.strip().splitlines()
    assert "CUDA" in line
    assert not out.exists()


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--batch", "1,many"), "--batch"),
        (("--batch", "0"), "1..64"),
        (("--size", "640"), "--size"),
        (("--size", "641x480"), "even"),
        (("--backend", "abacus"), "openvino"),
        (("--precision", "float8"), "bfloat16"),
        (("--rounds", "0"), "rounds"),
        (("--model", "grdbb"), "did you mean"),
        (("--weights", "gone"), "known are"),
        (("--plot", "fusion.txt"), ".svg"),
    ],
)
def test_options_that_make_no_sense(options: tuple[str, str], word: str) -> None:
    """Refused before anything is started, with what would do."""
    refused = CliRunner().invoke(app, ["fusion", *options]).exception
    assert isinstance(refused, StreamfuseError)
    assert word in str(refused)
    assert "\n" not in str(refused)


def test_all_means_every_backend_of_the_engine() -> None:
    """A backend that joins the engine joins the benchmark; the engine's own choice goes first."""
    every = [each.backend for each in FusionBench(backends=("all",), weights=("grdb",)).contestants()]
    assert sorted(every) == sorted(BACKEND_NAMES)
    assert every[0] == "auto"


def test_every_network_that_ships_takes_part() -> None:
    """One file for each architecture, the default first."""
    names = shipped_networks("grdb")
    assert len(names) >= 2
    assert "grdb" in names
    asked = FusionBench().contestants()
    assert [each.weights for each in asked] == list(names)


def test_ratios_are_taken_within_rounds(entry: MakeEntry) -> None:
    """A machine that is slower in some rounds changes no ratio; times are those of one pair of a batch."""
    made = entry([20.0, 200.0, 40.0], [100.0, 1000.0, 200.0])
    result = report(Rounds(size_wh=HOME, batch=2, entries=[made])).as_dict()["results"][0]
    assert result["ratio_vs_reference"] == pytest.approx(10)
    assert result["ms_per_pair"] == 20
    assert result["pairs_per_s"] == 50
    assert result["memory_mb"] == 100


def test_what_is_promised_on_a_cpu(entry: MakeEntry) -> None:
    """Ten times the reference for the published layers and fifty for the others, as the engine chooses."""
    entries = [
        entry([10.0], [110.0]),
        entry([10.0], [110.0], architecture="grdb-edge"),
        entry([10.0], [110.0], backend="torch", is_default=False),
    ]
    made = report(Rounds(size_wh=HOME, batch=1, entries=entries))
    published, edge, exact = made.targets()
    assert (published.limit, published.got, published.met) == (10, 11, True)
    assert (edge.limit, edge.met) == (50, False)
    assert (exact.limit, exact.got, exact.met) == (50, 55, True)


def test_what_is_promised_on_a_gpu(entry: MakeEntry) -> None:
    """Rate, ratio to the same device, and memory, with eight pairs in a batch."""
    made = entry([4.0], [40.0], backend="torch-cuda", device_mb=900, reference_batch=8, psnr_db=49.0)
    rate, ratio, memory, exact = report(Rounds(size_wh=HOME, batch=8, entries=[made])).targets()
    assert (rate.got, rate.met) == (2000, True)
    assert (ratio.got, ratio.met) == (10, True)
    assert (memory.got, memory.met) == (900, True)
    assert not exact.met
    assert report(Rounds(size_wh=HOME, batch=8, entries=[made])).as_dict()["results"][0]["memory_mb"] == 900


def test_without_an_own_choice_the_fastest_is_judged(entry: MakeEntry) -> None:
    """Whoever names a backend learns as well whether its networks keep what is promised of them on a CPU."""
    entries = [
        entry([2.0], [110.0], architecture="grdb-edge", is_default=False),
        entry([9.0], [110.0], architecture="grdb-edge", is_default=False, backend="torch"),
        entry([1.0], [110.0], architecture="grdb-quarter", is_default=False),
    ]
    *judged, _exact = report(Rounds(size_wh=HOME, batch=1, entries=entries)).targets()
    assert {each.what: (each.limit, each.got) for each in judged} == {
        "times the reference, grdb-edge on openvino": (50, 55),
        "times the reference, grdb-quarter on openvino": (50, 110),
    }


@pytest.mark.parametrize("is_default", [True, False])
def test_the_legend_stands_only_where_it_is_needed(entry: MakeEntry, *, is_default: bool) -> None:
    """Without a row with a star there is no word about stars."""
    made = entry([10.0], [90.0], is_default=is_default)
    table = command._results(report(Rounds(size_wh=HOME, batch=1, entries=[made])).as_dict())
    assert (table.caption is not None) is is_default


def test_default_weights_go_by_their_name() -> None:
    """In what was measured and in what was not."""
    bench = FusionBench(models=("grdb", "grdb-quarter"), weights=("default",))
    assert [each.weights for each in bench.contestants()] == ["grdb-fine", "grdb-quarter-fine"]


@pytest.mark.parametrize(
    "words",
    [
        ("fusion", "--json"),
        ("fusion", "--plot"),
        ("pipeline", "--json"),
        ("tasks", "--json"),
        ("bus", "--out"),
    ],
)
def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path, words: tuple[str, str]) -> None:
    """It is likelier misspelt than wanted, and is refused before anything is measured."""
    refused = CliRunner().invoke(app, [*words, str(tmp_path / "missing" / "x.png")]).exception
    assert isinstance(refused, OutputError)
    assert f"there is no folder {tmp_path / 'missing'}; make it" in str(refused)
    assert not list(tmp_path.iterdir())


def test_int8_has_a_limit_of_its_own(entry: MakeEntry) -> None:
    """It is judged by 38 dB and does not spoil the others' 50."""
    entries = [entry([1.0], [1.0], precision="int8", psnr_db=39.0, is_default=False)]
    *_, target = report(Rounds(size_wh=HOME, batch=1, entries=entries)).targets()
    assert (target.limit, target.met) == (38, True)


def test_growth_is_an_exponent(entry: MakeEntry) -> None:
    """Four times the pixels in four times the time is linear; in eight times it is not."""
    small = Rounds(
        size_wh=(320, 240), batch=1, entries=[entry([1.0], [9.0]), entry([1.0], [9.0], backend="torch")]
    )
    large = Rounds(
        size_wh=HOME, batch=1, entries=[entry([4.0], [36.0]), entry([8.0], [36.0], backend="torch")]
    )
    growth = report(small, large).as_dict()["growth"]
    assert [(row["backend"], row["exponent"]) for row in growth] == [("openvino", 1.0), ("torch", 1.5)]


def test_memory_is_compared_over_calls(entry: MakeEntry) -> None:
    """After fifty calls a process has hardly more than after five."""
    made = entry([1.0], [20.0])
    rounds = Rounds(size_wh=HOME, batch=1, entries=[made], steady={made.opened: (100_000_000, 110_000_000)})
    target = report(rounds).targets()[-1]
    assert target.got == pytest.approx(1.1)
    assert not target.met
    assert report(rounds).as_dict()["memory"][0]["after_50_calls_mb"] == 110


def test_the_share_of_the_peak(entry: MakeEntry) -> None:
    """Multiplications a second over what the machine gives in these numbers."""
    demand = demand_of(build("grdb"), HOME)
    roofline = Roofline(
        demands={("grdb", HOME): demand}, peaks={"cpu": Peak(gmac_per_s={"bfloat16": 1000.0}, gb_per_s=10.0)}
    )
    made = report(Rounds(size_wh=HOME, batch=1, entries=[entry([100.0], [900.0])]), roofline=roofline)
    values = made.as_dict()
    assert values["results"][0]["gmac_per_s"] == pytest.approx(510, abs=1)
    assert values["results"][0]["of_peak"] == pytest.approx(0.51, abs=0.01)
    assert values["roofline"]["networks"][0]["gmac"] == pytest.approx(51, abs=0.1)


def test_what_a_network_asks_for_is_counted_on_its_layers() -> None:
    """51 billion multiplications at 640x480, as published; both counts are linear in pixels."""
    small, large = (demand_of(build("grdb"), size_wh) for size_wh in ((320, 240), HOME))
    assert large.gmac == pytest.approx(51, abs=0.1)
    assert large.gmac == pytest.approx(4 * small.gmac)
    assert large.activations == 4 * small.activations
    assert large.parameters == 166_657
    assert large.nbytes("float32") == 2 * large.nbytes("bfloat16")


def test_equal_images_have_a_number_too() -> None:
    """Infinity is no JSON; a single pixel that is off by one is below the number for equal images."""
    image = np.zeros((1000, 1000), np.uint8)
    other = image.copy()
    other[0, 0] = 1
    assert psnr_db(image, image) == IDENTICAL_DB
    assert 100 < psnr_db(image, other) < IDENTICAL_DB


def test_the_plot_of_a_run_without_an_own_choice(entry: MakeEntry, tmp_path: Path) -> None:
    """One size is one panel, several are two; whoever is missing is not drawn."""
    gone = Missing(
        contestant=Contestant(model="grdb", weights="grdb", backend="tensorrt", precision="auto"),
        size_wh=HOME,
        why="no driver",
    )
    made = entry([10.0], [90.0], is_default=False)
    rounds = [Rounds(size_wh=size_wh, batch=1, entries=[made]) for size_wh in (HOME, (320, 240))]
    for name, chosen in (("one.svg", rounds[:1]), ("two.svg", rounds)):
        write_fusion_plot(tmp_path / name, report(*chosen, missing=[gone]).as_dict())
    one, two = ((tmp_path / name).read_text(encoding="utf-8") for name in ("one.svg", "two.svg"))
    assert len(two) > len(one)


def test_weights_must_fit_the_model() -> None:
    """What was never trained for a network is refused before anything starts."""
    with pytest.raises(StreamfuseError, match="grdb-edge"):
        FusionBench(models=("grdb-edge",), weights=("grdb",))
    with pytest.raises(UsageError, match="fusion model"):
        FusionBench(models=("abacus",))

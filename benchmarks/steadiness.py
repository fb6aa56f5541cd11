"""How steady, and how full of contrast, each output mode is on video.

    python benchmarks/steadiness.py --keep runs/steadiness

Each scene goes through the network once (OpenVINO, the precision of this CPU) and is kept, not stretched, in
16 bits; every mode then ends the same numbers in its own way. ``reference`` ends them as published: RGB,
stretched by each frame's own extremes, truncated. ``stream`` and ``steady`` end them as a pipeline does:
limited-range luma of 8 bits. All are judged as the videos that ``streamfuse fuse`` writes of them, so that a
difference between RGB and YUV is none between modes. Measures: ``streamfuse.metrics.temporal``, grey levels
0..255 per frame.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import shlex
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino
import torch
from _common import data_folder, markdown_table, run, write_results
from matplotlib.figure import Figure
from video_scenes import REAL, SCENES, Moment

from streamfuse.core.convert import image_to_rgb
from streamfuse.core.steady import SteadyContrast
from streamfuse.core.tone import stretched, survey
from streamfuse.engine.backends.base import cpu_computes_bfloat16
from streamfuse.engine.store import WeightsFile, resolve
from streamfuse.engine.weights import load_network
from streamfuse.frames import Image, StreamName
from streamfuse.geometry.gray import gray8
from streamfuse.io.media import VideoSource
from streamfuse.io.video.writer import VideoWriter
from streamfuse.metrics.temporal import TemporalMeter, TemporalReport
from streamfuse.nets.color import reference_postprocess, rgb_to_ycrcb, ycrcb_to_rgb

Bytes = npt.NDArray[np.uint8]
Luma = npt.NDArray[np.uint16]
"""Fused luma, not stretched: 0..65535."""
Ending = Callable[[Moment, Luma], Image]
"""Makes the picture of one mode; called frame after frame."""

MODES = ("reference", "stream", "steady")


class Network:
    """A fusion network in OpenVINO that gives its luma before any ending."""

    def __init__(self, weights: WeightsFile) -> None:
        self._network = load_network(weights).float().eval()
        self._requests: dict[tuple[int, ...], Any] = {}

    def fuse(self, moment: Moment) -> Luma:
        """Fused luma of a pair, HxW."""
        visible = ((moment.visible.planes[0].astype(np.float32) - 16) / 219).clip(0, 1)[None, None]
        infrared = (moment.infrared / np.float32(255))[None, None]
        fused = self._request(visible.shape).infer((visible, infrared))[0][0, 0]
        luma: Luma = np.rint(fused.clip(0, 1) * 65535).astype(np.uint16)
        return luma

    def _request(self, shape: tuple[int, ...]) -> Any:
        if shape not in self._requests:
            example = (torch.zeros(shape), torch.zeros(shape))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torch has deprecated what openvino reads
                traced = torch.jit.trace(self._network, example, check_trace=False)  # type: ignore[no-untyped-call]
                model = openvino.convert_model(traced, example_input=example)
            model.reshape({index: openvino.PartialShape(shape) for index in (0, 1)})
            hint = {"INFERENCE_PRECISION_HINT": "bf16" if cpu_computes_bfloat16() else "f32"}
            self._requests[shape] = openvino.Core().compile_model(model, "CPU", hint).create_infer_request()
        return self._requests[shape]


def fused_scene(network: Network, moments: Callable[[], Iterable[Moment]], kept: Path) -> npt.NDArray[Any]:
    """The fused luma of all moments, from the file ``kept`` if it is there."""
    if not kept.exists():
        part = kept.with_suffix(".part")
        with part.open("wb") as file:
            np.save(file, np.stack([network.fuse(moment) for moment in moments()]))
        part.replace(kept)
    fused: npt.NDArray[Any] = np.load(kept, mmap_mode="r")
    return fused


def published(moment: Moment, fused: Luma) -> Image:
    """As the published chain ends."""
    rgb = torch.tensor(image_to_rgb(moment.visible)).permute(2, 0, 1)[None] / 255
    _, cr, cb = rgb_to_ycrcb(rgb)
    luma = torch.tensor(fused.astype(np.float32) / 65535)[None, None]
    stretched_rgb = reference_postprocess(ycrcb_to_rgb(luma, cr, cb))[0].permute(1, 2, 0)
    return Image.from_rgb(stretched_rgb.contiguous().numpy())


def streamed(moment: Moment, fused: Luma) -> Image:
    """As it ends in a pipeline in ``stream`` mode."""
    luma = np.rint(fused * np.float32(219 / 65535) + 16).astype(np.uint8)
    return Image(moment.visible.spec, (luma, *moment.visible.planes[1:]))


def endings() -> dict[str, Ending]:
    """One of each mode, for one scene."""
    contrast = SteadyContrast()

    def steady(moment: Moment, fused: Luma) -> Image:
        image = streamed(moment, fused)
        return stretched(image, contrast.limits(survey(image), moment.time_ns))

    return dict(zip(MODES, (published, streamed, steady), strict=True))


def write_videos(moments: Iterable[Moment], fused: npt.NDArray[Any], folder: Path) -> None:
    """One video per mode, ``MODE.mp4``."""
    ends = endings()
    with contextlib.ExitStack() as stack:
        writers: dict[str, VideoWriter] = {}
        for moment, luma in zip(moments, fused, strict=True):
            for mode, end in ends.items():
                image = end(moment, luma)
                if mode not in writers:
                    writer = VideoWriter(folder / f"{mode}.mp4", image.spec, fps=30)
                    writers[mode] = stack.enter_context(contextlib.closing(writer))
                writers[mode].write(image, moment.time_ns)


def measure(
    moments: Iterable[Moment], folder: Path
) -> tuple[dict[str, TemporalReport], dict[str, list[float]]]:
    """The measures of each mode, and the mean brightness of each frame of visible, infrared and each mode."""
    meters = {mode: TemporalMeter() for mode in MODES}
    bright: dict[str, list[float]] = {name: [] for name in ("visible", "infrared", *MODES)}
    with contextlib.ExitStack() as stack:
        videos = {
            mode: stack.enter_context(
                contextlib.closing(VideoSource(folder / f"{mode}.mp4", stream=StreamName.VISIBLE))
            )
            for mode in MODES
        }
        for moment in moments:
            planes = {"visible": gray8(moment.visible), "infrared": moment.infrared}
            for mode, video in videos.items():
                if (frame := video.read()) is None:
                    raise SystemExit(f"{folder / mode}.mp4 has fewer frames than were written")
                planes[mode] = gray8(frame.image)
                meters[mode].add(visible=planes["visible"], infrared=planes["infrared"], fused=planes[mode])
            for name, plane in planes.items():
                bright[name].append(float(plane.mean()))
    return {mode: meter.report() for mode, meter in meters.items()}, bright


def plot(scene: str, bright: Mapping[str, list[float]], path: Path) -> None:
    """Mean brightness over time: the sources thin, the modes thick."""
    figure = Figure(figsize=(9, 4), layout="constrained")
    axes = figure.subplots()
    for name, values in bright.items():
        thick = name in MODES
        axes.plot(values, label=name, lw=1.4 if thick else 0.7, ls="-" if thick else ":")
    axes.set(title=scene, xlabel="frame", ylabel="mean brightness, grey levels")
    axes.legend(ncols=len(bright), fontsize="small")
    figure.savefig(path, dpi=120)


def table(scenes: Mapping[str, Mapping[str, Any]]) -> str:
    """The means as a Markdown table."""
    header = ["scene", "mode", "flicker", "worst", "jitter", "worst", "SD", "SD to reference", "target"]
    rows = []
    for scene, modes in scenes.items():
        for mode, report in modes.items():
            mean, worst = report["mean"], report["worst"]
            ratio = mean["SD"] / modes["reference"]["mean"]["SD"] - 1
            numbers = [f"{mean['flicker']:.3f}", f"{worst['flicker']:.3f}", f"{mean['jitter']:.4f}"]
            numbers += [f"{worst['jitter']:.3f}", f"{mean['SD']:.2f}", f"{ratio:+.1%}"]
            judged = mode == "steady" and scene in REAL
            rows.append([scene, mode, *numbers, ("met" if target_met(modes) else "missed") if judged else ""])
    return markdown_table(header, rows, words=2)


def target_met(modes: Mapping[str, Any]) -> bool:
    """Whether steady flickers and jitters no more than reference, at a contrast within 5 % of it."""
    steady, reference = modes["steady"]["mean"], modes["reference"]["mean"]
    return bool(
        steady["flicker"] <= reference["flicker"]
        and steady["jitter"] <= reference["jitter"]
        and abs(steady["SD"] / reference["SD"] - 1) <= 0.05
    )


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="How steady each output mode is on video.")
    parser.add_argument("--model", default="grdb")
    parser.add_argument("--weights", default="default", help="default, a name, or a path")
    parser.add_argument("--scenes", nargs="*", choices=SCENES, default=list(SCENES), metavar="SCENE")
    parser.add_argument("--frames", type=int, help="only so many of each scene")
    parser.add_argument(
        "--keep", type=Path, required=True, help="folder for the fused luma (0.6 MB a frame) and the videos"
    )
    parser.add_argument(
        "--results", type=Path, default=Path("benchmarks/results"), help="folder of the table"
    )
    parser.add_argument("--plots", type=Path, help="folder for pictures of the brightness")
    return parser.parse_args()


def main() -> None:
    """Measure all scenes, write the JSON, print the table."""
    args = arguments()
    data = data_folder() / "m3svd/video"
    weights = resolve(args.weights, model=args.model)
    network = Network(weights)
    scenes: dict[str, dict[str, Any]] = {}
    for folder in filter(None, (args.keep, args.plots)):
        folder.mkdir(parents=True, exist_ok=True)
    for scene in args.scenes:

        def moments(scene: str = scene) -> Iterator[Moment]:
            return itertools.islice(SCENES[scene](data), args.frames)

        some = f"-{args.frames}" if args.frames else ""
        kept = args.keep / f"{scene}-{weights.card.sha256[:12]}{some}.npy"
        videos = kept.with_suffix("")
        videos.mkdir(exist_ok=True)
        write_videos(moments(), fused_scene(network, moments, kept), videos)
        reports, bright = measure(moments(), videos)
        scenes[scene] = {mode: {"mean": r.mean(), "worst": r.worst()} for mode, r in reports.items()}
        if args.plots:
            plot(scene, bright, args.plots / f"{weights.card.name}-{scene}.png")
    name = weights.card.name
    account = {
        "weights": {"name": name, "sha256": weights.card.sha256},
        "scenes": scenes,
        "target_met": {scene: target_met(modes) for scene, modes in scenes.items() if scene in REAL},
        "commands": [shlex.join(["python", *sys.argv])],
    }
    title = f"Weights {name}; means and worst frames, in grey levels of 0..255 per frame.\n\n"
    write_results(args.results, f"steadiness-{name}", account=account, text=title + table(scenes))


if __name__ == "__main__":
    run(main)

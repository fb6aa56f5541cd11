"""What a whole run records: all tracks on one timeline."""

from __future__ import annotations

import json

import av

from streamfuse.io.shelf import Track, list_segments

STREET = "synthetic://street?seed=7&size=160x120&fps=20"


def test_all_tracks_of_a_run_are_recorded_on_one_timeline(world) -> None:
    """Fused, visible, registered and raw infrared hold a picture for each line of the index."""
    street = f"{STREET}&duration=1.5"
    world.write_pipeline("every_frame", street, street)
    wishes = ("visible", "infrared", "raw_infrared", "subtitles")
    code, words = world.run(*(word for wish in wishes for word in ("--set", f"record.{wish}=true")))
    assert code == 0, words
    (segment,) = list_segments(world.folder / "recordings")
    assert set(segment.tracks) == set(Track)
    assert segment.index is not None
    header, *lines = (json.loads(line) for line in segment.index.read_text().splitlines())
    assert set(header["tracks"]) == set(Track)
    assert len(lines) == 30

    for track, path in segment.tracks.items():
        with av.open(str(path)) as container:
            assert sum(1 for _ in container.decode(video=0)) == 30, track
    assert world.summary["recordings"] == [str(segment.tracks[Track.FUSED])]
    assert world.summary["sinks"]["recorder"]["written"] == 30

"""The recorder: fused frames in, segments and clips of events out, whatever the disk does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

from streamfuse.clock import NS_PER_S, Utc
from streamfuse.config.outputs import Record
from streamfuse.core.degrade import Degrade
from streamfuse.errors import OutputError, SourceError, StreamfuseError
from streamfuse.frames import FusedFrame
from streamfuse.io.closing import Closing
from streamfuse.io.files import check_writable
from streamfuse.io.recorder.clips import ClipPlace, ClipWriter
from streamfuse.io.recorder.disk import make_room, spare_nbytes
from streamfuse.io.recorder.finisher import Finisher
from streamfuse.io.recorder.reel import Reel
from streamfuse.io.recorder.segment import Segment, SegmentPlan
from streamfuse.io.recorder.tracks import INDEX, ORDER, TrackEncoder
from streamfuse.io.recovery import Fate, Recovered, recover_clip, recover_segment
from streamfuse.io.shelf import Track, free_stem, list_clips, list_segments
from streamfuse.io.video.encoder import KEY_EVERY_S, VideoPacket
from streamfuse.io.video.encoders import pick_encoder
from streamfuse.io.video.file import FRAGMENT_S

__all__ = ["Recorder"]

_LOOK_NS: Final = NS_PER_S
"""How often the disk is looked at."""
_MEASURE_S: Final = 2.0
"""Seconds of a segment from which on it tells how fast its tracks grow."""


class Recorder(Closing):
    """Records fused frames into segments and clips that are readable at any moment.

    A new segment begins when ``segment_s`` has passed in capture time, when an image changes its size or
    form, and when a track stops or comes back; no frame is lost in between, because the encoders go on.
    A disk that is full or gone costs frames and nothing else: see :mod:`streamfuse.core.degrade`. What an
    earlier recorder left when it died is finished in the background.

    Args:
        record: What is recorded, and where; the folder is created if need be.
        name: Of the pipeline; the first part of every file name.
        fps: Nominal frames per second.
        utc: Gives frames their UTC.
        say: Told the level, ``warning`` or ``info``, and what the user has to know, in one sentence, once;
            also from another thread.
        patient: Whether a folder that cannot be written is waited for, rather than refused.

    Raises:
        OutputError: the folder cannot be written, and not ``patient``.
        MachineError: no encoder works.
    """

    def __init__(
        self,
        record: Record,
        *,
        name: str,
        fps: float,
        utc: Utc,
        say: Callable[[str, str], None] = lambda _level, _text: None,
        patient: bool = False,
    ) -> None:
        if not patient:
            check_writable(record.dir)
        self._codec = pick_encoder(record.codec).name
        self._record = record
        self._name = name
        self._fps = fps
        self._utc = utc
        self._inform, self._warn = partial(say, "info"), partial(say, "warning")
        self._tracks = [track for track in ORDER if track is Track.FUSED or getattr(record, track.value)]
        self._degrade = Degrade((*(track.value for track in self._tracks), INDEX))
        self._told: tuple[str, ...] = ()
        self._rates: dict[str, float] = {}
        self._no_room_why = ""
        self._look_at_ns = 0
        self._paths: list[Path] = []
        self._finisher = Finisher()
        place = ClipPlace(folder=record.dir, pipeline=name, fps=fps)
        self._clips = ClipWriter(place, record.clips, utc=utc, finisher=self._finisher, warn=self._warn)
        self._reel = Reel(
            [
                TrackEncoder(track, fps=fps, codec=record.codec, key_every_s=self._key_every_s(track))
                for track in self._tracks
            ],
            let_go=lambda segment: self._finisher.do(segment.close),
            on_restart=lambda track: self._clips.restart() if track is Track.FUSED else None,
        )
        self._recover()

    @property
    def paths(self) -> tuple[Path, ...]:
        """The fused videos begun so far, in order, under the names they have once they are closed."""
        return tuple(self._paths)

    def reload(self, record: Record) -> None:
        """Go by another ``retention`` and other ``clips`` from now on; the rest stays as it is."""
        if record.clips != self._record.clips:
            self._clips.reload(record.clips)
        self._record = self._record.model_copy(update={"retention": record.retention, "clips": record.clips})

    def turn(self, now_ns: int) -> None:
        """Look at the disk now and then; called all the time, whether frames come or not.

        Args:
            now_ns: Monotonic time.
        """
        if now_ns < self._look_at_ns:
            return
        self._look_at_ns = now_ns + _LOOK_NS
        self._tell_problems()
        segment = self._reel.segment
        if segment is not None and segment.length_s >= _MEASURE_S:
            self._rates |= {what: nbytes / segment.length_s for what, nbytes in segment.nbytes.items()}
        if segment is not None and not segment.is_there:
            self._reel.abandon()
            self._warn(f"{segment.plan.video}: was removed while it was written; another one begins")
        spare = self._spare_nbytes(now_ns)
        self._degrade.look(spare_nbytes=spare, nbytes_per_s=self._rates, now_ns=now_ns)
        if spare is None:
            self._reel.abandon()
            self._tell(f"{self._record.dir}: the folder is not there, or its disk does not answer")
        elif segment is not None or len(self._degrade.stopped) > len(self._told):
            # Whether all is well again shows when a segment could be begun.
            self._tell(f"{self._record.dir}: there is no room for everything, free some")

    def write(self, frame: FusedFrame, *, now_ns: int) -> bool:
        """Record one frame.

        A frame that was not captured after the one before it is shown a millisecond after it; its
        line in the index has the true time.

        Args:
            frame: Its images are not kept.
            now_ns: Monotonic time.

        Returns:
            Whether its fused image and its line were taken; without ``continuous`` it is always True.
        """
        shown_ns = self._shown(frame)
        segment = self._reel.segment
        if segment is not None and self._is_over(segment, shown_ns):
            self._reel.cut(shown_ns)
        if self._reel.segment is None and self._record.continuous:
            self._begin(frame, shown_ns, now_ns=now_ns)
        # The most important first, and the fused one in any case: clips need it.
        fused = self._encode(Track.FUSED, frame, shown_ns, now_ns=now_ns)
        for track in reversed(self._tracks):
            if track is not Track.FUSED and self._wants(track):
                self._encode(track, frame, shown_ns, now_ns=now_ns)
        encoder = self._reel.encoders[Track.FUSED]
        self._clips.see(frame, shown_ns, packets=fused, encoder=encoder)
        return self._note(frame, shown_ns, now_ns=now_ns) or not self._record.continuous

    def close(self) -> None:
        """Finish everything at hand; may be called twice. What cannot be finished is told."""
        try:
            self._reel.close()
        except OutputError as error:
            self._warn(str(error))
        self._clips.close()
        self._finisher.close()
        self._tell_problems()

    def _shown(self, frame: FusedFrame) -> int:
        try:
            return self._reel.shown(frame)
        except OutputError as error:
            self._warn(str(error))
            return self._reel.shown(frame)

    def _is_over(self, segment: Segment, shown_ns: int) -> bool:
        """Whether a frame belongs to the next segment."""
        is_long = shown_ns - segment.start_ns >= self._record.segment_s * NS_PER_S
        return is_long or segment.plan.tracks != self._running()

    def _running(self) -> frozenset[Track]:
        return frozenset(track for track in self._tracks if track.value in self._degrade.running)

    def _key_every_s(self, track: Track) -> float:
        """A file with texts goes to the disk from key to key, and half a second may be on its way."""
        has_texts = track is Track.FUSED and self._record.subtitles
        return FRAGMENT_S if has_texts else KEY_EVERY_S

    def _wants(self, track: Track) -> bool:
        segment = self._reel.segment
        return segment is not None and segment.wants(track)

    def _begin(self, frame: FusedFrame, shown_ns: int, *, now_ns: int) -> None:
        if INDEX not in self._degrade.running:
            return
        begun_utc = datetime.fromtimestamp(self._utc.utc_of(frame.capture_ns) // NS_PER_S, UTC)
        self._make_room(sum(self._rates.values()) * self._record.segment_s, now_ns=now_ns)
        plan = SegmentPlan(
            folder=self._record.dir,
            stem=free_stem(self._record.dir, self._name, begun_utc, number=len(self._paths) + 1),
            pipeline=self._name,
            tracks=self._running(),
            fps=self._fps,
            codec=self._codec,
            texts=self._record.subtitles,
        )
        try:
            self._reel.segment = Segment(plan, frame, start_ns=shown_ns, utc=self._utc)
        except OutputError as error:
            self._failed(INDEX, error, now_ns=now_ns)
            return
        if Track.FUSED in plan.tracks:
            self._paths.append(plan.video)

    def _encode(
        self, track: Track, frame: FusedFrame, shown_ns: int, *, now_ns: int
    ) -> Sequence[VideoPacket]:
        """What comes out for one image, which clips get even if the segment cannot take it."""
        packets: Sequence[VideoPacket] = ()
        try:
            packets = self._reel.encode(track, frame, shown_ns)
            self._reel.put(track, packets)
        except OutputError as error:
            self._failed(track, error, now_ns=now_ns)
        return packets

    def _note(self, frame: FusedFrame, shown_ns: int, *, now_ns: int) -> bool:
        segment = self._reel.segment
        if segment is None:
            return False
        try:
            segment.note(frame, shown_ns)
        except OutputError as error:
            self._failed(INDEX, error, now_ns=now_ns)
            return False
        return Track.FUSED in segment.plan.tracks & self._running()

    def _failed(self, what: str, error: OutputError, *, now_ns: int) -> None:
        self._degrade.failed(what, now_ns=now_ns)
        if INDEX not in self._degrade.running:
            self._reel.abandon()
        self._tell(str(error))

    def _spare_nbytes(self, now_ns: int) -> int | None:
        """Room on the disk, after old recordings have gone where it is too little and they may."""
        retention = self._record.retention
        spare = spare_nbytes(self._record.dir, retention)
        short = 0 if spare is None else self._degrade.needed_nbytes(self._rates) - spare
        if retention is None or retention.min_free is None or short <= 0:
            return spare
        self._make_room(self._degrade.needed_nbytes(self._rates), now_ns=now_ns)
        return spare_nbytes(self._record.dir, retention)

    def _make_room(self, next_nbytes: float, *, now_ns: int) -> None:
        retention = self._record.retention
        if retention is None:
            return
        now_utc = datetime.fromtimestamp(self._utc.utc_of(now_ns) / NS_PER_S, UTC)
        try:
            make_room(self._record.dir, retention, now_utc=now_utc, next_nbytes=round(next_nbytes))
        except StreamfuseError as error:
            if str(error) != self._no_room_why:
                self._warn(str(error))
            self._no_room_why = str(error)
        else:
            self._no_room_why = ""

    def _tell(self, why: str) -> None:
        """Say what is not recorded (any more), once for each change."""
        stopped = self._degrade.stopped
        if stopped == self._told:
            return
        self._told = stopped
        if stopped:
            self._warn(f"{why}; until then not recorded: {', '.join(stopped)}")
        else:
            self._inform(f"{self._record.dir}: everything is recorded again")
            self._recover()

    def _recover(self) -> None:
        """Finish what a recorder that died, or this one in trouble, has left: listed now, done beside."""
        try:
            segments = [each for each in list_segments(self._record.dir) if each.is_open]
            clips = [each for each in list_clips(self._record.dir) if each.is_open]
        except SourceError as error:
            self._warn(str(error))
            return
        for segment in segments:
            self._finisher.do(partial(self._mend, partial(recover_segment, segment)))
        for clip in clips:
            self._finisher.do(partial(self._mend, partial(recover_clip, clip)))

    def _mend(self, recover: Callable[[], list[Recovered]]) -> None:
        finished = ", ".join(each.path.name for each in recover() if each.fate is Fate.FINISHED)
        if finished:
            self._inform(f"{self._record.dir}: finished what was cut off: {finished}")

    def _tell_problems(self) -> None:
        for problem in self._finisher.problems():
            self._warn(str(problem))

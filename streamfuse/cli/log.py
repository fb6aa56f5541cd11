"""What a long-running command says while it works: for people on a terminal, as JSON lines elsewhere."""

from __future__ import annotations

import contextlib
import enum
import json
import sys
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Final, Self, TextIO

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from streamfuse.clock import SystemClock, UtcLabel, utc_text

__all__ = ["LOG_OPTION", "HumanLog", "JsonLog", "Log", "LogFormat", "open_log"]


class LogFormat(enum.StrEnum):
    """How messages are written."""

    AUTO = "auto"
    HUMAN = "human"
    JSON = "json"


LOG_OPTION: Final = typer.Option(
    "--log",
    envvar="STREAMFUSE_LOG",
    help="Messages for people or, one JSON object a line, for programs; auto: for people on a terminal.",
)


class Log(ABC):
    """Messages and a line that shows the moment, on standard error; used in a ``with`` block.

    Words that nobody can read any more, because the terminal was closed, are no reason to stop working.
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    @abstractmethod
    def say(
        self,
        text: str,
        *,
        source: str = "run",
        event: str = "message",
        level: str = "info",
        human: str | None = None,
    ) -> None:
        """Something happened.

        Args:
            text: One sentence.
            source: Whom it is about: a worker, a stream, the run.
            event: What kind of thing, in a word.
            level: ``info``, ``warning`` or ``error``.
            human: How people are told, if it is not by ``text`` alone.
        """

    @abstractmethod
    def show(self, line: Text) -> None:
        """The state of the moment; it replaces the one before."""


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Fall silent; rich would end the program."""
        self.quiet = True


class HumanLog(Log):
    """Sentences, with a last line that is rewritten in place where there is a terminal.

    Args:
        stream: Where to write.
    """

    def __init__(self, stream: TextIO) -> None:
        self._console = _Console(file=stream)
        self._live = Live(Text("starting"), console=self._console, auto_refresh=False, transient=True)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            with contextlib.suppress(OSError):
                self._live.stop()

    def say(
        self,
        text: str,
        *,
        source: str = "run",  # noqa: ARG002 - people read it in the sentence
        event: str = "message",  # noqa: ARG002 - likewise
        level: str = "info",
        human: str | None = None,
    ) -> None:
        """Print a message, above the line; errors begin with the program's name."""
        words = human or text
        if level == "error":
            words = f"streamfuse: {words}"
        with contextlib.suppress(OSError):
            self._console.print(Text(words), highlight=False, soft_wrap=not self._console.is_terminal)

    def show(self, line: Text) -> None:
        """Rewrite the line; without a terminal nothing is shown."""
        if self._console.is_terminal:
            with contextlib.suppress(OSError):
                self._live.update(line, refresh=True)


class JsonLog(Log):
    """One JSON object a line: ``time`` (UTC), ``level``, ``source``, ``event``, ``message``.

    What keeps a command from beginning its work is not part of its log: that is one plain sentence,
    as with every command.

    Args:
        stream: Where to write.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def say(
        self,
        text: str,
        *,
        source: str = "run",
        event: str = "message",
        level: str = "info",
        human: str | None = None,  # noqa: ARG002 - programs read the fields
    ) -> None:
        """Write a message."""
        line = {"time": _utc_now(), "level": level, "source": source, "event": event, "message": text}
        with contextlib.suppress(OSError):
            self._stream.write(json.dumps(line, ensure_ascii=False) + "\n")
            self._stream.flush()

    def show(self, line: Text) -> None:
        """Nothing: programs ask the metrics page."""


def open_log(format: LogFormat, stream: TextIO | None = None) -> Log:
    """The log of a command.

    Args:
        format: As the user wants it.
        stream: Where to write; standard error by default.
    """
    out = sys.stderr if stream is None else stream
    for_people = out.isatty() if format is LogFormat.AUTO else format is LogFormat.HUMAN
    return HumanLog(out) if for_people else JsonLog(out)


def _utc_now() -> str:
    return utc_text(UtcLabel.read().utc_of(SystemClock().now_ns()))

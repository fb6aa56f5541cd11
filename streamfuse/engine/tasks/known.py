"""A task network as far as it must be known to use what it says, without building it.

Building one takes torch and Ultralytics, seconds before anything is computed. What a reader of its results
needs is noted in our cache folder the first time, by the content of the weights; a runtime that keeps its own
form of the network there, too, then starts without either.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

from streamfuse.engine.backends.exports import Exports
from streamfuse.engine.store import locate, verify
from streamfuse.engine.tasks.facts import TaskFacts
from streamfuse.engine.tasks.places import DEFAULT_DETECTOR, is_pickle, task_weights_path
from streamfuse.errors import WeightsError

if TYPE_CHECKING:  # with torch: see above
    from streamfuse.engine.tasks.graph import TaskGraph

__all__ = ["KnownNetwork"]

_FILE: Final = "facts.json"


class KnownNetwork:
    """A network that is built when somebody asks for it, and belongs to who does.

    Args:
        weights: ``default``, a name of the weights store, or a path ending in ``.safetensors`` or ``.pt``.
        kind: ``detect``, or ``segment`` where masks are wanted.
        trust: run the code in a ``.pt`` file, if it holds any beyond a known network.
        where: begins every message: ``tasks.detect.weights`` or ``--weights``.
    """

    def __init__(self, weights: str, *, kind: str, trust: bool, where: str) -> None:
        self._weights = weights
        self._kind = kind
        self._trust = trust
        self._where = where
        self._built: TaskGraph | None = None
        self._sha256, self._names = _identity(weights)
        self.content = f"{self._sha256} {'masks' if kind == 'segment' else 'boxes'}"
        """What exports of it are kept by."""
        self.facts = self._known_facts()

    def graph(self) -> TaskGraph:
        """The network, folded for inference; built once.

        Raises:
            WeightsError: see :func:`streamfuse.engine.tasks.networks.load_task_network`.
        """
        if self._built is None:
            from streamfuse.engine.tasks.graph import TaskGraph  # noqa: PLC0415 - torch, see above
            from streamfuse.engine.tasks.networks import load_task_network  # noqa: PLC0415

            network = load_task_network(self._weights, kind=self._kind, trust=self._trust, where=self._where)
            self._built = TaskGraph(network, masks=self._kind == "segment")
        return self._built

    def _known_facts(self) -> TaskFacts:
        """From the notes of an earlier start, else from the network itself.

        Raises:
            WeightsError: the network cannot be had, or has no masks where they are wanted.
        """
        facts = self._noted() or self.graph().facts
        if facts.kind not in {self._kind, "segment"}:
            return self.graph().facts  # says what is wrong with it
        return facts

    def _noted(self) -> TaskFacts | None:
        """What an earlier start noted, or this one does now; None where nothing can be noted."""
        if self._sha256 is None:
            return None
        # Names may stand on a card, which can be edited; what a pickle holds may need trust to be read.
        subject = f"{self._sha256} facts {self._names} {'trusted' if self._trust else ''}"
        exports = Exports(subject, runtime="ultralytics")
        try:
            place = exports.find((), self._note)
            return TaskFacts.from_json((place / _FILE).read_text(encoding="utf-8"))
        except OSError:  # a cache that cannot be written, or that another process has just emptied
            return None
        except ValueError:  # damaged
            exports.drop(place)
            return None

    def _note(self, folder: Path) -> None:
        (folder / _FILE).write_text(self.graph().facts.to_json(), encoding="utf-8")


def _identity(weights: str) -> tuple[str | None, tuple[str, ...]]:
    """Digest of a weights file, and class names on its card; None if loading it will say what is wrong."""
    try:
        if not is_pickle(weights):
            found = verify(locate(weights, default=DEFAULT_DETECTOR))
            return found.card.sha256, found.card.classes
        with task_weights_path(weights).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest(), ()
    except (OSError, WeightsError):
        return None, ()

"""The weights store: where files lie, and what is known of them before a network is built.

At run time only safetensors files are read, and a file is used only if its sha256 is the one on the
JSON card beside it. A published ``.pth`` is a pickle; :mod:`streamfuse.engine.importing` converts it once.

A name is looked up in the user's store (``$XDG_DATA_HOME/streamfuse/weights``), then among the shipped
files. ``default`` is the shipped default of the model; a path that ends in ``.safetensors`` is itself.

Nothing here needs torch, which takes seconds to load: :mod:`streamfuse.engine.weights` reads the numbers.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from streamfuse.engine.weightscard import WeightsCard
from streamfuse.errors import UsageError, WeightsError
from streamfuse.folders import data_dir
from streamfuse.nets.registry import network_names, network_spec, serves

__all__ = [
    "WeightsFile",
    "card_path",
    "checked_content",
    "default_of",
    "list_weights",
    "locate",
    "resolve",
    "shipped_dir",
    "user_dir",
    "user_path",
    "verify",
]

_DEFAULTS: Mapping[str, str] = MappingProxyType(
    {"grdb": "grdb-fine", "grdb-edge": "grdb-fine", "grdb-quarter": "grdb-quarter-fine"}
)
"""Shipped weights that ``default`` stands for, by model."""

_SUFFIX = ".safetensors"
_PICKLES = frozenset({".pth", ".pt", ".ckpt", ".bin", ".pkl", ".pickle", ".tar"})
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsFile:
    """A safetensors file together with its card."""

    path: Path
    card: WeightsCard


def shipped_dir() -> Path:
    """Folder of the weights that come with the package."""
    return Path(__file__).parent.parent / "weights"


def user_dir() -> Path:
    """Folder of the user's own weights; it need not exist."""
    return data_dir() / "weights"


def resolve(name_or_path: str | Path, *, model: str = "grdb") -> WeightsFile:
    """Find weights for a model, and check them against their card.

    Args:
        name_or_path: ``default``, a name of the store, or a path ending in ``.safetensors``.
        model: network that the weights must be of, or the family of that network.

    Raises:
        UsageError: there is no such model.
        WeightsError: nothing is found, the file is a pickle, is damaged, has no card, or belongs to
            another architecture.
    """
    network_spec(model)
    if name_or_path == "default" and model not in _DEFAULTS:
        raise WeightsError(f"no weights are shipped for {model!r}; name some or give a path")
    path = locate(str(name_or_path), default=_DEFAULTS.get(model, ""))
    found = verify(path)
    architecture = found.card.architecture
    if architecture not in network_names():
        raise WeightsError(f"{path} holds weights of {architecture!r}, which is no fusion network")
    if not serves(architecture, model):
        raise WeightsError(
            f"{path} holds weights of {architecture!r}, but the model is {model!r}; "
            f"set `model: {architecture}` or choose other weights"
        )
    return found


def default_of(weights: WeightsFile) -> tuple[str, ...]:
    """The fusion models for which ``default`` stands for these weights."""
    if weights.path.parent != shipped_dir():
        return ()
    return tuple(model for model, name in _DEFAULTS.items() if name == weights.path.stem)


def locate(name: str, *, default: str) -> Path:
    """Path that a name, ``default`` or a path stands for; a path need not exist.

    Args:
        name: ``default``, a name of the store, or a path ending in ``.safetensors``.
        default: name of the shipped file that ``default`` stands for.

    Raises:
        WeightsError: nothing has this name, or it is that of a pickle.
    """
    if Path(name).suffix.lower() in _PICKLES:
        raise WeightsError(
            f"{name} is a pickle, which can run code when loaded; import it first: "
            f"streamfuse weights import {name} --as NAME"
        )
    if name.endswith(_SUFFIX):
        return Path(name).expanduser()
    if name == "default":
        return shipped_dir() / f"{default}{_SUFFIX}"
    known = _named_paths()
    if name in known:
        return known[name]
    nearest = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
    raise WeightsError(
        f"no weights are called {name!r}, known are: default, {', '.join(sorted(known))}{hint}"
    )


def verify(path: Path) -> WeightsFile:
    """Check a file against the card beside it.

    Raises:
        WeightsError: the file or its card is missing or damaged, or they do not belong together.
    """
    content = _read(path)
    card = WeightsCard.read(card_path(path))
    _check(content, path, card)
    return WeightsFile(path=path, card=card)


def list_weights() -> list[WeightsFile]:
    """All weights that can be named: the user's, then the shipped ones, each sorted by name.

    Raises:
        WeightsError: a file in the store is damaged.
    """
    paths = _named_paths()
    return [verify(paths[name]) for name in sorted(paths, key=lambda n: (paths[n].parent != user_dir(), n))]


def user_path(name: str) -> Path:
    """Where the user's store keeps weights of this name.

    Raises:
        UsageError: the name cannot be taken.
    """
    if not _NAME.fullmatch(name) or name == "default" or (shipped_dir() / f"{name}{_SUFFIX}").exists():
        raise UsageError(
            f"weights cannot be called {name!r}: use lower-case letters, digits, '.', '_' and '-', "
            "and neither `default` nor the name of shipped weights"
        )
    return user_dir() / f"{name}{_SUFFIX}"


def card_path(path: Path) -> Path:
    """Where the card of a weights file lies."""
    return path.with_suffix(".json")


def checked_content(weights: WeightsFile) -> bytes:
    """The bytes of a weights file.

    Raises:
        WeightsError: the file is missing, or no longer that of its card.
    """
    content = _read(weights.path)
    _check(content, weights.path, weights.card)
    return content


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise WeightsError(f"cannot read the weights {path}: {error.strerror}") from error


def _check(content: bytes, path: Path, card: WeightsCard) -> None:
    """Refuse content that is not the one of the card."""
    digest = hashlib.sha256(content).hexdigest()
    if digest != card.sha256:
        raise WeightsError(
            f"{path} is damaged or was exchanged: its sha256 is {digest[:12]}…, its card says "
            f"{card.sha256[:12]}…; import or train it again"
        )


def _named_paths() -> dict[str, Path]:
    """Every file of the stores by name; the user's own win."""
    folders = (shipped_dir(), user_dir())
    return {path.stem: path for folder in folders for path in folder.glob(f"*{_SUFFIX}")}

"""Which files belong together: the two sources and the fused images of every set, by stem."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from streamfuse.errors import SourceError, UsageError
from streamfuse.io.images import SUFFIXES, by_stem, list_images

__all__ = ["Match", "Triple", "match_folders", "read_stems", "set_names"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Triple:
    """A fused image and its two sources."""

    visible: Path
    infrared: Path
    fused: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """The images that are compared, the same for every set, and those that are not."""

    sets: tuple[Mapping[str, Triple], ...]
    """For each folder of fused images its triples by stem, in natural order."""
    left_out: tuple[str, ...]
    """Stems that are wanted, but not in every folder."""
    unfused: int
    """Pairs of sources that no set has a fused image of."""


def match_folders(
    sources: tuple[Path, Path],
    fused: Sequence[Path],
    *,
    stems: Sequence[str] | None = None,
    common: bool = False,
) -> Match:
    """Find the images to compare: ``stems``, or whatever the folders of fused images hold.

    The sources may hold more, as when only a part of them was fused. What is compared must be in
    every folder, so that the means of the sets are means over the same images.

    Args:
        sources: folders of visible and infrared images.
        fused: folders of fused images, one for each set.
        stems: only these images.
        common: leave out what is not in every folder, instead of raising.

    Raises:
        SourceError: a folder is missing, empty or holds a stem twice; an image is not in every
            folder, or none is.
    """
    folders = {folder: by_stem(list_images(folder)) for folder in (*sources, *fused)}
    held = dict.fromkeys(stem for folder in fused for stem in folders[folder])
    wanted = tuple(held if stems is None else stems)
    everywhere = set.intersection(*(set(images) for images in folders.values()))
    shared = [stem for stem in wanted if stem in everywhere]
    left_out = tuple(stem for stem in wanted if stem not in everywhere)
    if not shared:
        firsts = {folder: next(iter(images.values())) for folder, images in folders.items()}
        some = "; ".join(f"{folder} has {image.name}" for folder, image in firsts.items())
        of_list = "" if stems is None else " of the list"
        raise SourceError(f"no image{of_list} is in all folders under one name: {some}; name partners alike")
    if left_out and not common:
        holds = next((folder for folder in fused if left_out[0] in folders[folder]), "the list of names")
        lacks = next(folder for folder, images in folders.items() if left_out[0] not in images)
        raise SourceError(
            f"{lacks}: holds no image {left_out[0]}, which is in {holds}; "
            "add it, or compare what all folders have with --common"
        )
    visible, infrared = (folders[folder] for folder in sources)
    return Match(
        sets=tuple(
            {s: Triple(visible=visible[s], infrared=infrared[s], fused=folders[folder][s]) for s in shared}
            for folder in fused
        ),
        left_out=left_out,
        unfused=sum(stem in infrared and stem not in held for stem in visible) if stems is None else 0,
    )


def set_names(folders: Sequence[Path]) -> tuple[str, ...]:
    """A name for each folder: its own, with as many of its parents as tell it from the others.

    Raises:
        UsageError: a folder is given twice.
    """
    # Not resolved: the name of a link is what its maker calls the set.
    parts = [Path(os.path.abspath(folder)).parts for folder in folders]  # noqa: PTH100
    twice = [folder for folder, own in zip(folders, parts, strict=True) if parts.count(own) > 1]
    if twice:
        raise UsageError(f"the folder {twice[0]} is given twice; give each set once")
    return tuple(_shortest_tail(own, parts) for own in parts)


def read_stems(path: Path) -> tuple[str, ...]:
    """Read a list of images, one a line, with or without suffix; empty lines are skipped.

    Raises:
        SourceError: it cannot be read as text, or is empty.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except UnicodeDecodeError as error:
        raise SourceError(f"{path}: is no text in UTF-8; give a list of names, one a line") from error
    names = [Path(line.strip()) for line in lines if line.strip()]
    if not names:
        raise SourceError(f"{path}: is empty; write the names of images into it, one a line")
    return tuple(dict.fromkeys(name.stem if name.suffix.lower() in SUFFIXES else name.name for name in names))


def _shortest_tail(own: tuple[str, ...], all_parts: Sequence[tuple[str, ...]]) -> str:
    """The end of a path that no other path ends with."""
    for length in range(1, len(own)):
        tail = own[-length:]
        if sum(parts[-length:] == tail for parts in all_parts) == 1:
            return "/".join(tail)
    return str(Path(*own))

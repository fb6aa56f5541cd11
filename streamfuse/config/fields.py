"""The field types of all configuration models: strict blocks, paths, addresses of sources and of servers."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from streamfuse.config.document import Text

__all__ = [
    "AbsolutePath",
    "Block",
    "ByteCount",
    "HostPort",
    "Name",
    "SourceUri",
    "TaskWeights",
    "Weights",
    "absolute",
    "are_one_address",
    "expected",
    "is_loopback",
    "split_host_port",
]

_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_HOST_PORT: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LOOPBACK: Final = {"127.0.0.1", "::1", "localhost"}
_ALL: Final = {"0.0.0.0", "::"}  # noqa: S104 - only compared with
"""Hosts that stand for every address of this machine."""
_BYTES: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([KMGT]?)(i?)B")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


class Block(BaseModel):
    """A block of keys: frozen, no unknown keys, no silent conversions (``"4"`` is not 4)."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def expected(what: str) -> PydanticCustomError:
    """The error of a value that is not ``what``; the message is completed with the value and its place."""
    return PydanticCustomError("expected", "{what}", {"what": what})


def absolute(value: Any) -> Any:
    """Join a relative path with the folder its document gives it; text only, no file is touched."""
    if not isinstance(value, str):
        return value
    if not value or _CONTROL.search(value):
        raise expected("a path")
    base_dir = value.base_dir if isinstance(value, Text) else Path.cwd()
    return os.path.normpath(base_dir / value)


def _absolute_unless_uri(value: Any) -> Any:
    if isinstance(value, str) and _SCHEME.match(value) and not _CONTROL.search(value):
        return str(value)
    return absolute(value)


def _name(value: Any) -> Any:
    if isinstance(value, str) and not _NAME.fullmatch(value):
        raise expected("1 to 64 letters, digits, dots, dashes or underscores")
    return value


def _weights(value: Any) -> Any:
    return absolute(value) if isinstance(value, str) and value.endswith((".safetensors", ".pt")) else value


def _task_weights(value: Any) -> Any:
    if isinstance(value, str) and Path(value).suffix not in {".pt", ".safetensors"}:
        if not _NAME.fullmatch(value):
            raise expected("default, the name of weights, or a path that ends in .pt or .safetensors")
        return value
    return absolute(value)


def split_host_port(address: str) -> tuple[str, int]:
    """Host (an IPv6 one without its brackets) and port of ``host:port``.

    Raises:
        ValueError: ``address`` is something else, or the port is above 65535.
    """
    match = _HOST_PORT.fullmatch(address)
    if match is None or int(match[2]) > 65535:
        raise ValueError(f'expected host:port such as 127.0.0.1:8090, got "{address}"')
    return match[1].strip("[]"), int(match[2])


def _host_port(value: Any) -> Any:
    if isinstance(value, str):
        try:
            split_host_port(value)
        except ValueError as error:
            raise expected("host:port such as 127.0.0.1:8090") from error
    return value


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens on ``host``."""
    return host in _LOOPBACK


def are_one_address(one: tuple[str, int], other: tuple[str, int]) -> bool:
    """Whether two cannot listen on these hosts and ports at once; port 0 is any that is free."""
    hosts = {one[0], other[0]}
    return one[1] == other[1] != 0 and (len(hosts) == 1 or bool(hosts & _ALL) or hosts <= _LOOPBACK)


def _byte_count(value: Any) -> Any:
    """``20GB`` (powers of 1000) or ``2GiB`` (of 1024) as bytes; whole numbers are bytes already."""
    if not isinstance(value, str):
        return value
    match = _BYTES.fullmatch(value)
    if match is None:
        raise expected("bytes such as 20GB or 500MiB")
    return round(float(match[1]) * (1024 if match[3] else 1000) ** ("BKMGT".index(match[2] or "B")))


Name = Annotated[str, BeforeValidator(_name)]
"""Letters, digits, dot, dash and underscore: what can be part of a file name anywhere."""

AbsolutePath = Annotated[Path, Field(strict=False), BeforeValidator(absolute)]
"""A path, made absolute: from the folder of the file it stands in, or the working directory for ``--set``."""

SourceUri = Annotated[str, BeforeValidator(_absolute_unless_uri)]
"""``scheme://…`` as it is, everything else is a path."""

Weights = Annotated[str, StringConstraints(min_length=1), BeforeValidator(_weights)]
"""``default``, the name of imported weights, or a path that ends in .safetensors or .pt."""

TaskWeights = Annotated[str, BeforeValidator(_task_weights)]
"""``default``, the name of imported weights, or a path that ends in .pt or .safetensors."""

HostPort = Annotated[str, BeforeValidator(_host_port)]
"""``host:port``; port 0 takes a free one."""

ByteCount = Annotated[int, BeforeValidator(_byte_count), Field(ge=0)]
"""Bytes: a whole number, or text such as ``20GB`` or ``500MiB``."""

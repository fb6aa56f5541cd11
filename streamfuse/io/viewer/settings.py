"""What a viewer is told when it is made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from streamfuse.config.fields import is_loopback
from streamfuse.errors import UsageError

__all__ = ["ViewerSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewerSettings:
    """Where the page is, who may see it, and what it shows besides the live pictures.

    Raises:
        UsageError: others could reach the page without a token, or a number is out of its range.
    """

    host: str = "127.0.0.1"
    """Name or address to listen on; ``0.0.0.0`` or ``::`` for all of this machine's."""
    port: int = 0
    """0 takes a free one."""
    pipeline: str = ""
    """Its name, for the page."""
    token: str | None = None
    """What a browser must know; None: nothing, on loopback only."""
    certificate: Path | None = None
    """PEM file with the chain of certificates; with ``key`` the page is https."""
    key: Path | None = None
    origins: tuple[str, ...] = ()
    """Further addresses, such as ``https://box.example``, under which browsers know the page."""
    quality: int = 80
    """Of the JPEGs, 1..100."""
    max_fps: float = 30.0
    """Pictures per second that a browser gets at most."""
    recordings: Path | None = None
    """Folder that the recorder writes; None: there are no recordings to show."""
    status_file: Path | None = None
    """JSON file in which the supervisor tells how the run is; None: nobody does."""

    def __post_init__(self) -> None:
        if not self.token and not is_loopback(self.host):
            raise UsageError(
                f"viewer.web: {self.host} can be reached by others, so the viewer needs a token; set "
                "viewer.token, or listen on 127.0.0.1 and forward the port with ssh -L"
            )
        if not 0 <= self.port <= 65535:
            raise UsageError(f"the viewer's port must be within 0..65535, got {self.port}")
        if not 1 <= self.quality <= 100:
            raise UsageError(f"viewer.quality must be within 1..100, got {self.quality}")
        if self.max_fps <= 0:
            raise UsageError(f"viewer.max_fps must be above 0, got {self.max_fps}")

    @property
    def encrypted(self) -> bool:
        """Whether the page is https."""
        return self.certificate is not None

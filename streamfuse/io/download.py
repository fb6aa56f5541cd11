"""Files from a web server: for the one command that goes to the network because the user asked it to."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

import httpx

from streamfuse.errors import OutputError, SourceError

__all__ = ["download"]

_TIMEOUT_S: Final = 30.0
"""Without a byte."""
_AS_IT_IS: Final = {"Accept-Encoding": "identity", "User-Agent": "streamfuse"}


def download(url: str, path: Path, *, on_bytes: Callable[[int, int | None], None]) -> str:
    """Fetch a file, following redirections.

    Args:
        url: http or https.
        path: gets the file; what was there is replaced. After an error it may hold a part.
        on_bytes: told the bytes so far, and those of the whole where the server says it.

    Returns:
        The sha256 of the file, lower-case hexadecimal.

    Raises:
        SourceError: the server cannot be reached, has no such file, or stops early.
        OutputError: the file cannot be written.
    """
    digest, done = hashlib.sha256(), 0
    try:
        with (
            path.open("wb") as file,
            httpx.stream("GET", url, follow_redirects=True, timeout=_TIMEOUT_S, headers=_AS_IT_IS) as answer,
        ):
            answer.raise_for_status()
            length = answer.headers.get("Content-Length")
            for part in answer.iter_raw():
                file.write(part)
                digest.update(part)
                done += len(part)
                on_bytes(done, None if length is None else int(length))
    except httpx.HTTPStatusError as error:
        raise SourceError(f"cannot fetch {url}: the server answers {error.response.status_code}") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        why = str(error) or type(error).__name__
        raise SourceError(
            f"cannot fetch {url}: {why}; without a network, fetch it elsewhere and give the file itself"
        ) from error
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error
    return digest.hexdigest()

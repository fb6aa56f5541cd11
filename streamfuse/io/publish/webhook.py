"""Messages as HTTP POSTs. The only file that knows httpx."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Final

import httpx

from streamfuse.config.outputs import WebhookSink
from streamfuse.core.backoff import Backoff
from streamfuse.core.messages import Message
from streamfuse.errors import UsageError
from streamfuse.io.publish.courier import Carry
from streamfuse.io.publish.standing import Standing

__all__ = ["WebhookCarrier"]

_LATER: Final = frozenset({408, 425, 429})
"""Answers of the family 4xx that mean: not now. The others mean: never."""
_FIRST_RETRY_S: Final = 0.5
_MAX_RETRY_S: Final = 10.0


class WebhookCarrier:
    """Posts each message to a server, one after the other.

    An answer of 2xx takes the message. Where the server is away, too slow, or says that it cannot now (5xx,
    408, 425, 429), the message is tried again with growing delays for ``retry_s``; any other answer refuses
    it. Redirections are not followed: the secret token is for this address only.

    Raises:
        UsageError: the address is none.
    """

    def __init__(self, sink: WebhookSink) -> None:
        url = _checked(sink.url)
        self.standing = Standing(f"{url.scheme}://{url.netloc.decode()}{url.path}")  # without its secrets
        self._url = url
        self._sink = sink
        headers = {"Content-Type": "application/json", "User-Agent": "streamfuse"}
        if sink.token is not None:
            headers["Authorization"] = f"Bearer {sink.token}"
        self._client = httpx.AsyncClient(headers=headers, timeout=sink.timeout_s)
        self._backoff = Backoff(_FIRST_RETRY_S, max_s=_MAX_RETRY_S)

    async def __aenter__(self) -> Carry:
        return self._carry

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def _carry(self, message: Message) -> None:
        loop = asyncio.get_running_loop()
        give_up_s = loop.time() + self._sink.retry_s
        while True:
            problem, is_final = await self._post(message)
            if problem is None:
                self._backoff.reset()
                self.standing.work()
                return
            self.standing.fail(problem)
            delay_s = self._backoff.next_delay_s()
            if is_final or loop.time() + delay_s > give_up_s:
                self.standing.lose()
                return
            await asyncio.sleep(delay_s)

    async def _post(self, message: Message) -> tuple[str | None, bool]:
        """What went wrong, if anything, and whether there is no use in trying again."""
        try:
            answer = await self._client.post(self._url, content=message.body)
        except httpx.TimeoutException:
            return f"no answer within {self._sink.timeout_s:g} s", False
        except httpx.HTTPError as error:
            return f"cannot be reached ({error or type(error).__name__})", False
        if answer.is_success:
            return None, False
        status = answer.status_code
        why = f"answers {status} {answer.reason_phrase}"
        return why, status < 500 and status not in _LATER


def _checked(text: str) -> httpx.URL:
    try:
        return httpx.URL(text)
    except httpx.InvalidURL as error:
        raise UsageError(f"publish: cannot post to the webhook's url: {error}") from error

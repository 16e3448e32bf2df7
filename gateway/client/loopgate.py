"""Loopgate: the client, blocking and async. Two shells around the same dialogues; nothing is decided here."""

import asyncio
import inspect
import os
import time
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Self, TypeVar, get_args

import httpx2

from gateway.client.asking import Asking
from gateway.client.dialogue import Dialogue, Heard, NoReply, Patience, Pause, Reply, Send, Step
from gateway.outgoing import checked_url
from loops.errors import Rejected

P = ParamSpec("P")
T = TypeVar("T")
C = TypeVar("C", bound=Callable[..., Any])

#: How long a call goes on while the gateway is away, in seconds.
PATIENCE_S = 60.0


def _blocking(call: Callable[Concatenate[Asking, P], Dialogue[T]]) -> Callable[Concatenate["Loopgate", P], T]:
    @wraps(call)
    def carried_on(self: "Loopgate", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.carry_on(call(self.asking, *args, **kwargs))

    return _shown(carried_on, call)


def _awaiting(
    call: Callable[Concatenate[Asking, P], Dialogue[T]],
) -> Callable[Concatenate["AsyncLoopgate", P], Coroutine[Any, Any, T]]:
    @wraps(call)
    async def carried_on(self: "AsyncLoopgate", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.carry_on(call(self.asking, *args, **kwargs))

    return _shown(carried_on, call)


def _shown(method: C, call: Callable[..., Any]) -> C:
    """Have help() say that *method* returns what comes of the dialogue."""
    said = inspect.signature(call)
    *_, result = get_args(said.return_annotation)
    method.__signature__ = said.replace(return_annotation=result)  # type: ignore[attr-defined]
    return method


class Loopgate:
    """
    A client that blocks. Its calls are those of `Asking`.

    May be shared by threads. Use it as a context manager, or `close` it.

    Args:
        url: Where the gateway is, such as ``https://loopgate.example.com``; by default ``LOOPGATE_URL``.
        token: An API key's token, as `loopgate keys create` prints it; by default ``LOOPGATE_TOKEN``.
        patience_s: How long each call goes on while the gateway is away, over its limits or cannot be reached.

    Raises:
        Rejected: If url or token are missing, or cannot be used.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        patience_s: float = PATIENCE_S,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        """Connect to nothing yet. *transport* is another way to the gateway, for tests."""
        self._http = httpx2.Client(**_connection(url, token), transport=transport)
        self.asking = Asking(Patience(patience_s, time.monotonic))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    approve = _blocking(Asking.approve)
    request = _blocking(Asking.request)
    get = _blocking(Asking.get)
    wait = _blocking(Asking.wait)
    withdraw = _blocking(Asking.withdraw)
    loops = _blocking(Asking.loops)

    def carry_on(self, dialogue: Dialogue[T]) -> T:
        """Carry *dialogue* on to its end. What interrupts us is told to it, so that it can say a last word."""
        going: Callable[[Any], Step] = dialogue.send
        said: Any = None
        while True:
            try:
                step = going(said)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            try:
                going, said = dialogue.send, self._heard(step)
            except BaseException as interrupted:
                going, said = dialogue.throw, interrupted

    def _heard(self, step: Step) -> Heard:
        if isinstance(step, Pause):
            time.sleep(step.seconds)
            return None
        try:
            response = self._http.request(**_request(step))
        except httpx2.TransportError as error:
            return _unheard(error)
        return _reply(response)


class AsyncLoopgate:
    """
    A client that awaits; otherwise as `Loopgate`. It belongs to the event loop that it is first used in.

    A task that is cancelled while it waits takes its request back, where it asked without a key; that may take a few
    seconds.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        patience_s: float = PATIENCE_S,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        """Connect to nothing yet. See `Loopgate`."""
        self._http = httpx2.AsyncClient(**_connection(url, token), transport=transport)
        self.asking = Asking(Patience(patience_s, time.monotonic))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    approve = _awaiting(Asking.approve)
    request = _awaiting(Asking.request)
    get = _awaiting(Asking.get)
    wait = _awaiting(Asking.wait)
    withdraw = _awaiting(Asking.withdraw)
    loops = _awaiting(Asking.loops)

    async def carry_on(self, dialogue: Dialogue[T]) -> T:
        """Carry *dialogue* on to its end. What interrupts us, a cancellation too, is told to it."""
        going: Callable[[Any], Step] = dialogue.send
        said: Any = None
        while True:
            try:
                step = going(said)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            try:
                going, said = dialogue.send, await self._heard(step)
            except BaseException as interrupted:
                going, said = dialogue.throw, interrupted

    async def _heard(self, step: Step) -> Heard:
        if isinstance(step, Pause):
            await asyncio.sleep(step.seconds)
            return None
        try:
            response = await self._http.request(**_request(step))
        except httpx2.TransportError as error:
            return _unheard(error)
        return _reply(response)


def _connection(url: str | None, token: str | None) -> dict[str, Any]:
    """Return what both kinds of connection are made of. Redirects are not followed: the token goes nowhere else."""
    url = url or os.environ.get("LOOPGATE_URL")
    token = token or os.environ.get("LOOPGATE_TOKEN")
    if not url or not token:
        missing = "LOOPGATE_URL" if not url else "LOOPGATE_TOKEN"
        raise Rejected(f"{missing} is not set; it takes the gateway's address and a token of `loopgate keys create`")
    try:
        checked = checked_url(url, "LOOPGATE_URL")
    except ValueError as error:
        raise Rejected(str(error)) from error
    if not (token.isascii() and token.isprintable() and " " not in token):
        raise Rejected("LOOPGATE_TOKEN is not a token; `loopgate keys create` prints one, such as le_0123...")
    return {
        "base_url": f"{str(checked).rstrip('/')}/api/v1",
        "headers": {"authorization": f"Bearer {token}", "accept": "application/json", "user-agent": "loopgate-client"},
        "follow_redirects": False,
    }


def _request(step: Send) -> dict[str, Any]:
    return {
        "method": step.method,
        "url": step.path,
        "params": step.query,
        "content": step.body,
        "headers": dict(step.headers),
        "timeout": httpx2.Timeout(step.timeout_s, connect=min(step.timeout_s, 10.0)),
    }


def _reply(response: httpx2.Response) -> Reply:
    return Reply(response.status_code, {k.lower(): v for k, v in response.headers.items()}, response.content)


def _unheard(error: httpx2.TransportError) -> NoReply:
    return NoReply(f"the gateway cannot be reached ({type(error).__name__})")

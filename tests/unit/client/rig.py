"""Both clients on the real API of one process, and a gateway played line by line."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx2
from patience import PATIENCE_S
from unit.api.rig import Rig, an_api

from gateway.client import AsyncLoopgate, Loopgate
from gateway.client.dialogue import Dialogue, Heard, Step

T = TypeVar("T")

GATEWAY = "https://loopgate.example"


class Bridge(httpx2.BaseTransport):
    """A blocking client's way, out of its thread, to an async transport in the loop of the test."""

    def __init__(self, inner: httpx2.AsyncBaseTransport, loop: asyncio.AbstractEventLoop) -> None:
        self._inner, self._loop = inner, loop

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        async def answered() -> httpx2.Response:
            response = await self._inner.handle_async_request(request)
            return httpx2.Response(response.status_code, headers=response.headers, content=await response.aread())

        return asyncio.run_coroutine_threadsafe(answered(), self._loop).result(PATIENCE_S)


class Twisting(httpx2.AsyncBaseTransport):
    """The way to a gateway that somebody sits on: every body it answers goes through `twist`."""

    def __init__(self, inner: httpx2.AsyncBaseTransport, twist: Callable[[Any], Any]) -> None:
        self._inner, self._twist = inner, twist

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await self._inner.handle_async_request(request)
        content = httpx2.Response(200, content=await response.aread()).json()
        return httpx2.Response(response.status_code, json=self._twist(content))


@dataclass
class Clients:
    """The API, and both clients with one key."""

    api: Rig
    blocking: Loopgate
    awaiting: AsyncLoopgate

    async def call(self, colour: str, name: str, *args: Any, **said: Any) -> Any:
        """Call the method *name* of the client of *colour*."""
        if colour == "blocking":
            return await asyncio.to_thread(getattr(self.blocking, name), *args, **said)
        return await getattr(self.awaiting, name)(*args, **said)


@asynccontextmanager
async def clients(twist: Callable[[Any], Any] = lambda body: body, **said: Any) -> AsyncIterator[Clients]:
    """Yield both clients on an API of their own."""
    async with an_api(**said) as api:
        way = Twisting(api.client._transport, twist)
        blocking = Loopgate(GATEWAY, api.token, transport=Bridge(way, asyncio.get_running_loop()))
        async with AsyncLoopgate(GATEWAY, api.token, transport=way) as awaiting:
            yield Clients(api, blocking, awaiting)
        blocking.close()


def play(dialogue: Dialogue[T], *heard: Heard | BaseException) -> tuple[list[Step], T | BaseException | None]:
    """Tell *dialogue* what is *heard*, in turn; return its steps, and how it ended: None where it goes on."""
    steps: list[Step] = []
    try:
        steps.append(next(dialogue))
        for each in heard:
            step = dialogue.throw(each) if isinstance(each, BaseException) else dialogue.send(each)
            steps.append(step)
    except StopIteration as end:
        return steps, end.value
    except BaseException as error:
        return steps, error
    return steps, None

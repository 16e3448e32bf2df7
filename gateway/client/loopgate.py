"""Loopgate: the client, blocking and async. Two shells around the same dialogues; nothing is decided here."""

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from typing import Any, Self, TypeVar, Unpack

import httpx2

from gateway.api.models import ApprovalView, LoopPage
from gateway.client.asking import Asking, Terms
from gateway.client.dialogue import Dialogue, Heard, NoReply, Patience, Pause, Reply, Send, Step
from gateway.integrations.exchange import checked_url
from loops.errors import Rejected

T = TypeVar("T")

#: How long a call goes on while the gateway is away, in seconds.
PATIENCE_S = 60.0


class Loopgate:
    """
    A client that blocks.

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

    def approve(
        self,
        title: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        timeout_s: float | None = None,
        key: str | None = None,
        **terms: Unpack[Terms],
    ) -> ApprovalView:
        """
        Ask people, wait for them, and return the approved request: do what its `parameters` say, edits included.

        Args:
            title: What is asked, in at most 150 characters.
            parameters: What is approved, as JSON; shown to approvers and covered by the digest.
            timeout_s: How long to wait; without it until the request is decided or expires.
            key: The same call under the same key asks once, for 24 hours, and finds what was asked before. Without
                it every call asks anew.

        Raises:
            NotApproved: If people decided otherwise, or the request ended without them.
            TimedOut: If nobody has decided; the request stays open, and may be waited for again.
            Refused: If the gateway does not let this be asked.
            Unavailable: If the gateway was away for too long.
            NotCanonical: If *parameters* are not JSON; nothing was sent.
        """
        return self.carry_on(self.asking.approve(title, parameters or {}, terms, key, timeout_s))

    def request(
        self,
        title: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        key: str | None = None,
        **terms: Unpack[Terms],
    ) -> ApprovalView:
        """Ask people, and return the open request at once. See `approve`."""
        return self.carry_on(self.asking.request(title, parameters or {}, terms, key))

    def get(self, approval_id: str) -> ApprovalView:
        """Return a request as it stands. Raises Refused (``unknown_request``) where there is none."""
        return self.carry_on(self.asking.get(approval_id))

    def wait(self, approval_id: str, timeout_s: float | None = None) -> ApprovalView:
        """Return a request once it is closed, however it ended. Raises TimedOut if it is open after *timeout_s*."""
        return self.carry_on(self.asking.wait(approval_id, timeout_s))

    def withdraw(self, approval_id: str, reason: str | None = None) -> ApprovalView:
        """Take a request back that this key's service made. Raises Refused where it is closed or another's."""
        return self.carry_on(self.asking.withdraw(approval_id, reason))

    def loops(
        self,
        *,
        loop_id: str | None = None,
        state: str | None = None,
        status: str | None = None,
        waiting_for: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> LoopPage:
        """Return a page of loop instances, newest first; go on with its `next_cursor`. By default those not over."""
        which = {"loop_id": loop_id, "state": state, "status": status, "waiting_for": waiting_for}
        return self.carry_on(self.asking.loops(which | {"cursor": cursor, "limit": limit}))

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

    async def approve(
        self,
        title: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        timeout_s: float | None = None,
        key: str | None = None,
        **terms: Unpack[Terms],
    ) -> ApprovalView:
        """Ask people, wait for them, and return the approved request. See `Loopgate.approve`."""
        return await self.carry_on(self.asking.approve(title, parameters or {}, terms, key, timeout_s))

    async def request(
        self,
        title: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        key: str | None = None,
        **terms: Unpack[Terms],
    ) -> ApprovalView:
        """Ask people, and return the open request at once. See `Loopgate.approve`."""
        return await self.carry_on(self.asking.request(title, parameters or {}, terms, key))

    async def get(self, approval_id: str) -> ApprovalView:
        """Return a request as it stands. See `Loopgate.get`."""
        return await self.carry_on(self.asking.get(approval_id))

    async def wait(self, approval_id: str, timeout_s: float | None = None) -> ApprovalView:
        """Return a request once it is closed. See `Loopgate.wait`."""
        return await self.carry_on(self.asking.wait(approval_id, timeout_s))

    async def withdraw(self, approval_id: str, reason: str | None = None) -> ApprovalView:
        """Take a request back. See `Loopgate.withdraw`."""
        return await self.carry_on(self.asking.withdraw(approval_id, reason))

    async def loops(
        self,
        *,
        loop_id: str | None = None,
        state: str | None = None,
        status: str | None = None,
        waiting_for: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> LoopPage:
        """Return a page of loop instances. See `Loopgate.loops`."""
        which = {"loop_id": loop_id, "state": state, "status": status, "waiting_for": waiting_for}
        return await self.carry_on(self.asking.loops(which | {"cursor": cursor, "limit": limit}))

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

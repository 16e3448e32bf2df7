"""
Delivering: every subscription's events, sent one after another, each until it is taken.

One process at a time does it. The place a subscription is at moves on after its delivery was answered: a process that
dies in between sends that one again, under the same id. Who does not answer holds up nobody but themselves.
"""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta

import httpx2
import structlog

from gateway.api.ports import Feed, FeedPage
from gateway.api.subscription import Delivery, Subscription, delivery_of, headers_of, resync_of
from gateway.api.subscription_ports import Subscribed, Subscriptions
from gateway.cancelling import cancelled
from gateway.destinations import Forbidden
from gateway.jobs.backoff import backoff
from gateway.outgoing import checked_url, retry_after
from loops.errors import LoopgateError
from loops.ports import Clock

log = structlog.stdlib.get_logger()

#: How long the chore stays with a process that died, and the pause between two looks.
DELIVERING_LEASE, DELIVERING_EVERY = timedelta(seconds=5), timedelta(milliseconds=250)

#: Events read at a time, and subscriptions served at a time.
_PAGE, _AT_A_TIME = 50, 16

#: The first wait after a failure; it doubles up to the second.
_FIRST, _LONGEST = timedelta(seconds=1), timedelta(minutes=10)

#: What says that an address is no more. Source: the Standard Webhooks specification, "Deliverability and reliability".
_GONE = 410


class _Failed(Exception):  # noqa: N818 - what came of an attempt
    def __init__(self, error: str, wait_s: float | None = None, *, is_gone: bool = False) -> None:
        super().__init__(error)
        self.wait_s, self.is_gone = wait_s, is_gone


#: Tells whoever runs this, in words for people: what was switched off, and why. May raise `LoopgateError`.
Warn = Callable[[str, str], Awaitable[object]]


async def _unheard(what: str, why: str) -> None:
    """Tell nobody."""


class Deliverer:
    """Sends what subscriptions ask for, over *client*; *warn* is told of those that are switched off."""

    def __init__(
        self,
        subscriptions: Subscriptions,
        feed: Feed,
        clock: Clock,
        client: httpx2.AsyncClient,
        *,
        timeout_s: float = 15.0,
        warn: Warn = _unheard,
    ) -> None:
        """*timeout_s* is how long one attempt may take."""
        self._subscriptions = subscriptions
        self._feed = feed
        self._clock = clock
        self._client = client
        self._timeout_s = timeout_s
        self._warn = warn
        self._serving: dict[tuple[str, str], asyncio.Task[None]] = {}

    async def begin(self) -> None:
        """Begin to deliver what is due now, beside what was begun before."""
        self._serving = {owner: task for owner, task in self._serving.items() if not task.done()}
        now, latest = self._clock.now(), dict[str, str]()
        for each in await self._subscriptions.every():
            owner = (each.subscription.tenant, each.subscription.subscription_id)
            if len(self._serving) >= _AT_A_TIME or owner in self._serving or not each.progress.is_due(now):
                continue
            if owner[0] not in latest:
                latest[owner[0]] = await self._feed.last(owner[0])
            if each.progress.cursor != latest[owner[0]]:
                self._serving[owner] = asyncio.create_task(self._serve(each), name=f"subscription:{owner[1]}")

    async def finish(self) -> None:
        """Wait for what was begun."""
        await asyncio.gather(*self._serving.values())

    async def leave_off(self) -> None:
        """Cut off what was begun; what was not answered is sent again, by whoever begins next."""
        await cancelled(self._serving.values())

    async def _serve(self, subscribed: Subscribed) -> None:
        subscription = subscribed.subscription
        facts = {"tenant": subscription.tenant, "subscription_id": subscription.subscription_id}
        try:
            page = await self._feed.read(subscription.tenant, after=subscribed.progress.cursor, limit=_PAGE)
            await self._send_page(subscribed, page)
        except LoopgateError as error:
            log.warning("subscription.not_served", error=str(error), **facts)
        except Exception:
            # One that breaks must not keep the others from being served; it is looked at again in its turn.
            log.exception("subscription.broke", **facts)
            with contextlib.suppress(LoopgateError):
                await self._put_off(subscribed, _Failed("a fault of Loopgate's own; its log says more"))

    async def _send_page(self, subscribed: Subscribed, page: FeedPage) -> None:
        subscription, progress = subscribed.subscription, subscribed.progress
        for cursor, delivery in self._deliveries(subscribed, page):
            try:
                await self._send(subscription, delivery)
            except _Failed as failed:
                await self._put_off(Subscribed(subscription, progress), failed)
                return
            progress = progress.delivered(cursor)
            await self._subscriptions.note(subscription.tenant, subscription.subscription_id, progress)
        # What nobody wanted to hear of is dealt with, too.
        if page.events and progress.cursor != page.events[-1].cursor:
            passed = progress.delivered(page.events[-1].cursor)
            await self._subscriptions.note(subscription.tenant, subscription.subscription_id, passed)

    def _deliveries(self, subscribed: Subscribed, page: FeedPage) -> Iterator[tuple[str, Delivery]]:
        subscription, cursor = subscribed.subscription, subscribed.progress.cursor
        if page.is_gap:
            yield cursor, resync_of(subscription, cursor, self._clock.now())
        for each in page.events:
            if subscription.wants(each):
                yield each.cursor, delivery_of(subscription, each)

    async def _put_off(self, subscribed: Subscribed, failed: _Failed) -> None:
        subscription, before, now = subscribed.subscription, subscribed.progress, self._clock.now()
        spread = random.random()  # noqa: S311 - spread, not secrecy
        wait = backoff(before.failures + 1, _FIRST, spread, failed.wait_s, _LONGEST)
        after = before.failed(str(failed), now, wait, is_gone=failed.is_gone)
        facts = {"tenant": subscription.tenant, "subscription_id": subscription.subscription_id, "error": str(failed)}
        if after.disabled_at:
            log.error("subscription.disabled", failures=after.failures, **facts)
        else:
            log.warning("subscription.later", failures=after.failures, after_s=round(wait.total_seconds(), 3), **facts)
        await self._subscriptions.note(subscription.tenant, subscription.subscription_id, after)
        if after.disabled_at:
            try:
                await self._warn(
                    f"{subscription.subscription_id} to {checked_url(subscription.url, '').host}", str(failed)
                )
            except (LoopgateError, ValueError) as error:
                log.warning("subscription.warning_lost", error=str(error), subscription_id=subscription.subscription_id)

    async def _send(self, subscription: Subscription, delivery: Delivery) -> None:
        """Make one attempt. Of the answer only the status is read: an address chosen by a caller tells them no more."""
        now = self._clock.now()
        try:
            request = self._client.build_request(
                "POST",
                checked_url(subscription.url, "the url"),
                content=delivery.body,
                headers=headers_of(subscription, delivery, now),
                timeout=self._timeout_s,
            )
            async with asyncio.timeout(self._timeout_s):
                answer = await self._client.send(request, stream=True, follow_redirects=False)
                await answer.aclose()
        except (TimeoutError, httpx2.TimeoutException) as error:
            raise _Failed(f"no answer within {self._timeout_s:g} s") from error
        except httpx2.ConnectError as error:
            why = str(error) if isinstance(error.__cause__, Forbidden) else "cannot be reached: ConnectError"
            raise _Failed(why) from error
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
            raise _Failed(f"cannot be reached: {type(error).__name__}") from error
        if not answer.is_success:
            wait_s = retry_after(answer.headers.get("retry-after"), now)
            raise _Failed(f"answered {answer.status_code}", wait_s, is_gone=answer.status_code == _GONE)

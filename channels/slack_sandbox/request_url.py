"""The request URL: deliveries over HTTP, signed as Slack signs them."""

import asyncio

import httpx2

from channels.slack_sandbox.clock import Clock
from channels.slack_sandbox.delivery import ANSWER_MAX, Delivery
from channels.slack_sandbox.signing import signature_headers
from channels.slack_sandbox.workspace import new_id

#: Deliveries in flight at once; past it they queue.
CONNECTIONS_MAX = 256


class RequestUrl:
    """`delivery.Line` to the app's request URL, over one shared connection pool."""

    def __init__(
        self,
        url: str,
        *,
        signing_secret: str,
        clock: Clock,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._url = url
        self._secret = signing_secret
        self._clock = clock
        self._transport = transport
        self._client: httpx2.AsyncClient | None = None

    def address(self, kind: str, body: str, content_type: str, extra: dict[str, str]) -> Delivery:
        """Sign *body*."""
        stamp = int(self._clock.now() + self._clock.signature_skew_s)
        headers = {
            "Content-Type": content_type,
            "User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)",
            "Accept": "application/json,*/*",
            **signature_headers(self._secret, body.encode(), stamp),
            **extra,
        }
        return Delivery(new_id("DV"), kind, self._url, headers, body, self._clock.now())

    def address_again(self, delivery: Delivery) -> Delivery:
        """The same body, signed anew."""
        fresh = self.address(delivery.kind, delivery.body, delivery.headers["Content-Type"], {})
        fresh.headers = delivery.headers | fresh.headers
        fresh.replay_of = delivery.id
        return fresh

    async def carry(self, delivery: Delivery, within_s: float) -> None:
        """Post it."""
        try:
            async with asyncio.timeout(within_s):
                answer = await self._pool().post(delivery.url, content=delivery.body.encode(), headers=delivery.headers)
        except TimeoutError:
            delivery.problem = "timeout"
        except httpx2.HTTPError as error:
            delivery.problem = "unreachable"
            delivery.answer = f"{type(error).__name__}: {error}"
        else:
            delivery.status = answer.status_code
            delivery.answer_headers = dict(answer.headers)
            delivery.answer = answer.text[:ANSWER_MAX]

    async def aclose(self) -> None:
        """Close the connection pool."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    def _pool(self) -> httpx2.AsyncClient:
        if self._client is None:
            limits = httpx2.Limits(max_connections=CONNECTIONS_MAX, max_keepalive_connections=64)
            # Loopback only, so a certificate would prove nothing; leaving it out saves loading the trust store.
            self._client = httpx2.AsyncClient(
                limits=limits,
                timeout=None,
                trust_env=False,
                verify=False,
                transport=self._transport,
            )
        return self._client

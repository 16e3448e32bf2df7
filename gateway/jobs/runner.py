"""The runner: one attempt at one effect, under a lease that outlives its worker by seconds, not minutes."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

import structlog

from gateway.jobs.backoff import backoff
from gateway.jobs.handlers import Handlers
from gateway.jobs.ports import Claim, Effects
from loops.errors import Rejected, Unavailable

log = structlog.stdlib.get_logger()


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long a claim lasts, how long an attempt may take, how often and how far apart attempts are."""

    lease: timedelta
    timeout: timedelta
    attempts: int
    base: timedelta


class EffectRunner:
    """Claims an effect, has it carried out, and sees to what comes after: done, again later, or given up."""

    def __init__(self, effects: Effects, handlers: Handlers, policy: RetryPolicy) -> None:
        self._effects = effects
        self._handlers = handlers
        self._policy = policy

    async def run(self, effect_id: str) -> None:
        """
        Make one attempt at *effect_id*; do nothing where it is finished or somebody else holds it.

        May raise `StoreUnavailable`: the claim then runs out and the sweep brings the effect back.
        """
        claim = await self._effects.claim(effect_id, lease=self._policy.lease)
        if claim is None:
            return
        facts = {"effect_id": effect_id, "kind": claim.effect.kind, "attempt": claim.attempt}
        try:
            async with self._kept(claim), asyncio.timeout(self._policy.timeout.total_seconds()):
                await self._handlers.carry_out(claim)
        except Rejected as error:
            log.warning("effect.rejected", error=str(error), **facts)
            await self._handlers.give_up(claim, str(error))
        except (Unavailable, TimeoutError) as error:
            await self._later(claim, error, facts)
        except Exception as error:
            log.exception("effect.broke", **facts)
            await self._later(claim, error, facts)
        else:
            log.info("effect.done", **facts)

    async def _later(self, claim: Claim, error: Exception, facts: dict[str, object]) -> None:
        text = str(error) or type(error).__name__
        if claim.attempt >= self._policy.attempts:
            log.error("effect.given_up", error=text, **facts)
            await self._handlers.give_up(claim, f"given up after {claim.attempt} attempts: {text}")
            return
        retry_after = error.retry_after if isinstance(error, Unavailable) else None
        after = backoff(claim.attempt, self._policy.base, random.random(), retry_after)  # noqa: S311 - spread, not secrecy
        log.info("effect.later", error=text, after_s=round(after.total_seconds(), 3), **facts)
        await self._effects.retry(claim.effect.effect_id, claim.fence, after=after, error=text)

    @contextlib.asynccontextmanager
    async def _kept(self, claim: Claim) -> AsyncIterator[None]:
        """Renew the lease while the attempt goes on."""
        renewing = asyncio.create_task(self._renew(claim))
        try:
            yield
        finally:
            renewing.cancel()

    async def _renew(self, claim: Claim) -> None:
        held = True
        while held:
            await asyncio.sleep(self._policy.lease.total_seconds() / 3)
            with contextlib.suppress(Unavailable):
                held = await self._effects.renew(claim.effect.effect_id, claim.fence, lease=self._policy.lease)

"""The runner: one attempt at one effect, under a lease that outlives its worker by seconds, not minutes."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Literal

import structlog

from gateway.jobs.backoff import LONGEST, LONGEST_ASKED_S, backoff
from gateway.jobs.handlers import Handlers
from gateway.jobs.lanes import PutOff, lane_of
from gateway.jobs.ports import Claim, Effects
from loops.durations import format_duration
from loops.effects import EffectKind
from loops.errors import LoopgateError, NotYet, Rejected, Unavailable

log = structlog.stdlib.get_logger()

#: The longest wait between attempts at effects that are never given up because their channel is away: a card that is
#: given up asks nobody, or goes on saying what is no longer so.
PATIENT: Mapping[EffectKind, timedelta] = dict.fromkeys(
    ("card.post", "card.update", "card.thread"), timedelta(seconds=30)
)

#: The longest and the shortest wait of an effect for which it is too early by nobody knows how much, in seconds: what
#: it waits for may take long, and is looked for again.
LONGEST_TURN_S, _SOON_S = 30.0, 0.3

#: Workers in a row that may die over one effect before it is given up: it may be what kills them.
LOST_MAX = 5

#: Characters of an error that are kept with its effect and on the ledger.
_ERROR_MAX = 500


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """
    How long a claim lasts, how long an attempt may take, how often and how far apart attempts are.

    The first wait is `base`; it doubles up to `longest`. Nothing is tried any more once `give_up_after` is over.
    """

    lease: timedelta
    timeout: timedelta
    attempts: int
    base: timedelta
    longest: timedelta = LONGEST
    give_up_after: timedelta = timedelta(days=1)


#: What became of an attempt: `done`, or to be tried again `later`, or given up (`dead`); or it was put off untried
#: (`waits`), or cut off as its worker stopped.
Became = Literal["done", "later", "dead", "waits", "cut_off"]

#: Told of every attempt's end, with how many seconds the attempt took.
Told = Callable[[Claim, Became, float], None]


class UnreadableEffect(LoopgateError):  # noqa: N818 - the state it reports
    """What is stored of an effect cannot be read: it was damaged, or a newer Loopgate wrote it, which may yet come."""


class EffectRunner:
    """Claims an effect, has it carried out, and sees to what comes after: done, again later, or given up."""

    def __init__(
        self,
        effects: Effects,
        handlers: Handlers,
        policy: RetryPolicy,
        of_lanes: Mapping[str, RetryPolicy] = MappingProxyType({}),
        told: Told = lambda *_: None,
    ) -> None:
        """*of_lanes* are the policies of integrations and providers that have one of their own, by their lane."""
        self._effects = effects
        self._handlers = handlers
        self._policy = policy
        self._of_lanes = of_lanes
        self._told = told

    async def run(self, effect_id: str) -> None:
        """
        Make one attempt at *effect_id*; do nothing where it is finished or somebody else holds it.

        May raise `StoreUnavailable`: the claim then runs out and the sweep brings the effect back.
        """
        claim = await self._effects.claim(effect_id, lease=self._policy.lease)
        if claim is None:
            return
        began = time.monotonic()
        try:
            became = await self._attempt(claim)
        except asyncio.CancelledError:
            self._told(claim, "cut_off", time.monotonic() - began)
            raise
        self._told(claim, became, time.monotonic() - began)

    async def _attempt(self, claim: Claim) -> Became:
        effect_id = claim.effect.effect_id
        facts = {"effect_id": effect_id, "kind": claim.effect.kind, "attempt": claim.attempt}
        if claim.lost >= LOST_MAX:
            log.error("effect.deadly", lost=claim.lost, **facts)
            why = f"given up: {claim.lost} workers in a row died while they carried it out"
            return await self._give_up(claim, why, facts)
        try:
            async with self._kept(claim), asyncio.timeout(self._policy.timeout.total_seconds()):
                await self._carry_out(claim)
        except asyncio.CancelledError as error:
            if not _is_cancelled():
                log.exception("effect.broke", **facts)
                return await self._later(claim, RuntimeError(str(error)), facts)
            # This worker is told to stop: another one need not wait for the lease to run out.
            log.info("effect.cut_off", **facts)
            await self._effects.retry(effect_id, claim.fence, after=timedelta(0), error="the worker stopped")
            raise
        except PutOff as error:
            log.info("effect.waits", lane=str(error), **facts)
            return "waits"
        except NotYet as error:
            return await self._put_off(claim, error, facts)
        except Rejected as error:
            log.warning("effect.rejected", error=str(error), **facts)
            return await self._give_up(claim, _words(error), facts)
        except (Unavailable, TimeoutError) as error:
            return await self._later(claim, error, facts)
        except (Exception, SystemExit) as error:
            log.exception("effect.broke", **facts)
            return await self._later(claim, error, facts)
        log.info("effect.done", **facts)
        return "done"

    async def _carry_out(self, claim: Claim) -> None:
        if not claim.is_readable:
            raise UnreadableEffect("what is stored of this effect cannot be read")
        await self._handlers.carry_out(claim)

    async def _put_off(self, claim: Claim, error: NotYet, facts: Mapping[str, object]) -> Became:
        """Come back at the time given: sooner would be in vain, and later would lose a place in a line."""
        if error.retry_after:
            after_s = min(error.retry_after, LONGEST_ASKED_S)
        else:
            # Nobody knows when. The longer it has waited, the longer it will.
            spread = 0.75 + random.random() / 2  # noqa: S311 - spread, not secrecy
            after_s = spread * min(LONGEST_TURN_S, max(_SOON_S, claim.age.total_seconds() / 4))
        log.info("effect.waits", why=str(error), after_s=round(after_s, 3), **facts)
        after, why = timedelta(seconds=after_s), _words(error)
        await self._effects.put_off(claim.effect.effect_id, claim.fence, after=after, why=why)
        return "waits"

    async def _later(self, claim: Claim, error: BaseException, facts: Mapping[str, object]) -> Became:
        text, is_away = _words(error), isinstance(error, (Unavailable, TimeoutError))
        patient, policy = PATIENT.get(claim.effect.kind) if is_away else None, self._policy_of(claim)
        retry_after = error.retry_after if isinstance(error, Unavailable) else None
        spread = random.random()  # noqa: S311 - spread, not secrecy
        after = backoff(claim.tries, policy.base, spread, retry_after, patient or policy.longest)
        if patient is None and (claim.tries >= policy.attempts or claim.age + after > policy.give_up_after):
            log.error("effect.given_up", error=text, **facts)
            took = f"{claim.tries} attempts in {format_duration(claim.age)}"
            return await self._give_up(claim, f"given up after {took}: {text}", facts)
        log.info("effect.later", error=text, after_s=round(after.total_seconds(), 3), **facts)
        await self._effects.retry(claim.effect.effect_id, claim.fence, after=after, error=text)
        return "later"

    def _policy_of(self, claim: Claim) -> RetryPolicy:
        return self._of_lanes.get(lane_of(claim.effect) or "", self._policy)

    async def _give_up(self, claim: Claim, error: str, facts: Mapping[str, object]) -> Became:
        try:
            await self._handlers.give_up(claim, error)
        except Unavailable:
            raise
        except Exception:
            # Its loop cannot be told, now or later: what is left is to stop trying.
            log.exception("effect.buried", **facts)
            await self._effects.bury(claim.effect.effect_id, claim.fence, error=error)
        return "dead"

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


def _is_cancelled() -> bool:
    """Return whether somebody cancelled this attempt; a cancellation nobody asked for is a handler's bug."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _words(error: BaseException) -> str:
    # Only our own errors are written for people; the text of another may quote the payload, or a secret.
    text = str(error) if isinstance(error, LoopgateError) else type(error).__name__
    return text.encode(errors="replace").decode()[:_ERROR_MAX]

"""Sealing: checkpoints of every tenant's heads, made while the gateway runs: no ledger can be rewritten later."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import structlog

from gateway.auditing.checkpoints import seal_tenant
from gateway.auditing.ports import Checkpoints
from gateway.jobs.ports import Leases
from loops.errors import LoopgateError
from loops.ports import Clock, Store

log = structlog.stdlib.get_logger()


class Sealer:
    """Seals the heads that moved, once every while; one process at a time does it."""

    def __init__(
        self,
        holder: str,
        tenants: Sequence[str],
        store: Store,
        checkpoints: Checkpoints,
        leases: Leases,
        clock: Clock,
        *,
        every: timedelta,
    ) -> None:
        self._holder = holder
        self._tenants = tenants
        self._store = store
        self._checkpoints = checkpoints
        self._leases = leases
        self._clock = clock
        self._every = every

    async def run(self) -> None:
        """Seal until cancelled; a store that is away is tried again the next time."""
        while True:
            await asyncio.sleep(self._every.total_seconds())
            try:
                if await self._leases.hold("sealing", self._holder, self._every):
                    await self.once()
            except LoopgateError as error:
                log.warning("sealing.failed", error=str(error))
            except Exception:
                log.exception("sealing.broke")

    async def once(self) -> None:
        """Make a checkpoint of each tenant in which something moved; say loudly which ledgers do not hold."""
        for tenant in self._tenants:
            checkpoint, findings = await seal_tenant(self._store, self._checkpoints, tenant, self._clock.now())
            for finding in findings:
                log.error("ledger.broken", tenant=tenant, instance_id=finding.instance_id, reason=finding.reason)
            if checkpoint:
                log.info("ledger.sealed", tenant=tenant, checkpoint=checkpoint.hash)

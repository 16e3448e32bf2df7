"""Sealing: checkpoints of every tenant's heads, made while the gateway runs: no ledger can be rewritten later."""

from collections.abc import Sequence

import structlog

from gateway.auditing.checkpoints import seal_tenant
from gateway.auditing.ports import Checkpoints
from loops.ports import Clock, Store

log = structlog.stdlib.get_logger()


async def seal(tenants: Sequence[str], store: Store, checkpoints: Checkpoints, clock: Clock) -> None:
    """
    Make a checkpoint of each tenant in which something moved; say loudly which ledgers do not hold.

    Raises:
        StoreUnavailable: If the store is away.
    """
    for tenant in tenants:
        checkpoint, findings = await seal_tenant(store, checkpoints, tenant, clock.now())
        for finding in findings:
            log.error("ledger.broken", tenant=tenant, instance_id=finding.instance_id, reason=finding.reason)
        if checkpoint:
            log.info("ledger.sealed", tenant=tenant, checkpoint=checkpoint.hash)

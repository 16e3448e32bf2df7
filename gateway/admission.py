"""Admission: no process works on a store that would lose what it acknowledges, or that it cannot read."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from gateway.storage import health
from gateway.storage.health import Verdict
from gateway.storage.schema import bring_up, version_of
from gateway.wiring.parts import Parts
from gateway.wiring.store import durability
from loops.errors import Rejected, StoreUnavailable

log = structlog.stdlib.get_logger()

_LOOK_AGAIN_S = 1.0


class UnfitStore(Rejected):
    """The store is set up so that it loses what was acknowledged."""


@asynccontextmanager
async def admitted(parts: Parts, holder: str) -> AsyncIterator[None]:
    """
    Work on the store of *parts*, its schema brought up; where it is away, as soon as it is there.

    One that turns out to be unfit only then ends this process, as SIGTERM does.

    Raises:
        UnfitStore: If it loses what is acknowledged, and LOOPGATE_UNFIT_STORE does not allow that.
        UnknownSchema: If a newer Loopgate wrote it.
    """
    later = None
    try:
        await admit(parts, holder)
    except StoreUnavailable as error:
        log.warning("store.away", error=str(error))
        later = asyncio.create_task(_when_there(parts, holder), name="admission")
    try:
        yield
    finally:
        if later:
            later.cancel()


async def admit(parts: Parts, holder: str) -> None:
    """
    Admit the store of *parts*, or say why not; say in the log what it can lose.

    Raises:
        UnfitStore, UnknownSchema: As `admitted`.
        StoreUnavailable: If it cannot be asked.
    """
    info = await health.told(parts.client)
    unfit = health.judge(info).unfit
    if unfit and not parts.settings.unfit_store:
        raise UnfitStore("\n".join((*unfit, "with LOOPGATE_UNFIT_STORE=true Loopgate works on it nevertheless")))
    for each in unfit:
        log.warning("store.unfit", problem=each)
    schema = await bring_up(parts.client, holder)
    log.info(
        "store.admitted",
        server=health.named(info),
        schema=schema,
        appendfsync=info.get("appendfsync", "not told"),
        durability=parts.settings.durability,
        replicas=durability(parts.settings).needs,
    )


async def standing(parts: Parts) -> Verdict:
    """
    Return what is wrong with the store now, a schema it should not have included.

    What LOOPGATE_UNFIT_STORE allows stands in the verdict like anything else. Raises StoreUnavailable.
    """
    verdict = await health.check(parts.client, durability(parts.settings))
    try:
        await version_of(parts.client)
    except Rejected as error:
        return Verdict(verdict.unfit, (*verdict.troubled, str(error)))
    return verdict


async def _when_there(parts: Parts, holder: str) -> None:
    while True:
        await asyncio.sleep(_LOOK_AGAIN_S)
        try:
            await admit(parts, holder)
        except StoreUnavailable:
            continue
        except Rejected as error:
            log.error("store.refused", error=str(error))  # noqa: TRY400 - the message says it all
            os.kill(os.getpid(), signal.SIGTERM)
        return

"""Sealing: what moved is sealed while the gateway runs."""

from builders import TENANT, a_house, an_answer

from gateway.auditing.checkpoints import audit_tenant
from gateway.sealing import seal
from gateway.storage.memory import MemoryStore


async def test_what_moved_is_sealed_and_a_later_rewrite_is_found() -> None:
    """After a checkpoint every ledger is sealed; what moves afterwards is, with the next one."""
    store = MemoryStore()
    house = a_house(store=store)
    request = await house.propose()
    await seal([TENANT], store, store, house.clock)
    sealed = await audit_tenant(store, store, TENANT)
    await house.engine.answer(an_answer(request, "approve", "dana"), tenant=TENANT)
    moved = await audit_tenant(store, store, TENANT)
    await seal([TENANT], store, store, house.clock)
    again = await audit_tenant(store, store, TENANT)

    assert [each.findings for each in (sealed, moved, again)] == [()] * 3
    assert (sealed.unsealed, moved.unsealed, again.unsealed) == (0, 1, 0)


async def test_nothing_moved_makes_no_checkpoint() -> None:
    """Without a move there is nothing to seal, and nothing is written."""
    store = MemoryStore()
    house = a_house(store=store)
    await house.propose()
    await seal([TENANT], store, store, house.clock)
    first = await store.checkpoint_lines(TENANT)
    await seal([TENANT], store, store, house.clock)

    assert len(first) == 1
    assert await store.checkpoint_lines(TENANT) == first

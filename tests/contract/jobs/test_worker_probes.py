"""Workers answer probes where they are told to: alone for themselves, in a pool each for all."""

import asyncio
from pathlib import Path

import httpx2
import psutil
from contract.integration.receiver import Receiver
from contract.jobs.worker_process import UNHURRIED_S, Caller, a_worker, eventually, log_of, told_to_stop, workers_of
from patience import PATIENCE_S
from ports import free_ports
from prometheus_client.parser import text_string_to_metric_families

from gateway.storage.embedded import EmbeddedServer


class Probes:
    """What workers tell at a port."""

    def __init__(self) -> None:
        [self.port] = free_ports(1)

    async def get(self, path: str) -> httpx2.Response | None:
        """Return the answer; None where nobody answers."""
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", timeout=PATIENCE_S) as client:
            try:
                return await client.get(path)
            except httpx2.TransportError:
                return None

    async def ask(self, path: str) -> httpx2.Response:
        """Return the answer of whoever accepts first."""
        answer = await self.get(path)
        assert answer is not None
        return answer

    async def is_up(self) -> bool:
        """Whether somebody answers."""
        return await self.get("/healthz") is not None

    async def samples(self, name: str) -> dict[frozenset[tuple[str, str]], float]:
        """Return the samples of one metric, by labels."""
        families = text_string_to_metric_families((await self.ask("/metrics")).text)
        found = (each for family in families for each in family.samples if each.name == name)
        return {frozenset(each.labels.items()): each.value for each in found}

    async def figure(self, name: str, **labels: str) -> float:
        """Return one sample; 0 where it is not there."""
        return (await self.samples(name)).get(frozenset(labels.items()), 0.0)

    async def slack_was_called(self) -> bool:
        """Whether any call to Slack was counted."""
        return bool(await self.samples("loopgate_slack_calls_total"))

    async def attempts(self, became: str) -> float:
        """Return how many attempts at integrations became what."""
        labels = {"queue": "integrations", "kind": "integration.run", "became": became}
        return await self.figure("loopgate_effect_attempts_total", **labels)


async def test_a_worker_says_how_it_is_and_what_became_of_its_effects(
    server: EmbeddedServer, pager: Receiver, tmp_path: Path
) -> None:
    """Up, ready, what became of attempts, how long effects took, whether chores are seen to; unready in an outage."""
    caller, probes = Caller(server.url), Probes()
    settings = {
        "LOOPGATE_WORKER_PORT": str(probes.port),
        "LOOPGATE_EFFECT_ATTEMPTS": "2",
        "LOOPGATE_EFFECT_LEASE_S": UNHURRIED_S,
    }
    with a_worker(tmp_path, server.url, pager.url, **settings) as worker:
        await eventually(probes.is_up)
        await caller.tell("WELL")
        await caller.until_told("WELL")
        pager.status = 503
        await caller.tell("ILL")
        await eventually(lambda: _is_so(probes.attempts("dead"), 1))
        await caller.until_card_tried("ASKED")
        await eventually(probes.slack_was_called)
        ready = await probes.ask("/readyz")
        done, later = await probes.attempts("done"), await probes.attempts("later")
        took = {"queue": "integrations", "kind": "integration.run"}
        counted = await probes.figure("loopgate_effect_seconds_count", **took)
        in_the_end = await probes.figure("loopgate_effect_seconds_bucket", le="+Inf", **took)
        seconds = await probes.figure("loopgate_effect_seconds_sum", **took)
        chores = await probes.samples("loopgate_chore_held")
        memory = await probes.figure("process_resident_memory_bytes")
        await asyncio.to_thread(server.stop)
        unready, still_up = await probes.ask("/readyz"), await probes.ask("/healthz")
        store_up = await probes.figure("loopgate_store_up")
        code = await asyncio.to_thread(told_to_stop, worker)

    assert (ready.status_code, ready.json()["status"]) == (200, "ready")
    assert (done, later) == (1, 1)
    assert (counted, in_the_end) == (1, 1)
    assert 0 < seconds < 60
    assert {dict(labels)["chore"] for labels in chores} >= {"relay", "sweep", "cards", "subscriptions"}
    assert set(chores.values()) == {1.0}
    assert memory > 10_000_000
    assert (unready.status_code, still_up.status_code, store_up) == (503, 200, 0)
    assert (code, await probes.is_up()) == (0, False)


async def test_whichever_worker_of_a_pool_is_asked_tells_of_all_also_of_those_gone(
    server: EmbeddedServer, pager: Receiver, tmp_path: Path
) -> None:
    """Two workers, one address: figures are sums and do not go back when one is killed; memory is each one's own."""
    caller, probes = Caller(server.url), Probes()
    settings = {"LOOPGATE_WORKER_PORT": str(probes.port)}
    with a_worker(tmp_path, server.url, pager.url, options=["--processes", "2"], **settings) as pool:
        await eventually(lambda: _both_up(probes))
        for number in range(10):
            await caller.tell(f"FIRST-{number}")
        for number in range(10):
            await caller.until_told(f"FIRST-{number}")
        await eventually(lambda: _is_so(probes.attempts("done"), 10))
        before = {await probes.attempts("done") for _ in range(8)}
        workers_of(pool)[0].kill()
        after = await probes.attempts("done")
        await eventually(lambda: _both_up(probes))
        await caller.tell("LAST")
        await caller.until_told("LAST")
        await eventually(lambda: _is_so(probes.attempts("done"), 11))
        code = await asyncio.to_thread(told_to_stop, pool)

    assert (before, after) == ({10.0}, 10.0)
    assert code == 0, log_of(tmp_path)


async def test_a_worker_that_was_not_told_to_answers_nowhere(
    server: EmbeddedServer, pager: Receiver, tmp_path: Path
) -> None:
    """Without LOOPGATE_WORKER_PORT no worker listens at any port."""
    with a_worker(tmp_path, server.url, pager.url) as worker:
        await eventually(lambda: _has_started(tmp_path))
        open_at = psutil.Process(worker.pid).net_connections(kind="inet")
        await asyncio.to_thread(told_to_stop, worker)

    assert [each for each in open_at if each.status == psutil.CONN_LISTEN] == []


async def _is_so(figure: object, value: float) -> bool:
    return await figure == value  # type: ignore[misc]


async def _has_started(home: Path) -> bool:
    return "worker.started" in log_of(home)


async def _both_up(probes: Probes) -> bool:
    return await probes.is_up() and len(await probes.samples("process_resident_memory_bytes")) == 2

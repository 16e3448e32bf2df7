"""Mischief: carries out the faults of a plan, writes down when each began and ended, and how long recovery took."""

import asyncio
import contextlib
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

import httpx2
from chaos.crowd import Crowd
from chaos.plan import GATEWAYS, WORKERS, Fault, Plan
from chaos.records import Injected
from chaos.world import INTEGRATION_TIMEOUT_S, World

from gateway.jobs.ports import EffectRecord
from gateway.storage.connect import connect
from gateway.storage.redis_effects import RedisEffects
from loops.errors import StoreUnavailable

#: How long somebody waits at a point for it to be reached, and how often they look.
_AT_POINT_S, _LOOK_S = 20.0, 0.02

_UNDER_WAY = frozenset({"pending", "claimed", "failed"})


class Mischief:
    """Everything that goes wrong in one seed."""

    def __init__(self, world: World, crowd: Crowd, plan: Plan) -> None:
        self._world = world
        self._crowd = crowd
        self._plan = plan
        self._http = httpx2.AsyncClient(timeout=15)
        self._store = asyncio.Lock()
        self._watching: set[asyncio.Task[None]] = set()
        self._expected_dead: Counter[str] = Counter()
        self.injected: list[Injected] = []
        self.counts: Counter[str] = Counter()
        #: Seconds from the death or freezing of a worker until another claimed what it held, and until that ended.
        self.taken_up: list[float] = []
        self.ended: list[float] = []
        self.slowest = (0.0, "none")
        self.surprises: list[str] = []

    async def run(self) -> None:
        """Do it all, then mend everything."""
        loop = asyncio.get_running_loop()
        began = loop.time()

        async def strike(fault: Fault) -> None:
            await asyncio.sleep(max(0.0, began + fault.at - loop.time()))
            started = time.time()
            if await self._strike(fault):
                what = f"{fault.kind}: {fault.how}" if fault.how else fault.kind
                self.injected.append(Injected(what, fault.target, started, time.time()))

        watch = asyncio.create_task(self._watch_over())
        try:
            async with asyncio.TaskGroup() as group:
                for fault in self._plan.faults:
                    group.create_task(strike(fault))
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
            await self._mend()

    async def settle(self, patience_s: float) -> None:
        """Wait until the effects that are watched have ended, and let go of everything."""
        if self._watching:
            await asyncio.wait(self._watching, timeout=patience_s)
        # Asked again until they are done: on Python 3.11 a wait_for swallows a cancellation that comes with its answer.
        while left := tuple(self._watching):
            for task in left:
                task.cancel()
            await asyncio.wait(left, timeout=0.5)
        await self._http.aclose()

    async def _strike(self, fault: Fault) -> bool:
        match fault.kind.split(" "):
            case ["kill", "gateway" | "worker"]:
                await self._kill([fault.target], fault.again_s)
            case ["kill", "every", "worker"]:
                await self._kill(WORKERS, fault.again_s)
            case ["kill", "at", *_]:
                return await self._kill_at(fault)
            case ["kill" | "restart", "store"] | ["store", "away"]:
                await self._take_store(fault)
            case ["freeze", "store"]:
                async with self._store:
                    self._world.store.send(signal.SIGSTOP)
                    await asyncio.sleep(fault.lasts)
                    self._world.store.send(signal.SIGCONT)
            case ["freeze", _]:
                await self._freeze(fault)
            case ["slack", *_]:
                await self._break_slack(fault)
            case ["integration", *_]:
                await self._break_integration(fault)
            case ["clock", "jumps"]:
                return await self._jump(fault)
            case _:
                raise ValueError(f"nobody knows how to {fault.kind}")
        self.counts[fault.kind] += 1
        return True

    async def _kill(self, names: Sequence[str], again_s: float) -> None:
        with self._dead(names):
            if names[0] in WORKERS:
                await self._watch_claimed()
            for name in names:
                self.counts["kills"] += self._world.kill(name)
            await asyncio.sleep(again_s)
            for name in names:
                await asyncio.to_thread(self._world.revive, name)

    async def _kill_at(self, fault: Fault) -> bool:
        """Kill all of a kind the moment a point is reached, if it is."""
        names = GATEWAYS if "acknowledged" in fault.how else WORKERS
        is_there = asyncio.Event()

        def strike() -> None:
            self._expected_dead.update(names)
            for name in names:
                self.counts["kills"] += self._world.kill(name)
            is_there.set()

        await self._await_point(fault.how, strike, is_there)
        if not is_there.is_set():
            self.counts["points not reached"] += 1
            return False
        self.counts[f"killed at: {fault.how}"] += 1
        await asyncio.sleep(fault.again_s)
        for name in names:
            await asyncio.to_thread(self._world.revive, name)
        self._expected_dead.subtract(names)
        return True

    async def _await_point(self, point: str, strike: Callable[[], None], is_there: asyncio.Event) -> None:
        """Have *strike* called, which sets *is_there*, the moment *point* is reached, if that is soon."""
        match point:
            case "effect claimed":
                looking = self._reach(strike, self._claimed)
            case "integration acted, answer on its way":
                await self._receiver("hang", {"seconds": INTEGRATION_TIMEOUT_S / 2})
                before = await self._acted()
                looking = self._reach(strike, lambda: self._more_acted(before))
            case "card posted, answer on its way":
                await self._slack({"method": "chat.postMessage", "kind": "hang_after_accept", "delay_s": 1.0})
                self._crowd.arm(point, strike)
                looking = is_there.wait()
            case _:
                self._crowd.arm(point, strike)
                looking = is_there.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_AT_POINT_S):
                await looking
        self._crowd.disarm(point)

    async def _reach(self, strike: Callable[[], None], is_reached: Callable[[], Awaitable[object]]) -> None:
        while True:
            if await is_reached():
                strike()
                return
            await asyncio.sleep(_LOOK_S)

    async def _claimed(self) -> Sequence[EffectRecord]:
        """Return the effects somebody is carrying out; none while the store is away."""
        try:
            async with connect(self._world.store_url) as client:
                records, _ = await RedisEffects(client).listed(("claimed",), limit=200)
        except StoreUnavailable:
            return []
        return records

    async def _acted(self) -> int:
        return int((await self._http.get(f"{self._world.receiver}/count")).json()["acted"])

    async def _more_acted(self, before: int) -> bool:
        return await self._acted() > before

    async def _take_store(self, fault: Fault) -> None:
        async with self._store:
            take = self._world.store.stop if fault.kind == "restart store" else self._world.store.kill
            await asyncio.to_thread(take)
            self.counts["kills"] += take == self._world.store.kill
            await asyncio.sleep(fault.lasts)
            await asyncio.to_thread(self._world.store.start)

    async def _freeze(self, fault: Fault) -> None:
        if fault.target in WORKERS:
            await self._watch_claimed()
        self._world.send(fault.target, signal.SIGSTOP)
        await asyncio.sleep(fault.lasts)
        self._world.send(fault.target, signal.SIGCONT)

    async def _break_slack(self, fault: Fault) -> None:
        method, kind = fault.how.split(" ")
        count = 1 if fault.kind == "slack delivers badly" else fault.many
        for _ in range(count):
            await self._slack({"method": method, "kind": kind, "delay_s": 4.0})

    async def _break_integration(self, fault: Fault) -> None:
        if fault.kind == "integration fails":
            await self._receiver("faults", {"status": int(fault.how), "count": fault.many})
        else:
            await self._receiver("hang", {"seconds": INTEGRATION_TIMEOUT_S + 2})

    async def _jump(self, fault: Fault) -> bool:
        if not self._world.clocks.can_jump:
            return False
        self._world.clocks.put_ahead(fault.target, int(fault.how))
        await asyncio.sleep(fault.lasts)
        self._world.clocks.put_ahead(fault.target, 0)
        self.counts[fault.kind] += 1
        return True

    async def _mend(self) -> None:
        """Heal what may still be ill: everybody runs, nobody is frozen, every clock is right, nothing more fails."""
        for name in (*GATEWAYS, *WORKERS):
            if self._world.clocks.can_jump:
                self._world.clocks.put_ahead(name, 0)
            self._world.send(name, signal.SIGCONT)
            await asyncio.to_thread(self._world.revive, name)
        await self._http.request("DELETE", f"{self._world.sandbox}/sandbox/faults", json={})
        await self._receiver("heal", {})

    async def _watch_over(self) -> None:
        """Start again, and report, whoever ended without being killed."""
        while True:
            await asyncio.sleep(0.5)
            for name in self._world.ended():
                if not self._expected_dead[name]:
                    self.surprises.append(f"{name} ended by itself:\n{self._world.last_words(name)}")
                    await asyncio.to_thread(self._world.revive, name)

    @contextlib.contextmanager
    def _dead(self, names: Sequence[str]) -> Iterator[None]:
        self._expected_dead.update(names)
        try:
            yield
        finally:
            self._expected_dead.subtract(names)

    async def _watch_claimed(self) -> None:
        """Measure how long what is claimed now takes to end."""
        began = time.monotonic()
        for record in await self._claimed():
            task = asyncio.create_task(self._watch(record.effect.effect_id, record.fence, began))
            self._watching.add(task)
            task.add_done_callback(self._watching.discard)

    async def _watch(self, effect_id: str, fence: int, began: float) -> None:
        is_taken = False
        while True:
            with contextlib.suppress(StoreUnavailable):
                async with connect(self._world.store_url) as client:
                    record = await RedisEffects(client).effect(effect_id)
                if record and record.fence > fence and not is_taken:
                    is_taken = True
                    self.taken_up.append(time.monotonic() - began)
                if record is None or record.state not in _UNDER_WAY:
                    break
            await asyncio.sleep(0.2)
        if is_taken:
            # Else its worker ended it: it lived on, or was done a moment before it died.
            took = time.monotonic() - began
            self.ended.append(took)
            if record and took > self.slowest[0]:
                self.slowest = took, f"{record.effect.kind} {effect_id} after {record.attempts} attempts"

    async def _slack(self, fault: Mapping[str, object]) -> None:
        await self._http.post(f"{self._world.sandbox}/sandbox/faults", json=dict(fault))

    async def _receiver(self, what: str, body: Mapping[str, object]) -> None:
        await self._http.post(f"{self._world.receiver}/{what}", json=dict(body))

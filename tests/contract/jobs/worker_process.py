"""A real `loopgate work` beside an engine in the test: a loop whose one effect is a signed webhook."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
from builders import ANALYSIS, CHANGE, DATA, People, an_agent, ci
from contract.integration.receiver import SECRET
from patience import PATIENCE_S
from ruamel.yaml import YAML

from gateway.clock import SystemClock
from gateway.identifiers import TimeOrderedIds
from gateway.loopfiles import LoadedLoops
from gateway.storage.connect import connect
from gateway.storage.redis_effects import RedisEffects
from gateway.storage.redis_store import RedisStore
from loops.definition import LoopDefinition
from loops.effects import Effect
from loops.engine import LoopEngine

NOTIFY: dict[str, Any] = {
    "id": "notify",
    "version": "1.0.0",
    "initialState": "NEW",
    "states": [
        {"id": "NEW"},
        {"id": "TELLING"},
        {"id": "TOLD", "isTerminal": True},
        {"id": "UNTOLD", "isTerminal": True, "isError": True},
    ],
    "transitions": [
        {
            "id": "tell",
            "from": "NEW",
            "to": "TELLING",
            "actors": ["automation"],
            "effects": [{"integration": "pager", "action": "tell", "onSuccess": "told", "onFailure": "untold"}],
        },
        {"id": "told", "from": "TELLING", "to": "TOLD", "actors": ["automation"]},
        {"id": "untold", "from": "TELLING", "to": "UNTOLD", "actors": ["automation"]},
    ],
    "outcome": {"description": "Told", "valueUnit": "word", "businessMetrics": [{"id": "cycle_time_days"}]},
}


#: A lease, in seconds, that outlasts a machine that stands still: where nobody dies, nothing is to be taken up again.
UNHURRIED_S = "30"


class Caller:
    """Starts loops and sees how they end, each time over a connection of its own: the store may have been away."""

    def __init__(self, url: str) -> None:
        self.url = url

    async def tell(self, aggregate: str) -> None:
        """Have the loop *aggregate* ask for its effect."""
        async with connect(self.url) as client:
            loops = LoadedLoops({"notify": LoopDefinition.model_validate(NOTIFY)})
            store = RedisStore(client, effect_grace=timedelta(seconds=1))
            engine = LoopEngine(store, loops, People(), SystemClock(), TimeOrderedIds())
            await engine.start(tenant="default", loop_id="notify", aggregate_id=aggregate, data={}, actor=ci())
            moved = await engine.transition(
                tenant="default", aggregate_id=aggregate, transition="tell", actor=ci(), evidence={}
            )
            assert moved.outcome == "executed", moved

    async def until_told(self, aggregate: str) -> None:
        """Wait until the loop has its result."""

        async def is_told() -> bool:
            async with connect(self.url) as client:
                loaded = await RedisStore(client).load_aggregate("default", aggregate)
            return loaded is not None and loaded.instance.state == "TOLD"

        await eventually(is_told)

    async def until_card_tried(self, aggregate: str) -> Effect:
        """Have a loop ask people, and wait until a worker has tried to post its card; return that effect."""
        async with connect(self.url) as client:
            store, effects = RedisStore(client), RedisEffects(client)
            loops = LoadedLoops({"test.change": LoopDefinition.model_validate(CHANGE)})
            engine = LoopEngine(store, loops, People(), SystemClock(), TimeOrderedIds())
            started = await engine.start(
                tenant="default", loop_id="test.change", aggregate_id=aggregate, data=DATA, actor=ci()
            )
            assert started.instance is not None
            instance_id = started.instance.instance_id
            await engine.transition(
                tenant="default",
                aggregate_id=aggregate,
                transition="submit_analysis",
                actor=an_agent(),
                evidence=ANALYSIS,
            )

            async def tried() -> bool:
                records = await effects.effects_of("default", instance_id)
                return any(each.effect.kind == "card.post" and each.fence > 0 for each in records)

            await eventually(tried)
            records = await effects.effects_of("default", instance_id)
        return next(each.effect for each in records if each.effect.kind == "card.post")


async def eventually(ask: Callable[[], Awaitable[bool]], patience_s: float = PATIENCE_S) -> None:
    """Ask until the answer is yes: what another process does sends no event."""
    async with asyncio.timeout(patience_s):
        while not await ask():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@contextmanager
def a_worker(
    home: Path, store_url: str, pager: str, *, options: Sequence[str] = (), **settings: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a worker process, or with *options* a pool of them, its output in ``worker.log``."""
    (home / "loops").mkdir(exist_ok=True)
    with (home / "loops" / "notify.yaml").open("w") as file:
        YAML().dump(NOTIFY, file)
    configuration = {
        "slack": {"team": "T1", "app": "A1", "apiUrl": "http://127.0.0.1:9/api/", "channels": {"sre-approvals": "C1"}},
        # As long as the `Receiver` hangs at most: what is asked once is not asked again because a machine stood still.
        "integrations": {
            "pager": {"kind": "webhook", "url": pager, "secretEnv": "PAGER_SECRET", "timeoutS": PATIENCE_S}
        },
        "loops": ["loops"],
    }
    with (home / "loopgate.yaml").open("w") as file:
        YAML().dump(configuration, file)
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith(("LOOPGATE_", "SLACK_"))},
        "LOOPGATE_CONFIG": str(home / "loopgate.yaml"),
        "LOOPGATE_REDIS_URL": store_url,
        "LOOPGATE_EFFECT_GRACE_S": "1",
        "LOOPGATE_EFFECT_LEASE_S": "1",
        "SLACK_BOT_TOKEN": "xoxb-test",
        "SLACK_SIGNING_SECRET": "test",
        "PAGER_SECRET": SECRET,
        **settings,
    }
    with (home / "worker.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway.cli", "work", *options], env=environment, stdout=log, stderr=log
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)  # a pool's workers end with it
        process.wait()


def workers_of(pool: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Return the workers of a pool that serve their queues."""
    return [each for each in psutil.Process(pool.pid).children() if _serves(each)]


def _serves(worker: psutil.Process) -> bool:
    try:
        return worker.num_threads() > 2
    except psutil.NoSuchProcess:  # gone since it was listed
        return False


def the_one_calling(pool: subprocess.Popen[bytes], call: Mapping[str, Any]) -> psutil.Process:
    """Return the worker of *pool* that made the *call* a `Receiver` got."""
    for worker in psutil.Process(pool.pid).children():
        if any(each.laddr.port == call["port"] for each in worker.net_connections("tcp")):
            return worker
    raise AssertionError("no worker is calling there")


def log_of(home: Path) -> str:
    """Return what the worker said."""
    return (home / "worker.log").read_text(errors="replace")


def told_to_stop(process: subprocess.Popen[bytes]) -> int:
    """Send SIGTERM and return the exit code."""
    process.send_signal(signal.SIGTERM)
    return process.wait(timeout=PATIENCE_S)

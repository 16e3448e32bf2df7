"""
How soon an effect starts again whose worker was killed, with the settings Loopgate comes with.

A pool of two workers; one calls a system of record that does not answer, and is killed with kill -9 in the middle of
the call. Measured from the kill to the second call, which another worker makes. Floor: the lease, which must run out
before anybody may take the effect. See the README beside this file.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))

from contract.integration.receiver import Receiver, receiving
from contract.jobs.worker_process import Caller, a_worker, eventually, the_one_calling, told_to_stop, workers_of

from gateway.settings import Settings
from gateway.storage.embedded import EmbeddedServer

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 7

console = Console()


async def measured(home: Path, processes: int) -> list[float]:
    """Return the seconds from each kill to the next call."""
    settings = Settings(_env_file=None)
    said = {
        "LOOPGATE_EFFECT_LEASE_S": str(settings.effect_lease_s),
        "LOOPGATE_EFFECT_GRACE_S": str(settings.effect_grace_s),
    }
    times = []
    with (
        EmbeddedServer(home / "store") as server,
        receiving(Receiver()) as pager,
        a_worker(home, server.url, pager.url, options=["--processes", str(processes)], **said) as pool,
    ):
        caller = Caller(server.url)
        for number in range(ROUNDS):
            await eventually(lambda: _is(len(workers_of(pool)) == processes))
            pager.reset()
            pager.fault = "slow"
            await caller.tell(f"KILLED-{number}")
            await eventually(lambda: _is(len(pager.received) == 1))
            # Anywhere within a renewal of the lease, as a crash would come.
            await asyncio.sleep(settings.effect_lease_s / 3 * number / ROUNDS)
            the_one_calling(pool, pager.received[0]).kill()
            killed_at, pager.fault = time.monotonic(), None
            await eventually(lambda: _is(len(pager.received) == 2))
            times.append(time.monotonic() - killed_at)
            pager.release.set()
            await caller.until_told(f"KILLED-{number}")
        await asyncio.to_thread(told_to_stop, pool)
    return times


async def _is(claim: bool) -> bool:
    return claim


async def main() -> None:
    """Measure, and print."""
    table = Table("killed", "rounds", "min s", "median s", "max s", box=None, header_style="bold")
    for shown, processes in (("one of two workers", 2), ("the only worker of a pool", 1)):
        with tempfile.TemporaryDirectory(prefix="loopgate-bench-") as home:
            times = await measured(Path(home), processes)
        figures = (min(times), statistics.median(times), max(times))
        table.add_row(shown, str(len(times)), *(f"{figure:.1f}" for figure in figures))
    lease = Settings(_env_file=None).effect_lease_s
    table.add_row("floor: what is left of the lease", "", f"{lease * 2 / 3:.1f}", "", f"{lease:.1f}")
    console.print(table)


if __name__ == "__main__":
    asyncio.run(main())

"""Accepting: connections are shared out evenly, and nobody who takes none is waited for."""

import asyncio
import os
import socket
from collections.abc import Callable, Sequence
from contextlib import ExitStack

import uvloop
from patience import PATIENCE_S

from gateway.accepting import PAUSE_S, Acceptor
from gateway.tallies import Tallies, shared_memory

CONNECTIONS = 64


class Holder:
    """Keeps the connections of one acceptor; some it had before."""

    def __init__(self, made: "asyncio.Queue[Holder]", before: int = 0) -> None:
        self.held = before
        self._made = made

    def count(self) -> int:
        """Return how many it has."""
        return self.held

    def protocol(self) -> asyncio.Protocol:
        """Return the protocol of one more."""
        holder = self

        class Held(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                holder.held += 1
                holder._made.put_nowait(holder)

        return Held()


def shared_out(
    before: Sequence[int],
    ways: Callable[[list[Acceptor], list[Tallies]], None] = lambda *_: None,
    *,
    pause_s: float = PAUSE_S,
) -> list[int]:
    """
    Open many connections at once at a port where acceptors are that have so many already; return what each has then.

    Each is woken by every connection, as in processes of their own. *ways* does something to them first. Who has more
    takes one for each *pause_s* that the others leave one lying, be it because this machine stands still.
    """

    async def share() -> list[int]:
        made: asyncio.Queue[Holder] = asyncio.Queue()
        memory, holders = shared_memory(len(before)), [Holder(made, count) for count in before]
        tallies = [Tallies(memory, places=len(before), place=place) for place in range(len(before))]
        os.close(memory)
        with socket.create_server(("127.0.0.1", 0), backlog=128) as listener, ExitStack() as stack:
            acceptors = []
            for each, holder in zip(tallies, holders, strict=True):
                own = stack.enter_context(listener.dup())
                acceptors.append(Acceptor(own, each, holder.protocol, holder.count, pause_s=pause_s))
                acceptors[-1].tell()
            ways(acceptors, tallies)
            port = listener.getsockname()[1]
            opened = await asyncio.gather(*(asyncio.open_connection("127.0.0.1", port) for _ in range(CONNECTIONS)))
            async with asyncio.timeout(PATIENCE_S):
                for _ in opened:
                    await made.get()
            for _, writer in opened:
                writer.close()
            for acceptor in acceptors:
                acceptor.close()
                await acceptor.wait_closed()
        return [holder.held for holder in holders]

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(share())


def test_who_has_fewer_gets_what_comes() -> None:
    """Of 64 at once, the one of four that had 30 takes hardly any, and the others have the same in the end."""
    first, *others = shared_out([30, 0, 0, 0], pause_s=1.0)

    assert first + sum(others) == 30 + CONNECTIONS
    assert first <= 34
    assert max(others) - min(others) <= 6


def test_who_has_stopped_is_not_waited_for() -> None:
    """One that closes, as before its end, leaves all to the other, who does not hold back for it."""
    assert shared_out([0, 0], lambda acceptors, _: acceptors[0].close()) == [0, CONNECTIONS]


def test_who_is_dead_does_not_count() -> None:
    """Wiped out by the pool, it is nobody to leave anything to."""

    def dies(acceptors: list[Acceptor], tallies: list[Tallies]) -> None:
        acceptors[0].close()
        tallies[1].wipe(0)

    assert shared_out([0, 5], dies) == [0, 5 + CONNECTIONS]


def test_who_does_not_come_to_it_is_waited_for_a_moment_only() -> None:
    """One that is stuck, and has the fewest, leaves what comes to the one with more."""

    def stuck(acceptors: list[Acceptor], tallies: list[Tallies]) -> None:
        acceptors[0].close()
        tallies[0].set_level("taking", 1)

    assert shared_out([0, 50], stuck) == [0, 50 + CONNECTIONS]

"""The schema: steps forward, in order, each once, and never onto what is not known."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from gateway.storage import keys
from gateway.storage.connect import connect
from gateway.storage.schema import Migration, UnknownSchema, bring_up, version_of


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator["Redis"]:
    """A client of an empty store."""
    async with connect(redis_url) as connected:
        yield connected


def adding(letter: str, ran: list[str]) -> Migration:
    """Return a step that adds a letter to a word in the store, once however often it is begun."""

    async def run(client: "Redis") -> None:
        ran.append(letter)
        word = (await client.get("word") or b"").decode()
        await asyncio.sleep(0.01)
        await client.set("word", word if letter in word else word + letter)

    return Migration(f"adds {letter}", run)


async def test_a_new_store_is_at_the_first_version(client: "Redis") -> None:
    """The first start writes the version; later ones find it."""
    assert await version_of(client) == 1
    assert [await bring_up(client, "one"), await bring_up(client, "two")] == [1, 1]
    assert await client.get(keys.SCHEMA) == b"1"


async def test_steps_are_taken_in_order_and_once_whoever_starts(client: "Redis") -> None:
    """Processes that start together come out at the latest version; each step ran once, after the one before."""
    ran: list[str] = []
    steps = [adding(letter, ran) for letter in "abc"]

    assert await asyncio.gather(*(bring_up(client, f"p{n}", steps) for n in range(4))) == [4] * 4

    assert ran == ["a", "b", "c"]
    assert await client.get("word") == b"abc"


async def test_only_what_is_missing_is_done(client: "Redis") -> None:
    """A store at the second version gets the later steps only."""
    ran: list[str] = []
    await client.set(keys.SCHEMA, 2)

    await bring_up(client, "one", [adding(letter, ran) for letter in "abc"])
    assert ran == ["b", "c"]


async def test_a_step_that_broke_off_is_taken_again(client: "Redis") -> None:
    """The version follows a step only when it is done: who comes next begins that step anew, and no other."""
    ran: list[str] = []

    async def breaks(_: "Redis") -> None:
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        await bring_up(client, "one", [adding("a", ran), Migration("breaks", breaks)])
    assert await client.get(keys.SCHEMA) == b"2"

    assert await bring_up(client, "two", [adding("a", ran), adding("b", ran)]) == 3
    assert ran == ["a", "b"]


@pytest.mark.parametrize(
    ("said", "why"), [("3", "at schema 3 and this Loopgate knows 2"), ("one", "no version; is it another program")]
)
async def test_what_is_not_known_is_refused_and_left_as_it_is(client: "Redis", said: str, why: str) -> None:
    """A newer store is never worked on: whoever wrote it knows what stands in it."""
    ran: list[str] = []
    await client.set(keys.SCHEMA, said)

    with pytest.raises(UnknownSchema, match=why):
        await bring_up(client, "one", [adding("a", ran)])

    assert not ran
    assert await client.get(keys.SCHEMA) == said.encode()

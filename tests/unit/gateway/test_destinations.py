"""Destinations: what callers name leads to public addresses, or where the configuration says, however it is spelt."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from ipaddress import ip_network

import httpx2
import pytest
from builders import TENANT, a_house
from contract.integration.receiver import SECRET, Receiver, receiving
from patience import PATIENCE_S

from gateway.api.subscription import Progress, Subscription
from gateway.api.subscription_ports import Subscribed
from gateway.delivering import Deliverer
from gateway.destinations import Destinations, Forbidden, screened_client
from gateway.storage.memory import MemoryStore
from gateway.storage.memory_feed import MemoryFeed
from gateway.storage.memory_subscriptions import MemorySubscriptions

LOOPBACK = Destinations((ip_network("127.0.0.0/8"),))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver on loopback."""
    with receiving(Receiver()) as receiver:
        yield receiver


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254",
        "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0", "fd00::1", "ff02::1",
        "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::",
        "::7f00:1", "::ffff:0:a00:1", "64:ff9b:1::a9fe:a9fe", "fec0::1", "5f00::1",
        "localhost", "LOCALHOST.", "api.localhost", "127.0.0.1.", "2130706433", "0x7f.1", "127.1",
    ],
)  # fmt: skip
def test_what_is_not_public_is_refused_by_name(host: str) -> None:
    """Loopback, private, link-local, shared, multicast and what stands for them in IPv6: all objected to."""
    assert host in str(Destinations().objection(host))


@pytest.mark.parametrize("host", ["1.1.1.1", "2606:4700::1111", "64:ff9b::101:101", "::ffff:1.1.1.1", "a.example"])
def test_what_is_public_or_a_name_is_not_objected_to(host: str) -> None:
    """A public address may be sent to; what a name means is judged when it is looked up."""
    assert Destinations().objection(host) is None


def test_the_configuration_may_name_networks() -> None:
    """What is named may be sent to, in IPv4's or IPv6's spelling; what lies beside it may not."""
    some = Destinations((ip_network("10.20.0.0/16"), ip_network("fd00::/8")))

    assert [some.allows(each) for each in ("10.20.3.4", "::ffff:10.20.3.4", "fd00::7")] == [True] * 3
    assert [some.allows(each) for each in ("10.21.3.4", "127.0.0.1", "fe80::1")] == [False] * 3


def test_an_address_that_carries_two_leads_nowhere_unless_both_may_be_sent_to() -> None:
    """A Teredo address names its server and its client: a network that holds the one opens no way to the other."""
    teredo = "2001:0:a14:304:0:0:5601:5601"  # by 10.20.3.4 to 169.254.169.254
    named = [
        Destinations(tuple(map(ip_network, each))) for each in (["10.20.0.0/16"], ["10.20.0.0/16", "169.254.0.0/16"])
    ]

    assert [each.allows(teredo) for each in named] == [False, True]


class Names:
    """A name server that says another thing each time it is asked."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers, self.asked = list(answers), list[str]()

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        del port
        self.asked.append(host)
        return self.answers.pop(0)


@asynccontextmanager
async def listening() -> AsyncIterator[tuple[int, list[str]]]:
    """Listen on loopback, and yield the port and the ``Host`` of every request."""
    hosts: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        hosts.append(head.partition("\r\nhost: ")[2].partition(":")[0])
        writer.write(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1], hosts


@pytest.mark.parametrize("answer", [["127.0.0.1"], ["::ffff:127.0.0.1", "127.0.0.1"], ["169.254.169.254"], []])
async def test_a_name_that_leads_inside_leads_nowhere(answer: list[str]) -> None:
    """What counts is the address a name means, not the name: nothing inside hears anything."""
    async with listening() as (port, hosts), screened_client(Destinations(), Names(answer)) as client:
        with pytest.raises(httpx2.ConnectError) as refused:
            await client.get(f"http://receiver.example:{port}/", timeout=PATIENCE_S)

    assert isinstance(refused.value.__cause__, Forbidden)
    assert hosts == []


async def test_the_address_that_was_judged_is_the_one_connected_to() -> None:
    """A name that means another address a moment later (DNS rebinding) is asked about once, and judged by that."""
    names = Names(["127.0.0.1"], ["169.254.169.254"])
    async with listening() as (port, hosts), screened_client(LOOPBACK, names) as client:
        await client.get(f"http://rebinding.example:{port}/", timeout=PATIENCE_S)
        with pytest.raises(httpx2.ConnectError):
            await client.get(f"http://rebinding.example:{port}/", timeout=PATIENCE_S)

    assert names.asked == ["rebinding.example"] * 2
    assert hosts == ["rebinding.example"]


async def test_the_machine_itself_resolves_names() -> None:
    """Without a name server of a test's own, this machine says what a name means."""
    async with (
        listening() as (port, hosts),
        screened_client(Destinations()) as strict,
        screened_client(LOOPBACK) as ours,
    ):
        with pytest.raises(httpx2.ConnectError):
            await strict.get(f"http://localhost:{port}/", timeout=PATIENCE_S)
        await ours.get(f"http://localhost:{port}/", timeout=PATIENCE_S)

    assert hosts == ["localhost"]


async def test_a_proxy_of_the_environment_is_asked_for_https(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all traffic must leave through a proxy, https does, and the proxy says what may be reached."""
    names = Names()
    async with listening() as (port, hosts):
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{port}")
        async with screened_client(Destinations(), names) as client:
            with pytest.raises(httpx2.TransportError):
                await client.get("https://receiver.example/", timeout=PATIENCE_S)

    assert hosts == ["receiver.example"]
    assert names.asked == []


@asynccontextmanager
async def a_delivery(url: str, destinations: Destinations) -> AsyncIterator[Progress]:
    """Deliver what is committed to *url*, once, and yield how that subscription stands then."""
    store = MemoryStore()
    subscriptions, feed, house = MemorySubscriptions(), MemoryFeed(store), a_house(store=store)
    house.clock.move(datetime.now(UTC) - house.clock.now())
    subscription = Subscription(
        subscription_id="sub_1", tenant=TENANT, url=url, secret=SECRET, created_at=house.clock.now()
    )
    await subscriptions.add(Subscribed(subscription, Progress(cursor=await feed.last(TENANT))))
    await house.propose()
    async with screened_client(destinations) as client:
        deliverer = Deliverer(subscriptions, feed, house.clock, client)
        await deliverer.begin()
        await deliverer.finish()
    found = await subscriptions.find(TENANT, "sub_1")
    assert found is not None
    yield found.progress


async def test_an_older_subscription_that_leads_inside_is_told_why_it_fails(receiver: Receiver) -> None:
    """One made before the policy, or whose name moved inside since, is sent nothing, and its error says why."""
    async with a_delivery(receiver.url, Destinations()) as progress:
        pass

    assert receiver.received == []
    assert progress.status == "failing"
    assert progress.error == (
        "127.0.0.1 leads into a network that subscriptions may not send to; `subscriptions.networks` may allow it"
    )


async def test_a_redirect_leads_nowhere(receiver: Receiver) -> None:
    """An address that may be sent to cannot send us on to one that may not: a redirect is an answer like any other."""
    receiver.status, receiver.headers = 307, {"location": "http://169.254.169.254/latest/meta-data/"}
    async with asyncio.timeout(PATIENCE_S), a_delivery(receiver.url, LOOPBACK) as progress:
        pass

    assert len(receiver.received) == 1
    assert (progress.status, progress.error) == ("failing", "answered 307")

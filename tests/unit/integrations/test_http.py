"""Where an HTTP integration may send, whatever the parameters say."""

from collections.abc import AsyncIterator, Iterator

import httpx2
import pytest
from contract.integration.receiver import TOKEN, Receiver, receiving
from patience import PATIENCE_S
from pydantic import SecretStr

from gateway.integrations.http import HttpIntegration
from gateway.integrations.ports import Run
from loops.errors import Rejected


@pytest.fixture(scope="module")
def server() -> Iterator[Receiver]:
    with receiving(Receiver()) as running:
        yield running


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(trust_env=False) as made:
        yield made


def a_run(**parameters: object) -> Run:
    return Run(
        effect_id="ef_1",
        integration="github",
        action="review",
        aggregate_id="acme/shop/1",
        loop_id="github.deployment",
        parameters={"state": "approved", "environment_name": "production"} | parameters,
    )


def an_api(server: Receiver, client: httpx2.AsyncClient, url: str = "{{ callbackUrl }}") -> HttpIntegration:
    place = server.url.replace("/hooks", "/api/repos")
    return HttpIntegration(url, client, allow=[place], token=SecretStr(TOKEN), timeout_s=PATIENCE_S)


async def test_answer_goes_to_the_callback_it_came_with(server: Receiver, client: httpx2.AsyncClient) -> None:
    """The url comes from the parameters and is not sent along; everything else is the body."""
    server.reset()
    callback = server.url.replace("/hooks", "/api/repos/acme/shop/actions/runs/7/deployment_protection_rule")
    detail = await an_api(server, client).run(a_run(callbackUrl=callback))

    assert detail["body"] == {"performed": "/api/repos/acme/shop/actions/runs/7/deployment_protection_rule"}
    assert server.performed == {"ef_1": {"state": "approved", "environment_name": "production"}}


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example/api/repos/x",
        "{origin}/api/reposx/y",
        "{origin}/api/repos",
        "{origin}/api/repos/../keys",
        "{origin}/api/repos/%2e%2e/keys",
        "{origin}/api/repos/.%2E/keys",
        "{origin}/api/repos/..%2fkeys",
        "{origin}/api/repos/a\\..\\keys",
        "{origin}@evil.example/api/repos/x",
        "{origin}/api/repos/x#y",
        "http://127.0.0.1:1/api/repos/x",
        "file:///etc/passwd",
        "//evil.example/api/repos/x",
        "",
        " ",
        None,
        7,
        True,
        ["{origin}/api/repos/x"],
    ],
)
async def test_it_reaches_nothing_but_what_is_allowed(
    server: Receiver, client: httpx2.AsyncClient, elsewhere: object
) -> None:
    """A parameter that comes from outside chooses no host, and climbs out of no path; nothing is sent."""
    server.reset()
    origin = server.url.removesuffix("/hooks")
    wanted = elsewhere.replace("{origin}", origin) if isinstance(elsewhere, str) else elsewhere

    with pytest.raises(Rejected):
        await an_api(server, client).run(a_run(callbackUrl=wanted))
    assert server.received == []


async def test_a_hole_within_the_path_stays_within(server: Receiver, client: httpx2.AsyncClient) -> None:
    """Filled into the middle of a url, a value cannot lead out of what is allowed."""
    server.reset()
    api = an_api(server, client, server.url.replace("/hooks", "/api/repos/{{ repository }}/dispatches"))
    await api.run(a_run(repository="acme/shop"))

    assert [one["path"] for one in server.received] == ["/api/repos/acme/shop/dispatches"]
    for wrong in ("../../keys", "acme/..", "x?y=/../", "x#"):
        with pytest.raises(Rejected):
            await api.run(a_run(repository=wrong))


async def test_a_url_with_holes_needs_its_bounds(client: httpx2.AsyncClient) -> None:
    """Without a list of where it may lead, nobody may choose the url."""
    with pytest.raises(ValueError, match="allow"):
        HttpIntegration("{{ callbackUrl }}", client)
    with pytest.raises(ValueError, match="must be https"):
        HttpIntegration("{{ callbackUrl }}", client, allow=["http://api.example/"])

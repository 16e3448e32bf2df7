"""Subscriptions over HTTP: only administrators, secrets once, nobody else's."""

from typing import Any

import pytest
from unit.api.rig import Rig, an_api

HOOK = "https://receiver.example.com/loopgate"


async def subscribed(api: Rig, token: str, **said: Any) -> dict[str, Any]:
    answer = await api.post("/subscriptions", {"url": HOOK, **said}, token=token)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_secret_is_shown_when_it_is_made_and_never_again() -> None:
    """Who subscribes is told the secret once; listings have none."""
    async with an_api() as api:
        admin = await api.a_token("admin")
        made = await subscribed(api, admin, events=["approval.closed"])
        shown = await api.get(f"/subscriptions/{made['subscriptionId']}", token=admin)
        listed = await api.get("/subscriptions", token=admin)

    assert made["secret"].startswith("whsec_")
    assert made["status"] == "active"
    assert "secret" not in shown.text + listed.text
    assert [each["subscriptionId"] for each in listed.json()["subscriptions"]] == [made["subscriptionId"]]


async def test_only_administrators_of_the_tenant_may() -> None:
    """Other keys are refused, and another tenant's administrator finds nothing."""
    async with an_api() as api:
        made = await subscribed(api, await api.a_token("admin"))
        path = f"/subscriptions/{made['subscriptionId']}"
        foreign = await api.a_token("admin", tenant="other")
        refused = [
            await api.post("/subscriptions", {"url": HOOK}),
            await api.get("/subscriptions"),
            await api.get(path),
        ]
        unknown = [await api.get(path, token=foreign), await api.delete(path, token=foreign)]
        unknown += [await api.post(f"{path}/{verb}", token=foreign) for verb in ("rotate", "enable")]
        empty = await api.get("/subscriptions", token=foreign)

    assert {answer.status_code for answer in refused} == {403}
    assert {answer.status_code for answer in unknown} == {404}
    assert empty.json() == {"subscriptions": []}


@pytest.mark.parametrize(
    "url",
    ["http://receiver.example.com/", "https://user:secret@receiver.example.com/", "ftp://x/", "https:///x", "x",
     "http://169.254.169.254/latest", "https://169.254.169.254/latest", "http://127.0.0.1:8080/", "https://localhost/",
     "https://10.0.0.7/hook", "https://[::1]/", "https://[::ffff:10.0.0.7]/", "https://2130706433/",
     "https://a.example/#x", "http://127.0.0.1.example.com/", "https://a b/"],
)  # fmt: skip
async def test_addresses_we_would_not_send_to_are_refused(url: str) -> None:
    """Only https, to public addresses, and nothing that hides where it leads."""
    async with an_api() as api:
        answer = await api.post("/subscriptions", {"url": url}, token=await api.a_token("admin"))

    assert answer.status_code == 422
    assert answer.json()["fields"].keys() == {"url"}


async def test_same_key_subscribes_once() -> None:
    """A repeated call gets the same subscription and secret; another body under the key is refused."""
    async with an_api() as api:
        admin = await api.a_token("admin")
        first, again = [
            await api.post("/subscriptions", {"url": HOOK}, token=admin, idempotency_key="k") for _ in range(2)
        ]
        other = await api.post("/subscriptions", {"url": HOOK + "/2"}, token=admin, idempotency_key="k")
        listed = (await api.get("/subscriptions", token=admin)).json()["subscriptions"]

    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert len(listed) == 1


async def test_rotation_gives_one_new_secret_a_key() -> None:
    """A repeated rotation under one key is one rotation."""
    async with an_api() as api:
        admin = await api.a_token("admin")
        made = await subscribed(api, admin)
        path = f"/subscriptions/{made['subscriptionId']}/rotate"
        secrets = [(await api.post(path, token=admin, idempotency_key=key)).json()["secret"] for key in ("a", "a", "b")]

    assert made["secret"] != secrets[0] == secrets[1] != secrets[2]


async def test_removed_subscription_is_gone_and_there_is_a_most() -> None:
    """What is removed is not found any more; a tenant has at most fifty."""
    async with an_api() as api:
        admin = await api.a_token("admin")
        made = [await subscribed(api, admin) for _ in range(50)]
        full = await api.post("/subscriptions", {"url": HOOK}, token=admin)
        removed = await api.delete(f"/subscriptions/{made[0]['subscriptionId']}", token=admin)
        gone = await api.get(f"/subscriptions/{made[0]['subscriptionId']}", token=admin)
        room = await api.post("/subscriptions", {"url": HOOK}, token=admin)

    assert (full.status_code, full.json()["code"]) == (409, "too_many_subscriptions")
    assert [answer.status_code for answer in (removed, gone, room)] == [200, 404, 201]

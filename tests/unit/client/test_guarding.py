"""The decorator: a function runs once, with what people approved, or not at all."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import pytest
from patience import PATIENCE_S
from unit.api.test_approvals import decide
from unit.client.rig import Clients, clients

from gateway.client import (
    Differs,
    NotApproved,
    NotJson,
    Redacted,
    Refused,
    TimedOut,
    current_approval,
    requires_approval,
)
from loops.canonical import digest

REPLICAS = {"replicas": {"type": "integer", "minimum": 1, "maximum": 5}}


async def shown(on: Clients) -> dict[str, Any]:
    """Return the one open request, once people are asked."""
    async with on.api.bell.listening("default") as rung, asyncio.timeout(PATIENCE_S):
        while not (page := (await on.api.get("/approvals")).json()["approvals"]):
            await rung.wait()
            rung.clear()
    return dict(page[0])


async def decided(on: Clients, call: Any, transition: str = "approve", **said: Any) -> Any:
    """Have Dana decide on what *call* asks; return what it returns."""
    calling = asyncio.create_task(call)
    await decide(on.api, (await shown(on))["approvalId"], transition, **said)
    return await calling


async def statuses(on: Clients) -> list[str]:
    """Return how every request stands."""
    ids = sorted({event["data"].get("requestId") for event in await _events(on)} - {None})
    return [(await on.awaiting.get(each)).status for each in ids]


async def _events(on: Clients) -> list[dict[str, Any]]:
    return list((await on.api.get("/events?limit=200")).json()["events"])


async def test_function_runs_once_with_the_edited_arguments() -> None:
    """Asked with every argument by name, defaults included; run once, with what the approver changed."""
    ran: list[Any] = []
    async with clients() as on:

        @requires_approval(title="Scale {service} to {replicas}", editable=REPLICAS, client=on.awaiting)
        async def scale(service: str, replicas: int, *, slowly: bool = True) -> str:
            ran.append((service, replicas, slowly, current_approval().edited))
            return "done"

        calling = asyncio.create_task(scale("checkout", replicas=4))
        asked = await shown(on)
        await decide(on.api, asked["approvalId"], edits={"parameters.replicas": 2})
        answer = await calling

    assert asked["title"] == "Scale checkout to 4"
    assert asked["parameters"] == {"service": "checkout", "replicas": 4, "slowly": True}
    assert answer == "done"
    assert ran == [("checkout", 2, True, True)]


async def test_blocking_function_is_guarded_the_same() -> None:
    """A plain function blocks until people have decided, and runs with what they approved."""
    ran: list[Any] = []
    async with clients() as on:

        @requires_approval(title="Scale", editable=REPLICAS, client=on.blocking)
        def scale(service: str, replicas: int) -> str:
            ran.append((service, replicas, current_approval().approval_id))
            return "done"

        answer = await decided(on, asyncio.to_thread(scale, "checkout", 4), edits={"parameters.replicas": 1})

    assert answer == "done"
    assert [(service, replicas) for service, replicas, _ in ran] == [("checkout", 1)]
    with pytest.raises(LookupError):
        current_approval()


@pytest.mark.parametrize("transition", ["reject", "withdraw"])
async def test_function_does_not_run_unless_it_is_approved(transition: str) -> None:
    """Rejected or withdrawn: a typed error, and nothing ran."""
    ran: list[int] = []
    async with clients() as on:

        @requires_approval(title="Scale", client=on.awaiting)
        async def scale(replicas: int) -> None:
            ran.append(replicas)

        calling = asyncio.create_task(scale(4))
        approval_id = (await shown(on))["approvalId"]
        if transition == "withdraw":
            await on.awaiting.withdraw(approval_id)
        else:
            await decide(on.api, approval_id, "reject", reason="No")
        with pytest.raises(NotApproved):
            await calling

    assert ran == []


async def test_function_that_waits_too_long_takes_its_request_back() -> None:
    """After the time-out nobody can approve what would never run."""
    async with clients() as on:

        @requires_approval(title="Scale", client=on.awaiting, timeout_s=0)
        async def scale(replicas: int) -> None: ...

        with pytest.raises(TimedOut):
            await scale(4)
        found = await statuses(on)

    assert found == ["withdrawn"]


def _said(**changes: Any) -> Callable[[Any], Any]:
    """Return a twist: once approved, the answer says *changes* of its parameters, under a digest that fits them."""

    def twist(body: Any) -> Any:
        if isinstance(body, dict) and body.get("status") == "approved":
            parameters = body["parameters"] | changes
            return body | {"parameters": parameters, "parametersDigest": digest(parameters)}
        return body

    return twist


@pytest.mark.parametrize(
    ("twist", "paths"),
    [
        (_said(service="payments"), ("service",)),
        (_said(more=1), ("more",)),
        (_said(replicas=9), ()),
        (_said(replicas="2"), ()),
        (_said(replicas=True), ()),
        (lambda body: body | {"parameters": {"service": "payments", "replicas": 4}}, ()),
    ],
)
async def test_what_was_approved_must_be_what_was_asked(twist: Callable[[Any], Any], paths: tuple[str, ...]) -> None:
    """More than the edits that were offered, an edit out of bounds, a digest of something else: nothing runs."""
    ran: list[int] = []

    def edited(body: Any) -> Any:
        return twist(body) if isinstance(body, dict) and body.get("status") == "approved" else body

    async with clients(edited) as on:

        @requires_approval(title="Scale", editable=REPLICAS, client=on.awaiting)
        async def scale(service: str, replicas: int) -> None:
            ran.append(replicas)

        with pytest.raises(Differs) as told:
            await decided(on, scale("checkout", 4), edits={"parameters.replicas": 2})

    assert ran == []
    assert told.value.paths == paths


async def test_a_change_nobody_made_is_found_without_edits() -> None:
    """An approval that says it was not edited must have the digest of what was asked."""
    async with clients(_said(service="payments")) as on:

        @requires_approval(title="Scale", client=on.awaiting)
        async def scale(service: str) -> None: ...

        with pytest.raises(Differs, match="service"):
            await decided(on, scale("checkout"))


async def test_secrets_taken_out_by_the_gateway_are_named_and_nobody_is_left_asked() -> None:
    """What people would approve lacks the secret that would run: refused by name, and the request is withdrawn."""
    async with clients() as on:

        @requires_approval(title="Log in", client=on.awaiting)
        async def log_in(user: str, password: str, note: dict[str, str]) -> None: ...

        with pytest.raises(Redacted) as told:
            async with asyncio.timeout(PATIENCE_S):
                await log_in("bot", "hunter2hunter2", {"how": "Bearer abcdefgh12345678"})
        found = await statuses(on)

    assert told.value.paths == ("note.how", "password")
    assert found == ["withdrawn"]


async def test_placeholder_of_a_secret_is_no_argument() -> None:
    """Where the gateway took a credential out of an edit, what is left is not what anybody meant to run."""
    async with clients(_said(note="use [redacted:api-key]")) as on:

        @requires_approval(title="Note", editable={"note": {"type": "string"}}, client=on.awaiting)
        async def note(note: str) -> None: ...

        with pytest.raises(Redacted, match="note"):
            await decided(on, note("nothing"), edits={"parameters.note": "something"})


@pytest.mark.parametrize(
    "value", [object(), {1, 2}, float("nan"), 2**60, b"x", {"deep": [1, object()]}, {1: "one"}, "\ud800"]
)
async def test_arguments_that_cannot_be_shown_are_refused_by_name(value: Any) -> None:
    """What has no canonical JSON form cannot be approved: nobody is asked."""
    async with clients() as on:

        @requires_approval(title="Run", client=on.awaiting)
        async def run(first: int, what: Any) -> None: ...

        with pytest.raises(NotJson, match="'what'") as told:
            await run(1, value)
        found = await statuses(on)

    assert told.value.argument == "what"
    assert found == []


async def test_hidden_arguments_are_handed_on_and_not_shown() -> None:
    """A method's self, or a connection, is no part of what people approve."""
    async with clients() as on:

        @dataclass
        class Deployer:
            connection: object

            @requires_approval(title="Scale {service}", hidden=("self",), client=on.awaiting)
            async def scale(self, service: str, *more: int, **kept: int) -> object:
                return self.connection, service, more, kept

        mine = object()
        calling = asyncio.create_task(Deployer(mine).scale("checkout", 1, 2, a=3))
        asked = await shown(on)
        await decide(on.api, asked["approvalId"])
        answer = await calling

    assert asked["parameters"] == {"service": "checkout", "more": [1, 2], "kept": {"a": 3}}
    assert answer == (mine, "checkout", (1, 2), {"a": 3})


class Speed(StrEnum):
    SLOW = "slow"
    FAST = "fast"


async def test_values_come_back_as_the_annotations_say() -> None:
    """What travels as JSON is read by the annotations; what was changed by the caller meanwhile counts for nothing."""
    async with clients() as on:

        @requires_approval(title="Scale", client=on.awaiting)
        async def scale(
            pair: tuple[int, int],
            speed: Speed,
            share: float,
            config: dict[str, Any],
            old: int = None,  # noqa: RUF013
        ) -> Any:
            return pair, speed, share, config, old

        config = {"a": [1]}
        calling = asyncio.create_task(scale((1, 2), Speed.FAST, 2.0, config))
        asked = await shown(on)
        config["a"].append(2)
        await decide(on.api, asked["approvalId"])
        pair, speed, share, config, old = await calling

    assert (pair, share, config, old) == ((1, 2), 2.0, {"a": [1]}, None)
    assert isinstance(speed, Speed)


async def test_an_edit_that_does_not_fit_its_annotation_runs_nothing() -> None:
    """The rules of `editable` may be laxer than the function; the function's annotations come last."""
    async with clients() as on:

        @requires_approval(title="Scale", editable={"speed": {"type": "string"}}, client=on.awaiting)
        async def scale(speed: Speed) -> None: ...

        with pytest.raises(Differs, match="annotation"):
            await decided(on, scale(Speed.FAST), edits={"parameters.speed": "warp"})


async def test_with_a_key_a_second_run_finds_the_same_approval() -> None:
    """After a crash the same call asks nobody again, and other arguments under its key are refused."""
    ran: list[str] = []
    async with clients() as on:

        @requires_approval(title="Deploy {version}", key="deploy-{name}", editable=REPLICAS, client=on.awaiting)
        async def deploy(name: str, version: str, replicas: int = 3) -> None:
            ran.append(f"{version} {replicas} {current_approval().approval_id}")

        await decided(on, deploy("shop", "v1"), edits={"parameters.replicas": 2})
        await deploy("shop", "v1")
        with pytest.raises(Refused) as told:
            await deploy("shop", "v2")
        found = await statuses(on)

    assert ran[0].startswith("v1 2 ")
    assert ran[0] == ran[1]
    assert told.value.code == "idempotency_key_reused"
    assert found == ["approved"]


async def test_without_a_key_every_call_asks_anew() -> None:
    """One approval is one run."""
    async with clients() as on:

        @requires_approval(title="Deploy", client=on.awaiting)
        async def deploy() -> str:
            return current_approval().approval_id

        ids = [await decided(on, deploy()) for _ in range(2)]

    assert len(set(ids)) == 2


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ({"title": "Scale {servce}"}, "servce"),
        ({"title": "Scale {service.real}"}, "service.real"),
        ({"title": "Scale {service:{replicas}}"}, "service"),
        ({"title": "S", "key": "{nope}"}, "nope"),
        ({"title": "S", "facts": {"Who": "{nope}"}}, "nope"),
        ({"title": "S", "editable": {"replica": {"type": "integer"}}}, "replica"),
        ({"title": "S", "hidden": ("self",)}, "self"),
        ({"title": "S", "hidden": ("replicas",), "editable": REPLICAS}, "hidden"),
    ],
)
def test_names_of_arguments_are_checked_when_the_function_is_defined(said: dict[str, Any], says: str) -> None:
    """A typo shows at import, not when somebody is to be asked."""
    with pytest.raises(TypeError, match=says):

        @requires_approval(**said)
        def scale(service: str, replicas: int) -> None: ...


def test_generators_are_refused() -> None:
    """A generator's body runs after the call returned, when its approval is no longer in hand."""
    with pytest.raises(TypeError, match="generator"):

        @requires_approval(title="S")
        def several() -> Any:
            yield 1

"""Loops over HTTP, by the Loop Engine's contract, with its holes closed."""

import asyncio
from typing import Any

import pytest
from builders import an_answer
from unit.api.rig import an_analysis, an_api


async def test_post_starts_a_loop() -> None:
    """A new loop is answered with where it stands; the caller's service is on the ledger as who asked."""
    async with an_api() as api:
        answer = await api.post(
            "/loops",
            {"loopId": "test.change", "payload": {"changeId": "CHG-1", "service": "shop"}, "aggregateId": "CHG-1"},
        )
        loaded = await api.store.load_aggregate("default", "CHG-1")

    assert answer.status_code == 201
    assert answer.json() | {"instanceId": "", "createdAt": "", "updatedAt": ""} == {
        "instanceId": "",
        "aggregateId": "CHG-1",
        "loopId": "test.change",
        "tenantId": "default",
        "currentState": "ANALYZING",
        "status": "active",
        "context": {"changeId": "CHG-1", "service": "shop"},
        "definitionVersion": "1.0.0",
        "correlationId": answer.json()["correlationId"],
        "createdAt": "",
        "updatedAt": "",
    }
    assert loaded is not None
    assert (loaded.instance.requester.type, loaded.instance.requester.id) == ("automation", "ci")


@pytest.mark.parametrize("in_header", [True, False])
async def test_same_key_gets_the_same_loop(in_header: bool) -> None:
    """A start repeated under its idempotency key starts nothing and says so; another body under it is refused."""
    async with an_api() as api:
        body: dict[str, Any] = {"loopId": "test.change", "payload": {"service": "shop"}}
        headers = {"idempotency_key": "k-1"} if in_header else {}
        body |= {} if in_header else {"idempotencyKey": "k-1"}
        first = await api.post("/loops", body, **headers)
        again = await api.post("/loops", body, **headers)
        other = await api.post("/loops", body | {"payload": {"service": "till"}}, **headers)

    assert (first.status_code, again.status_code, other.status_code) == (201, 200, 422)
    assert again.json() == first.json() | {"idempotent": True}
    assert other.json()["code"] == "idempotency_key_reused"


async def test_one_callers_key_is_nothing_to_another() -> None:
    """Idempotency keys are each caller's own."""
    async with an_api() as api:
        body = {"loopId": "test.change"}
        other = await api.a_token(service="other")
        mine = await api.post("/loops", body, idempotency_key="k-1")
        theirs = await api.post("/loops", body, token=other, idempotency_key="k-1")

    assert (mine.status_code, theirs.status_code) == (201, 201)
    assert mine.json()["instanceId"] != theirs.json()["instanceId"]


async def test_a_key_used_at_one_address_is_used_at_every_other() -> None:
    """An idempotency key stands for one request: elsewhere, or about something else, it is refused and does nothing."""
    async with an_api() as api:
        await api.started("CHG-1")
        await api.started("CHG-2")
        first = await api.post("/loops/CHG-1/cancel", {}, idempotency_key="k-1")
        others = [
            await api.post("/loops/CHG-2/cancel", {}, idempotency_key="k-1"),
            await api.post("/loops/CHG-2/transition", an_analysis(), idempotency_key="k-1"),
            await api.post("/loops", {"loopId": "test.change"}, idempotency_key="k-1"),
            await api.post("/approvals", {"title": "Another"}, idempotency_key="k-1"),
        ]
        standing = (await api.get("/loops/CHG-2")).json()

    assert first.status_code == 200
    assert [(each.status_code, each.json()["code"]) for each in others] == [(422, "idempotency_key_reused")] * 4
    assert (standing["status"], standing["currentState"]) == ("active", "ANALYZING")


@pytest.mark.parametrize("field", ["aggregateId", "correlationId", "onBehalfOf"])
@pytest.mark.parametrize("name", ["CHG\u200b1", "CHG\u202e1", "CHG\n1", "CHG\x001", "CHG\u00ad1"])
async def test_names_that_hide_something_are_refused(field: str, name: str) -> None:
    """An invisible character would make another object, or another person, that reads the same on a card."""
    async with an_api() as api:
        answer = await api.post("/loops", {"loopId": "test.change", field: name})

    assert answer.status_code == 422
    assert "printable" in answer.json()["fields"][field]


async def test_second_active_loop_is_a_conflict() -> None:
    """One business object has one active loop."""
    async with an_api() as api:
        await api.started()
        answer = await api.post("/loops", {"loopId": "test.change", "aggregateId": "CHG-1"})

    assert answer.status_code == 409
    assert answer.json()["code"] == "already_active"
    assert answer.json()["currentState"] == "ANALYZING"


async def test_unknown_loop_is_not_found() -> None:
    """A loop nobody loaded cannot be started."""
    async with an_api() as api:
        answer = await api.post("/loops", {"loopId": "no.such"})

    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_loop")


async def test_begin_answers_once_per_loop_that_has_not_gone_on() -> None:
    """Clients that create and then start find their loop; one that has gone on was started already."""
    async with an_api() as api:
        await api.started()
        fresh = await api.post("/loops/CHG-1/start")
        await api.submitted()
        late = await api.post("/loops/CHG-1/start")

    assert fresh.json() == {"aggregateId": "CHG-1", "currentState": "ANALYZING", "status": "active"}
    assert (late.status_code, late.json()["code"]) == (409, "already_started")


async def test_agent_moves_a_loop_through_a_service() -> None:
    """A key may carry a model's submission; its provenance and who carried it stay on the record."""
    async with an_api() as api:
        await api.started()
        moved = await api.submitted()
        loaded = await api.store.load_aggregate("default", "CHG-1")

    assert (moved["previousState"], moved["currentState"]) == ("ANALYZING", "PENDING_HUMAN_APPROVAL")
    assert moved["approvalId"].startswith("ar_")
    assert loaded is not None
    assert loaded.instance.submitter is not None
    assert loaded.instance.submitter.type == "ai-agent"
    assert loaded.instance.submitter.metadata == {"carriedBy": "ci"}


@pytest.mark.parametrize(("kind", "code"), [("human", "human_actor_forbidden"), ("system", "system_actor_forbidden")])
async def test_no_key_acts_as_a_human(kind: str, code: str) -> None:
    """A key that says it is a person, or Loopgate itself, is refused and moves nothing."""
    async with an_api() as api:
        await api.started()
        await api.submitted()
        actor = {"id": "dana", "type": kind}
        answer = await api.post("/loops/CHG-1/transition", {"signalId": "approve", "actor": actor})
        loaded = await api.store.load_aggregate("default", "CHG-1")

    assert (answer.status_code, answer.json()["code"]) == (403, code)
    assert answer.json()["fields"].keys() == {"actor.type"}
    assert loaded is not None
    assert loaded.instance.state == "PENDING_HUMAN_APPROVAL"


async def test_service_cannot_take_what_humans_decide() -> None:
    """An approval asked of humans is not an automation's to take."""
    async with an_api() as api:
        await api.started()
        await api.submitted()
        actor = {"id": "ci", "type": "automation"}
        answer = await api.post("/loops/CHG-1/transition", {"signalId": "approve", "actor": actor})

    assert (answer.status_code, answer.json()["code"]) == (403, "unauthorized_actor")


async def test_guards_that_object_are_named() -> None:
    """A blocked transition says which guard, with its code, and where the loop still stands."""
    async with an_api() as api:
        await api.started()
        answer = await api.post("/loops/CHG-1/transition", an_analysis(confidence=0.1))

    assert (answer.status_code, answer.json()["code"]) == (409, "guard_failed")
    assert answer.json()["guardFailures"][0]["code"] == "confidence_below_threshold"
    assert answer.json()["currentState"] == "ANALYZING"


async def test_identical_concurrent_transitions_give_one_move() -> None:
    """Of many equal requests at once one moves the loop; the others are told that there is no such move any more."""
    async with an_api() as api:
        await api.started()
        answers = await asyncio.gather(*(api.post("/loops/CHG-1/transition", an_analysis()) for _ in range(8)))

    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 7


async def test_cancel_is_attributed_and_final() -> None:
    """A cancelled loop says so, and cannot be cancelled again."""
    async with an_api() as api:
        started = await api.started()
        cancelled = await api.post("/loops/CHG-1/cancel", {"reason": "Not needed"})
        again = await api.post("/loops/CHG-1/cancel", {})
        types = await api.house.event_types(started["instanceId"])

    assert cancelled.json() == {"aggregateId": "CHG-1", "currentState": "ANALYZING", "status": "cancelled"}
    assert (again.status_code, again.json()["code"]) == (409, "loop_closed")
    assert "loop.cancelled" in types


async def test_another_tenants_loop_does_not_exist() -> None:
    """A key sees and moves its own tenant's loops; every other is not found."""
    async with an_api() as api:
        started = await api.started()
        foreign = await api.a_token(tenant="other")
        answers = [
            await api.get("/loops/CHG-1", token=foreign),
            await api.get(f"/runs/{started['instanceId']}", token=foreign),
            await api.get(f"/audit/{started['instanceId']}", token=foreign),
            await api.post("/loops/CHG-1/cancel", {}, token=foreign),
            await api.post("/loops/CHG-1/transition", an_analysis(), token=foreign),
        ]
        listed = await api.get("/loops", token=foreign)

    assert [answer.status_code for answer in answers] == [404] * 5
    assert listed.json() == {"loops": []}


async def test_loop_is_shown_with_what_waits_in_it() -> None:
    """One read tells instance, evidence, the open approval and the effects, by either name."""
    async with an_api() as api:
        started = await api.started()
        await api.submitted()
        by_aggregate = (await api.get("/loops/CHG-1")).json()
        by_instance = (await api.get(f"/loops/{started['instanceId']}")).json()

    assert by_aggregate == by_instance
    assert by_aggregate["currentState"] == "PENDING_HUMAN_APPROVAL"
    assert by_aggregate["evidence"]["affected_services"] == ["checkout"]
    assert by_aggregate["pendingApprovals"][0]["waitingFor"] == "1 of sre"
    assert [effect["kind"] for effect in by_aggregate["effects"]] == ["provider.ask"]


async def test_names_with_slashes_work() -> None:
    """A business object named like a path is found, moved and cancelled by that name."""
    async with an_api() as api:
        await api.started("acme/shop/42")
        found = await api.get("/loops/acme/shop/42")
        moved = await api.post("/loops/acme%2Fshop%2F42/transition", an_analysis())

    assert (found.status_code, moved.status_code) == (200, 200)


async def test_listing_filters_and_pages() -> None:
    """Loops are listed newest first, by loop, state, status and who is waited for, a page at a time."""
    async with an_api() as api:
        for number in range(5):
            await api.started(f"CHG-{number}")
        approval = (await api.submitted("CHG-1"))["approvalId"]
        await api.post("/loops/CHG-2/cancel", {})
        first = (await api.get("/loops?limit=3")).json()
        rest = (await api.get(f"/loops?limit=3&cursor={first['nextCursor']}")).json()
        names = {
            query: [loop["aggregateId"] for loop in (await api.get(f"/loops?{query}")).json()["loops"]]
            for query in ("status=cancelled", "waitingFor=sre", "waitingFor=finance", "state=ANALYZING", "loopId=other")
        }

    assert [loop["aggregateId"] for loop in first["loops"] + rest["loops"]] == ["CHG-4", "CHG-3", "CHG-1", "CHG-0"]
    assert "nextCursor" not in rest
    assert [loop.get("approvalId") for loop in first["loops"] + rest["loops"]] == [None, None, approval, None]
    assert names == {
        "status=cancelled": ["CHG-2"],
        "waitingFor=sre": ["CHG-1"],
        "waitingFor=finance": [],
        "state=ANALYZING": ["CHG-4", "CHG-3", "CHG-0"],
        "loopId=other": [],
    }


async def test_a_listed_loop_names_no_approval_that_is_over() -> None:
    """Once people have decided, nothing waits there: neither the open run nor the closed one names the request."""
    async with an_api() as api:
        await api.started()
        approval = (await api.submitted())["approvalId"]
        loaded = await api.store.load_request("default", approval)
        assert loaded is not None
        assert loaded.request is not None
        outcome = await api.house.engine.answer(an_answer(loaded.request, "approve", "dana"), tenant="default")
        listed = (await api.get("/loops")).json()["loops"]

    assert outcome.outcome == "executed"
    assert [(loop["aggregateId"], "approvalId" in loop) for loop in listed] == [("CHG-1", False)]


async def test_people_in_a_timeline_have_names() -> None:
    """Each step says who took it: their id for programs, their name for people."""
    async with an_api() as api:
        await api.started()
        approval = (await api.submitted())["approvalId"]
        loaded = await api.store.load_request("default", approval)
        assert loaded is not None
        assert loaded.request is not None
        await api.house.engine.answer(an_answer(loaded.request, "approve", "dana"), tenant="default")
        steps = (await api.get("/runs/CHG-1/timeline")).json()["steps"]
    actors = [each["actor"] for each in steps if "actor" in each]

    assert {"id": "dana", "type": "human", "name": "Dana"} in actors
    assert {"id": "ci", "type": "automation", "name": "ci"} in actors


async def test_definitions_are_listed() -> None:
    """A caller finds what may be started, and by which signals it moves."""
    async with an_api() as api:
        every = (await api.get("/definitions")).json()["definitions"]
        one = (await api.get("/definitions/test.change")).json()
        none = await api.get("/definitions/other")

    assert [each["loopId"] for each in every] == ["test.change"]
    assert "submit_analysis" in one["signals"]
    assert none.status_code == 404


async def test_run_is_read_with_its_surfaces() -> None:
    """A run tells steps and blocks, and where its surfaces are, each with the contract's version."""
    async with an_api() as api:
        started = await api.started()
        await api.post("/loops/CHG-1/transition", an_analysis(confidence=0.1))
        await api.submitted()
        run = (await api.get(f"/runs/{started['instanceId']}")).json()
        read = {
            name: (await api.get(path.removeprefix("/api/v1"))).json() for name, path in run["readSurfaces"].items()
        }

    assert (run["stepCount"], run["blockedCount"], run["governed"]) == (1, 1, True)
    assert {each["contractVersion"] for each in (run, *read.values())} == {"runtime-api-2026-05"}
    assert read["history"]["events"][0]["type"] == "loop.started"
    assert read["evidence"]["evidence"][0]["evidence"]["confidence"] == 0.9
    assert read["timeline"]["steps"][0]["actor"] == {"id": "ci", "type": "automation", "name": "ci"}
    assert read["replay-summary"]["sequenceValid"] is True
    assert read["replay-summary"]["eventCount"] == len(read["history"]["events"])


async def test_broken_ledger_is_told_at_its_first_bad_place() -> None:
    """A ledger somebody changed is read as broken, and not exported as if it held."""
    async with an_api() as api:
        started = await api.started()
        await api.submitted()
        lines = api.store._ledgers["default", started["instanceId"]]
        lines[1] = lines[1].replace(b"CHG-1", b"CHG-2")
        summary = (await api.get("/runs/CHG-1/replay-summary")).json()
        exported = await api.get("/audit/CHG-1")

    assert (summary["sequenceValid"], summary["firstBadSequence"]) == (False, 2)
    assert (exported.status_code, exported.json()["code"]) == (409, "ledger_broken")


async def test_export_verifies_offline() -> None:
    """What the API exports is a bundle that anybody can check without us."""
    from loops.bundle import check_bundle

    async with an_api() as api:
        await api.started()
        await api.submitted()
        answer = await api.get("/audit/CHG-1")
    checked = check_bundle(answer.content.splitlines())

    assert answer.headers["content-type"] == "application/x-ndjson"
    assert checked.broken is None

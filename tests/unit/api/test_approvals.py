"""Approvals over HTTP: asked for, waited for, taken back, never given."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from builders import an_answer
from patience import PATIENCE_S
from unit.api.rig import ADHOC, Rig, an_api

from loops.approvals import ApprovalRequest
from loops.canonical import digest

ASK: dict[str, Any] = {
    "title": "Delete the staging database",
    "parameters": {"database": "staging", "backup": True, "replicas": 3},
    "facts": {"Who": "ops-bot", "Why": "costs"},
}


async def asked(api: Rig, **said: Any) -> dict[str, Any]:
    answer = await api.post("/approvals", ASK | said)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def stored(api: Rig, approval_id: str) -> ApprovalRequest:
    loaded = await api.store.load_request("default", approval_id)
    assert loaded is not None
    assert loaded.request is not None
    return loaded.request


async def decide(api: Rig, approval_id: str, transition: str = "approve", by: str = "dana", **said: Any) -> None:
    answer = an_answer(await stored(api, approval_id), transition, by, **said)
    outcome = await api.house.engine.answer(answer, tenant="default")
    assert outcome.outcome == "executed", outcome


async def test_asking_makes_a_request_that_humans_see() -> None:
    """What is asked without a loop file becomes an open request with its digest, its facts and its deadline."""
    async with an_api() as api:
        made = await asked(api)
        request = await stored(api, made["approvalId"])

    assert (made["status"], made["title"], made["loopId"]) == ("open", ASK["title"], "adhoc.approval")
    assert made["parameters"] == ASK["parameters"]
    assert made["parametersDigest"] == digest(ASK["parameters"])
    assert made["facts"] == ASK["facts"]
    assert made["waitingFor"] == "1 of sre, Kim"
    assert request.digest == made["digest"]
    assert request.expires_at == request.created_at + timedelta(days=1)


async def test_people_see_the_parameters_and_callers_their_own_facts() -> None:
    """What is approved stands on the card, edits included; what is long or oddly named is under Details, in full."""
    odd = {"long": "x" * 301, "{{ data.title }}": "no path", "a.b": 1, "Why": "a fact has this name", "none": None}
    rules = {"replicas": {"type": "integer", "minimum": 1, "maximum": 5}}
    async with an_api() as api:
        made = await asked(api, parameters=ASK["parameters"] | odd, editable=rules)
        before = await stored(api, made["approvalId"])
        await decide(api, made["approvalId"], edits={"parameters.replicas": 2})
        after = await stored(api, made["approvalId"])
        found = (await api.get(f"/approvals/{made['approvalId']}")).json()

    shown = {"Who": "ops-bot", "Why": "costs", "database": "staging", "backup": "yes", "replicas": "3", "none": "—"}
    assert {fact.label: fact.value for fact in before.facts} == shown
    assert {fact.label: fact.value for fact in after.facts} == shown | {"replicas": "2"}
    assert made["facts"] == found["facts"] == ASK["facts"]


async def test_texts_of_callers_are_no_templates() -> None:
    """What a caller writes is shown as written: nothing in it is filled in."""
    async with an_api() as api:
        made = await asked(api, title="{{ requester.id }}", facts={"{{ data.title }}": "{{ evidence.secret }}"})

    assert made["title"] == "{{ requester.id }}"
    assert made["facts"] == {"{{ data.title }}": "{{ evidence.secret }}"}


async def test_approval_is_told_with_who_and_what() -> None:
    """A decided request says who decided, when and why, and gives back what was approved."""
    async with an_api() as api:
        made = await asked(api)
        await decide(api, made["approvalId"], reason="Fine by me")
        found = (await api.get(f"/approvals/{made['approvalId']}")).json()

    assert (found["status"], found["decidedBy"]["personId"]) == ("approved", "dana")
    assert found["decidedBy"]["reason"] == "Fine by me"
    assert found["parametersDigest"] == made["parametersDigest"]


async def test_edited_approval_gives_the_edited_parameters() -> None:
    """What an approver changed, within what was offered, is what comes back, under a digest of its own."""
    async with an_api() as api:
        made = await asked(api, editable={"replicas": {"type": "integer", "minimum": 1, "maximum": 5}})
        await decide(api, made["approvalId"], edits={"parameters.replicas": 2})
        found = (await api.get(f"/approvals/{made['approvalId']}")).json()

    assert found["edited"] is True
    assert found["parameters"] == ASK["parameters"] | {"replicas": 2}
    assert found["parametersDigest"] == digest(found["parameters"]) != made["parametersDigest"]
    assert found["digest"] != made["digest"]


async def test_long_poll_answers_as_soon_as_there_is_a_decision() -> None:
    """Who waits hears at once; nothing is polled."""
    async with an_api() as api:
        made = await asked(api)
        waiting = asyncio.create_task(api.get(f"/approvals/{made['approvalId']}?wait=30s"))
        await asyncio.sleep(0)
        await asked(api, title="Something else")
        await decide(api, made["approvalId"])
        async with asyncio.timeout(PATIENCE_S):
            answer = await waiting

    assert answer.json()["status"] == "approved"


async def test_long_polls_of_a_key_are_bounded_and_given_back() -> None:
    """Each holds a connection and asks the store at every commit: a hundred of one key, and room again after them."""
    async with an_api() as api:
        made = await asked(api)
        path = f"/approvals/{made['approvalId']}"
        other = await api.a_token(service="other")
        asking = [asyncio.create_task(api.get(f"{path}?wait=60s")) for _ in range(101)]
        async with asyncio.timeout(PATIENCE_S):
            [first], waiting = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
            refused = first.result()
            at_once = await api.get(path)
            theirs = await api.get(f"{path}?wait=1", token=other)
            await decide(api, made["approvalId"])
            answers = await asyncio.gather(*waiting)
            again = await api.get(f"{path}?wait=1")

    assert (refused.status_code, refused.json()["code"], refused.headers["retry-after"]) == (429, "too_many_waits", "5")
    assert (at_once.status_code, theirs.status_code, again.status_code) == (200, 200, 200)
    assert {answer.json()["status"] for answer in answers} == {"approved"}


async def test_long_poll_ends_with_the_request_still_open() -> None:
    """A wait that is over is answered with how things stand."""
    async with an_api() as api:
        made = await asked(api)
        answer = await api.get(f"/approvals/{made['approvalId']}?wait=1")

    assert (answer.status_code, answer.json()["status"]) == (200, "open")


async def test_same_key_asks_once() -> None:
    """A request repeated under its key shows the same approval as it stands now."""
    async with an_api() as api:
        first = await api.post("/approvals", ASK, idempotency_key="k")
        await decide(api, first.json()["approvalId"])
        again = await api.post("/approvals", ASK, idempotency_key="k")
        other = await api.post("/approvals", ASK | {"title": "Other"}, idempotency_key="k")

    assert (first.status_code, again.status_code, other.status_code) == (201, 200, 422)
    assert again.json()["approvalId"] == first.json()["approvalId"]
    assert again.json()["status"] == "approved"


async def test_the_longest_key_names_what_is_asked() -> None:
    """Any key that is taken becomes an id of one length, the same for the same key."""
    async with an_api() as api:
        first, again = [await api.post("/approvals", ASK, idempotency_key="k" * 255) for _ in range(2)]
        other = await api.post("/approvals", ASK, idempotency_key="k")

    assert (first.status_code, again.status_code, other.status_code) == (201, 200, 201)
    assert first.json()["aggregateId"] == again.json()["aggregateId"] != other.json()["aggregateId"]
    assert len(first.json()["aggregateId"]) == 36


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"channel": "random"}, "channel"),
        ({"approvers": {"groups": ["finance"]}}, "approvers.groups"),
        ({"approvers": {"users": ["dana"]}}, "approvers.users"),
        ({"quorum": 6}, "quorum"),
        ({"expiresAfter": "8d"}, "expiresAfter"),
        ({"facts": {f"f{i}": "x" for i in range(21)}}, "facts"),
        ({"approvers": {"users": ["kim"]}, "quorum": 2}, "quorum"),
        ({"editable": {"replicas": {"type": "matrix"}}}, "editable.replicas"),
        ({"expiresAfter": "soon"}, "expiresAfter"),
        ({"title": ""}, "title"),
    ],
)
async def test_more_than_the_configuration_allows_is_refused(said: dict[str, Any], field: str) -> None:
    """Callers ask within what the operator allows, and of people who could answer; nothing is started otherwise."""
    async with an_api() as api:
        answer = await api.post("/approvals", ASK | said)
        open_now = (await api.get("/approvals")).json()["approvals"]

    assert answer.status_code == 422
    assert any(each.startswith(field) for each in answer.json()["fields"]), answer.text
    assert open_now == []


async def test_edits_can_be_forbidden_for_all() -> None:
    """Where the configuration allows no edits, none can be offered."""
    async with an_api(adhoc=ADHOC.changed(editable=False)) as api:
        answer = await api.post("/approvals", ASK | {"editable": {"replicas": {"type": "integer"}}})

    assert answer.json()["fields"].keys() == {"editable"}


async def test_nothing_is_asked_where_nothing_is_allowed() -> None:
    """Without `adhoc` in the configuration no caller reaches people past the loop files."""
    async with an_api(adhoc=None) as api:
        answer = await api.post("/approvals", ASK)

    assert (answer.status_code, answer.json()["code"]) == (403, "adhoc_not_allowed")


async def test_agent_behind_a_person_cannot_be_approved_by_them() -> None:
    """The person an agent asks for may not approve it."""
    async with an_api() as api:
        agent = {"id": "bot", "type": "ai-agent", "modelId": "m", "provider": "anthropic", "onBehalfOf": "dana"}
        made = await asked(api, actor=agent)
        answer = an_answer(await stored(api, made["approvalId"]), "approve", "dana")
        refused = await api.house.engine.answer(answer, tenant="default")

    assert refused.outcome == "refused"
    assert refused.code == "self_approval"


async def test_whoever_asked_may_withdraw_and_nobody_else() -> None:
    """A request is taken back by the service that made it."""
    async with an_api() as api:
        made = await asked(api)
        other = await api.a_token(service="other")
        path = f"/approvals/{made['approvalId']}/withdraw"
        refused = await api.post(path, {}, token=other)
        done = await api.post(path, {"reason": "Not needed any more"})
        again = await api.post(path, {})

    assert (refused.status_code, refused.json()["code"]) == (403, "not_the_requester")
    assert (done.status_code, done.json()["status"]) == (200, "withdrawn")
    assert (again.status_code, again.json()["code"]) == (409, "request_closed")


async def test_no_path_decides() -> None:
    """There is no endpoint that takes a decision, whatever it might be called."""
    async with an_api() as api:
        made = await asked(api)
        tried = [
            await api.post(f"/approvals/{made['approvalId']}/{verb}", {}) for verb in ("approve", "reject", "decide")
        ]
        paths = [endpoint.path for endpoint in api.table if endpoint.method != "GET"]

    assert {answer.status_code for answer in tried} == {404}
    assert not any(word in path for path in paths for word in ("approve", "reject", "decide", "answer"))


async def test_open_requests_are_listed() -> None:
    """Open requests are listed newest first, a page at a time; decided ones are not."""
    async with an_api() as api:
        made = [await asked(api, title=f"Ask {number}") for number in range(3)]
        await decide(api, made[1]["approvalId"])
        first = (await api.get("/approvals?limit=1")).json()
        rest = (await api.get(f"/approvals?cursor={first['nextCursor']}")).json()

    assert [each["title"] for each in first["approvals"] + rest["approvals"]] == ["Ask 2", "Ask 0"]


async def test_equal_policies_share_a_definition() -> None:
    """Callers do not fill the store with definitions: equal policies are one."""
    async with an_api() as api:
        for number in range(5):
            await asked(api, title=f"Ask {number}", parameters={"n": number})
        pinned = len(api.store._definitions)

    assert pinned == 1

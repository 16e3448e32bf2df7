"""Secrets are taken out before anything is stored or shown, and that they were is on the record."""

import json

import pytest
from builders import DATA, TENANT, a_house, an_agent, an_answer, ci

SECRET = "hunter2hunter2"
KEY = "AKIAIOSFODNN7EXAMPLE"


async def test_no_secret_reaches_the_store() -> None:
    """Data, evidence, reasons: what looks like a secret is replaced, and the ledger names the paths."""
    house = a_house()
    data = {**DATA, "credentials": {"password": SECRET}}
    await house.engine.start(tenant=TENANT, loop_id="test.change", aggregate_id="CHG-7", data=data, actor=ci())
    evidence = {"confidence": 0.9, "blast_radius_score": 0.1, "reasoning": f"use {KEY} to roll back"}
    asked = await house.engine.transition(
        tenant=TENANT, aggregate_id="CHG-7", transition="submit_analysis", actor=an_agent(), evidence=evidence
    )
    reason = f"the key {KEY} must not be in here"
    await house.engine.answer(an_answer(asked.request, "reject", "dana", reason=reason), tenant=TENANT)
    events = await house.store.events(TENANT, asked.instance.instance_id)
    loaded = await house.store.load(TENANT, asked.instance.instance_id)
    written = json.dumps([event.as_json() for event in events]) + loaded.instance.model_dump_json()

    assert SECRET not in written
    assert KEY not in written
    assert "[redacted:" in loaded.request.closed_by.reason
    assert events[0].data["redacted"] == ["data.credentials"]
    requested = next(event for event in events if event.type == "loop.transition.requested")
    assert requested.data["redacted"] == ["evidence.reasoning"]


async def test_what_has_no_secret_says_nothing_of_it() -> None:
    """No paths are recorded where nothing was taken out."""
    house = a_house()
    request = await house.propose()
    events = await house.store.events(TENANT, request.instance_id)

    assert not any("redacted" in event.data for event in events)


@pytest.mark.parametrize(
    ("path", "value"), [("note", f"use {KEY}"), ("login.password", SECRET), ("hosts", ["a", {"apiKey": SECRET}])]
)
async def test_an_edit_that_holds_a_secret_is_refused(path: str, value: object) -> None:
    """A secret an approver types into a proposal is stored nowhere: by name or by form it is refused, and said so."""
    house = a_house()
    request = await house.propose()
    refused = await house.engine.answer(an_answer(request, "approve", "dana", edits={path: value}), tenant=TENANT)
    events = await house.store.events(TENANT, request.instance_id)

    assert refused.outcome == "refused"
    assert refused.code == "bad_edit"
    assert "looks like a secret" in refused.message
    assert SECRET not in refused.message
    assert not any(secret in json.dumps(event.as_json()) for event in events for secret in (SECRET, KEY))

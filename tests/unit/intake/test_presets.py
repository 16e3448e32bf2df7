"""What each shipped preset makes of its vendor's payloads."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.intake.config import SourceConfig
from gateway.intake.mapping import CancelCommand, Ignored, Problems, SignalCommand, StartCommand, delivery_id, interpret
from gateway.intake.presets import preset, preset_names, upon_preset
from gateway.loopfiles import load_shipped

PAYLOADS = Path(__file__).parent / "payloads"


def a_source(name: str, **said: Any) -> SourceConfig:
    known = {"preset": name, "secretEnv": "S"} | ({"loop": "a.loop"} if name == "generic" else {})
    return SourceConfig.model_validate(upon_preset(known | said))


def payload(name: str, **changes: Any) -> dict[str, Any]:
    """Return the vendor's payload with *changes* put at dotted paths, written with ``__`` for the dot."""
    body: dict[str, Any] = json.loads((PAYLOADS / f"{name}.json").read_text())
    for path, value in changes.items():
        *steps, last = path.split("__")
        here = body
        for step in steps:
            here = here[step]
        here[last] = value
    return body


def meaning_of(name: str, **changes: Any) -> Any:
    return interpret(a_source(name), payload(name, **changes), {})


def test_every_preset_has_a_payload_and_starts_from_it() -> None:
    """A preset without its vendor's payload is a guess."""
    assert sorted(path.stem for path in PAYLOADS.glob("*.json")) == preset_names()
    for name in preset_names():
        assert isinstance(meaning_of(name), StartCommand)


@pytest.mark.parametrize("name", [name for name in preset_names() if name != "generic"])
def test_loop_a_preset_starts_is_shipped_and_gets_what_it_shows(name: str) -> None:
    """The card of the loop that goes with a preset has no gap: each fact it shows is in what the preset maps."""
    loop_id = preset(name)["loop"]
    definition = load_shipped([loop_id])[loop_id]
    data = meaning_of(name).data
    policy = definition.state(definition.initial_state).approval
    assert policy is not None
    shown = " ".join([policy.title or "", *policy.facts.values()])
    wanted = {word.removeprefix("data.") for word in shown.replace("{{", " ").replace("}}", " ").split() if "." in word}

    assert {each for each in wanted if each.isidentifier()} <= data.keys()


def test_github_deployment_asks_on_behalf_of_who_started_it() -> None:
    """A held-back deployment becomes a question that its creator cannot answer, and knows where the answer goes."""
    command = meaning_of("github-deployment-protection-rule")

    assert (command.loop_id, command.aggregate_id) == ("github.deployment", "acme/shop/production/145988746")
    assert command.actor.on_behalf_of == "kim-novak"
    assert command.data == {
        "repository": "acme/shop",
        "environment": "production",
        "ref": "main",
        "sha": "9a5d4b1c6f7e8d90a1b2c3d4e5f60718293a4b5c",
        "creator": "kim-novak",
        "event": "push",
        "callbackUrl": "https://api.github.com/repos/acme/shop/actions/runs/8801/deployment_protection_rule",
        "pullRequests": 1,
    }


def test_github_events_are_told_apart_by_what_is_signed() -> None:
    """GitHub signs no header, so a preset looks at the body: another event is ignored, whatever its header says."""
    headers = {"x-github-event": "deployment_protection_rule"}
    other = payload("github-workflow-run")

    assert interpret(a_source("github-deployment-protection-rule"), other, headers) == Ignored("filter")


@pytest.mark.parametrize(
    "changes", [{"action": "requested"}, {"workflow_run__conclusion": "failure"}, {"workflow_run__conclusion": None}]
)
def test_github_run_that_did_not_succeed_is_ignored(changes: dict[str, Any]) -> None:
    """Only a run that completed with success asks for a promotion."""
    assert meaning_of("github-workflow-run", **changes) == Ignored("filter")


def test_pagerduty_incident_is_cancelled_when_it_resolves() -> None:
    """What was resolved elsewhere asks nobody any more."""
    started, resolved = (
        meaning_of("pagerduty-incident"),
        meaning_of("pagerduty-incident", event__event_type="incident.resolved"),
    )

    assert isinstance(resolved, CancelCommand)
    assert (resolved.aggregate_id, resolved.reason) == (started.aggregate_id, "Resolved in PagerDuty")
    assert started.data["number"] == 2
    assert meaning_of("pagerduty-incident", event__event_type="incident.acknowledged") == Ignored(
        "no rule of this source fits the delivery"
    )
    assert meaning_of("pagerduty-incident", event__resource_type="service") == Ignored("filter")


def test_pagerduty_incident_may_have_no_priority() -> None:
    """What a vendor leaves null, and the loop can do without, is left out."""
    assert "priority" not in meaning_of("pagerduty-incident", event__data__priority=None).data


@pytest.mark.parametrize("status", ["failed", "canceled"])
def test_stripe_refund_that_fell_through_is_cancelled(status: str) -> None:
    """A refund that did not take place is nothing to review."""
    cancelled = meaning_of("stripe-refund-review", type="refund.updated", data__object__status=status)

    assert cancelled.aggregate_id == meaning_of("stripe-refund-review").aggregate_id
    assert cancelled.reason == f"Stripe says the refund is {status}"
    assert meaning_of("stripe-refund-review", type="charge.succeeded") == Ignored("filter")


def test_stripe_refund_without_a_reason_says_so() -> None:
    """A default stands where the vendor's value is null."""
    assert meaning_of("stripe-refund-review").data["reason"] == "none given"


def test_alerts_that_fire_are_counted_and_resolved_ones_cancel() -> None:
    """A group of alerts is one loop: how many fire is computed, resolved it is cancelled."""
    started, resolved = meaning_of("alertmanager"), meaning_of("alertmanager", status="resolved")

    assert started.data["firing"] == 2
    assert isinstance(resolved, CancelCommand)
    assert resolved.aggregate_id == started.aggregate_id


def test_vendors_ids_tell_deliveries_apart() -> None:
    """A vendor's id counts where it is signed; elsewhere the digest of the body, which is."""
    stripe, github = a_source("stripe-refund-review"), a_source("github-workflow-run")

    assert delivery_id(stripe, None, payload("stripe-refund-review"), {}, b"") == "evt_1PqvLf2eZvKYlo2CbT9YxRkd"
    assert isinstance(delivery_id(stripe, None, {}, {}, b""), Problems)
    assert delivery_id(github, None, {}, {"x-github-delivery": "chosen"}, b"one") == delivery_id(
        github, None, {}, {"x-github-delivery": "another"}, b"one"
    )
    assert delivery_id(github, None, {}, {}, b"one") != delivery_id(github, None, {}, {}, b"two")


def test_what_the_source_says_counts_before_its_preset() -> None:
    """Any part of a preset can be said otherwise: the loop, the filter, the rules."""
    source = a_source("pagerduty-incident", loop="my.loop", filter="true", tenant="ops")
    command = interpret(source, payload("pagerduty-incident"), {})

    assert isinstance(command, StartCommand)
    assert (command.loop_id, source.tenant) == ("my.loop", "ops")
    rules = [{"signal": {"name": "seen", "aggregateId": "{{ body.event.id }}"}}]
    assert isinstance(
        interpret(a_source("pagerduty-incident", rules=rules), payload("pagerduty-incident"), {}), SignalCommand
    )


def test_unknown_preset_is_named_with_the_nearest() -> None:
    """A typing mistake is found when the file is read."""
    with pytest.raises(ValueError, match="no preset 'stripe-refund'; did you mean 'stripe-refund-review'"):
        a_source("stripe-refund")
    with pytest.raises(ValidationError, match="name the loop to start"):
        SourceConfig.model_validate(upon_preset({"preset": "generic", "secretEnv": "S"}))

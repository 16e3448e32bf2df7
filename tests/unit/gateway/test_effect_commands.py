"""What `loopgate effects` shows and does, on a real store, as people and programs see it."""

import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest
from builders import TENANT
from unit.gateway.files import a_file
from unit.gateway.test_audit_commands import decided
from unit.gateway.test_cli import Shell

from gateway.jobs.ports import Claim, LaneRules
from gateway.storage.connect import connect
from gateway.storage.redis_effects import RedisEffects
from gateway.storage.redis_lanes import RedisLanes
from loops.effects import EffectKind

LONG = timedelta(minutes=5)


@pytest.fixture
def shell(tmp_path: Path, redis_url: str) -> Shell:
    """A shell with a store."""
    a_file(tmp_path)
    return Shell(tmp_path, {"LOOPGATE_REDIS_URL": redis_url})


async def of_kind(url: str, instance_id: str, kind: EffectKind) -> str:
    """Return the id of an instance's effect of *kind*."""
    async with connect(url) as client:
        records = await RedisEffects(client).effects_of(TENANT, instance_id)
    return next(record.effect.effect_id for record in records if record.effect.kind == kind)


async def given_up(url: str, aggregate: str = "CHG-7", error: str = "no such service") -> str:
    """Have a decided change whose roll-out was given up, with nobody told; return the effect's id."""
    instance_id = await decided(url, aggregate)
    effect_id = await of_kind(url, instance_id, "integration.run")
    await claimed(url, effect_id, lambda effects, claim: effects.bury(effect_id, claim.fence, error=error))
    return effect_id


async def claimed(url: str, effect_id: str, then: Callable[[RedisEffects, Claim], Awaitable[object]]) -> None:
    """Claim an effect as a worker does, and do *then*."""
    async with connect(url) as client:
        effects = RedisEffects(client)
        claim = await effects.claim(effect_id, lease=LONG)
        assert claim is not None
        await then(effects, claim)


async def test_dead_effects_are_listed_with_what_went_wrong(shell: Shell, redis_url: str) -> None:
    """One line an effect: what it does, for what, how far it got, and why it was given up; nothing in it is markup."""
    effect_id = await given_up(redis_url, error="no [bold]such[/bold] service")
    listed = shell.run("effects", "list", "--state", "dead")
    as_json = json.loads(shell.run("effects", "list", "--state", "dead", "--json").stdout)

    assert listed.returncode == 0
    assert effect_id in listed.stdout
    assert "deployer: rollout" in listed.stdout
    assert "no [bold]such[/bold] service" in listed.stdout
    [row] = as_json["effects"]
    assert (row["effectId"], row["state"], row["aggregateId"]) == (effect_id, "dead", "CHG-7")
    lanes = ("deployer", "erp", "provider analyst", "provider reviewer")
    assert as_json["circuits"] == dict.fromkeys(lanes, "closed")


async def test_effects_are_listed_page_by_page(shell: Shell, redis_url: str) -> None:
    """Filters leave the cursor where it belongs: every effect that fits is on one page, once."""
    wanted = [await given_up(redis_url, f"CHG-{number}") for number in range(3)]
    seen, cursor = [], None
    for _ in range(5):
        more = ["--cursor", cursor] if cursor else []
        page = shell.run("effects", "list", "--integration", "deployer", "--limit", "2", "--json", *more)
        answer = json.loads(page.stdout)
        seen += [row["effectId"] for row in answer["effects"]]
        cursor = answer["cursor"]
        if cursor is None:
            break

    assert seen == wanted
    assert json.loads(shell.run("effects", "list", "--tenant", "other", "--json").stdout)["effects"] == []


async def test_all_effects_of_one_thing_can_be_seen(shell: Shell, redis_url: str) -> None:
    """Done ones too, by the business object or the instance; something unknown is said to be."""
    await given_up(redis_url)
    listed = json.loads(shell.run("effects", "list", "--instance", "CHG-7", "--json").stdout)
    unknown = shell.run("effects", "list", "--instance", "CHG-404")

    assert {row["kind"] for row in listed["effects"]} >= {"provider.ask", "card.post", "integration.run"}
    assert unknown.returncode == 1
    assert "there is no loop on CHG-404" in unknown.stderr


async def test_an_integration_that_is_let_be_is_said_to_be(shell: Shell, redis_url: str) -> None:
    """The list says which integrations are let be, since what waits for them waits for that."""
    instance_id = await decided(redis_url)
    effect_id = await of_kind(redis_url, instance_id, "integration.run")
    async with connect(redis_url) as client:
        lanes, rules = RedisLanes(client), LaneRules(at_once=1, failures=1, pause=LONG)
        claim = await RedisEffects(client).claim(effect_id, lease=LONG)
        assert claim is not None
        await lanes.enter("deployer", claim, rules, lease=LONG)
        await lanes.leave("deployer", effect_id, rules, "failed")
    listed = shell.run("effects", "list")

    assert "deployer is let be until" in listed.stdout


async def test_a_dead_effect_is_tried_again_on_the_record(shell: Shell, redis_url: str) -> None:
    """It waits for a worker again; the ledger says who, through what; a second time there is nothing to do."""
    effect_id = await given_up(redis_url)
    tried = shell.run("effects", "retry", effect_id, "--as", "kim")
    again = shell.run("effects", "retry", effect_id, "--as", "kim", "--json")
    shown = json.loads(shell.run("effects", "show", effect_id, "--json").stdout)
    ledger = json.loads(shell.run("audit", "show", "CHG-7", "--json").stdout)

    assert tried.returncode == 0, tried.stderr
    assert shown["state"] == "pending"
    assert (ledger[-1]["type"], ledger[-1]["data"]["actor"]["onBehalfOf"]) == ("effect.retried", "kim")
    assert (again.returncode, json.loads(again.stdout)["code"]) == (1, "not_failed")


async def test_an_effect_is_abandoned_on_the_record(shell: Shell, redis_url: str) -> None:
    """It will not take place, its loop is told, and the ledger says who and why; without a why it is refused."""
    instance_id = await decided(redis_url)
    effect_id = await of_kind(redis_url, instance_id, "integration.run")
    no_reason = shell.run("effects", "abandon", effect_id, "--reason", " ")
    done = shell.run("effects", "abandon", effect_id, "--reason", "rolled out by hand", "--as", "kim")
    ledger = json.loads(shell.run("audit", "show", "CHG-7", "--json").stdout)
    said = next(event for event in ledger if event["type"] == "effect.abandoned")

    assert no_reason.returncode == 2
    assert done.returncode == 0, done.stderr
    assert (said["data"]["actor"]["onBehalfOf"], said["data"]["reason"]) == ("kim", "rolled out by hand")
    assert "FAILED" in [event["data"].get("finalState") for event in ledger]


async def test_what_is_being_carried_out_is_left_alone(shell: Shell, redis_url: str) -> None:
    """An effect somebody holds is neither abandoned nor tried twice at once."""
    instance_id = await decided(redis_url)
    effect_id = await of_kind(redis_url, instance_id, "integration.run")

    async def nothing(_: RedisEffects, __: Claim) -> None:
        return None

    await claimed(redis_url, effect_id, nothing)
    abandoned = shell.run("effects", "abandon", effect_id, "--reason", "x")
    tried = shell.run("effects", "retry", effect_id)

    assert (abandoned.returncode, tried.returncode) == (1, 1)
    assert "being carried out" in abandoned.stderr
    assert "Traceback" not in abandoned.stderr + tried.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["show", "ef_404"], "there is no effect ef_404"),
        (["retry", "ef_404"], "there is no effect ef_404"),
        (["abandon", "ef_404", "--reason", "x"], "there is no effect ef_404"),
        (["list", "--cursor", "nonsense"], "cursor"),
        (["list", "--state", "done"], "there is no state done"),
    ],
)
def test_what_there_is_none_of_is_one_message(shell: Shell, arguments: list[str], says: str) -> None:
    """An id, a cursor or a state there is none of: not 0, one message, no traceback."""
    answer = shell.run("effects", *arguments)

    assert answer.returncode in {1, 2}
    assert says in answer.stderr
    assert "Traceback" not in answer.stderr

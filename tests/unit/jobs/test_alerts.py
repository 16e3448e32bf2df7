"""Alerts: whoever runs this is told of what was given up, not a hundred times, and not of alerts that were given up."""

from datetime import timedelta
from typing import cast

from builders import TENANT
from unit.jobs.rig import JobsHouse, a_jobs_house

from channels.memory import MemoryChannel
from gateway.integrations.recording import MemoryIntegration
from gateway.jobs.ports import EffectRecord
from loops.errors import Rejected


async def given_up(jobs: JobsHouse, integration: MemoryIntegration) -> EffectRecord:
    """Have the roll-out refused for good; return its end."""
    await jobs.approved()
    integration.fail_next([Rejected("no such service")])
    return await jobs.run("integration.run")


async def test_what_was_given_up_is_told_of_with_its_reason() -> None:
    """The alarm is an effect of the same commit: a crash in between loses neither."""
    integration = MemoryIntegration()
    jobs = a_jobs_house(integration=integration)
    dead = await given_up(jobs, integration)
    record = await jobs.run("effect.alarm")
    [told] = cast("MemoryChannel", jobs.channel).alerts.values()

    assert record.state == "succeeded"
    assert (told.effect_id, told.what, told.error) == (dead.effect.effect_id, "deployer: rollout", "no such service")


async def test_an_alert_that_is_given_up_raises_none() -> None:
    """Where the channel takes no alerts, that is on the ledger and in the figures, and there it ends."""
    integration = MemoryIntegration()
    jobs = a_jobs_house(integration=integration)
    await given_up(jobs, integration)
    cast("MemoryChannel", jobs.channel).fail_next(Rejected("channel_not_found"))
    record = await jobs.run("effect.alarm")

    assert record.state == "dead"
    assert len(await jobs.house.effects(jobs.instance_id, "effect.alarm")) == 1
    assert (await jobs.events())[-1] == "effect.failed"


async def test_the_same_thing_is_told_of_once_a_minute() -> None:
    """When a system is down, the first that is given up in a minute is told of; a retry of that alert still is."""
    integration = MemoryIntegration()
    jobs = a_jobs_house(integration=integration)
    await given_up(jobs, integration)
    alarm = await jobs.effect("effect.alarm")
    minute = alarm.created_at.strftime("%Y-%m-%dT%H:%M")
    await jobs.store.hold(f"alert:{TENANT}:deployer: rollout:{minute}", "ef_of_another", timedelta(hours=1))
    record = await jobs.run("effect.alarm")

    assert record.detail == {"skipped": "told of another one of the same minute"}
    assert cast("MemoryChannel", jobs.channel).alerts == {}


async def test_what_succeeds_or_is_abandoned_raises_no_alert() -> None:
    """Nobody is told of what went well."""
    jobs = a_jobs_house()
    await jobs.approved()
    await jobs.run("integration.run")

    assert await jobs.house.effects(jobs.instance_id, "effect.alarm") == []

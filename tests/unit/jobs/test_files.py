"""Files: who asked gets one complete copy of what is proposed, and learns it where they cannot."""

from collections.abc import Mapping
from typing import Any

from builders import TENANT, person
from unit.jobs.rig import JobsHouse, a_jobs_house

from channels.memory import MemoryChannel
from gateway.gate import EngineGate
from loops.actors import Human
from loops.canonical import canonical_json
from loops.errors import Rejected, Unavailable
from loops.outcomes import Executed, Recorded, Refused

CLICK: Mapping[str, Any] = {"channelKind": "slack", "slackUserId": "UDANA"}


async def asked(jobs: JobsHouse, by: Human) -> Executed | Recorded | Refused:
    """Ask for the file as Slack's listeners do."""
    request = await jobs.request()
    loaded = await jobs.store.load_request(TENANT, request.request_id)
    assert loaded is not None
    gate = EngineGate(
        jobs.house.engine,
        jobs.store,
        effects=jobs.store,
        definitions=jobs.house.definitions,
        directory=jobs.house.people,
        clock=jobs.house.clock,
    )
    return await gate.disclose(loaded, by, CLICK)


def files(jobs: JobsHouse) -> dict[str, bytes]:
    """Return what each person was sent."""
    assert isinstance(jobs.channel, MemoryChannel)
    return {who: content for (_, who), content in jobs.channel.files.items()}


async def test_who_asks_is_sent_what_the_digest_covers_once() -> None:
    """One copy for each person, however often they ask, on the ledger under their name."""
    jobs = a_jobs_house()
    request = await jobs.propose()
    outcomes = [await asked(jobs, person(name)) for name in ("dana", "dana", "kim")]
    for effect in await jobs.house.effects(jobs.instance_id, "details.file"):
        await jobs.runner.run(effect.effect_id)
    events = await jobs.store.events(TENANT, jobs.instance_id)

    content = canonical_json(request.proposal.as_digested())
    assert files(jobs) == {"dana": content, "kim": content}
    assert [outcome.repeated for outcome in outcomes] == [False, True, False]
    told = [event.data["actor"]["id"] for event in events if event.type == "approval.details.requested"]
    assert told == ["dana", "kim"]


async def test_a_file_whose_answer_was_lost_is_not_sent_twice() -> None:
    """The next attempt looks for it first; the memory channel refuses a second one that did not look."""
    channel = MemoryChannel()
    jobs = a_jobs_house(channel=channel)
    await jobs.propose()
    await asked(jobs, person("dana"))
    channel.fail_next(Unavailable("gone"), after=True)
    first = await jobs.run("details.file")
    jobs.later(jobs.policy.base * 4)
    second = await jobs.run("details.file")

    assert (first.state, second.state) == ("failed", "succeeded")
    assert list(files(jobs)) == ["dana"]


async def test_a_closed_request_can_still_be_had() -> None:
    """What was approved may be read for as long as it is kept."""
    jobs = a_jobs_house()
    request = await jobs.approved()
    outcome = await asked(jobs, person("kim"))
    await jobs.run("details.file")

    assert isinstance(outcome, Recorded)
    assert files(jobs) == {"kim": canonical_json(request.proposal.as_digested())}


async def test_nobody_is_sent_what_they_may_not_see_any_more() -> None:
    """Somebody who was removed after they asked gets nothing."""
    jobs = a_jobs_house()
    await jobs.propose()
    await asked(jobs, person("dana"))
    del jobs.house.people.known["dana"]
    record = await jobs.run("details.file")

    assert (record.state, record.detail) == ("succeeded", {"skipped": "nobody to be reached"})
    assert files(jobs) == {}


async def test_a_stranger_is_refused_and_nothing_is_written() -> None:
    """Nobody the directory does not know can ask."""
    jobs = a_jobs_house()
    await jobs.propose()
    before = await jobs.events()
    outcome = await asked(jobs, person("ghost"))

    assert isinstance(outcome, Refused)
    assert outcome.code == "unmapped_identity"
    assert await jobs.events() == before


async def test_who_waits_for_a_file_that_cannot_be_sent_is_told() -> None:
    """Given up, it is on the ledger, they hear why, and may ask again."""
    channel = MemoryChannel()
    jobs = a_jobs_house(channel=channel)
    await jobs.propose()
    await asked(jobs, person("dana"))
    channel.fail_next(Rejected("the workspace allows no files"))
    record = await jobs.run("details.file")
    await jobs.run("notice")
    again = await asked(jobs, person("dana"))
    await jobs.run("details.file")

    assert record.state == "dead"
    (notice, _) = channel.notices[-1]
    assert (notice.code, notice.address) == ("file_not_sent", dict(CLICK))
    assert notice.message == "the workspace allows no files"
    assert (isinstance(again, Recorded) and again.repeated, list(files(jobs))) == (False, ["dana"])

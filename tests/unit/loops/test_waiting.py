"""Waiting: what happens to a request while nobody decides it, in its time, in order, once."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from builders import MORNING, TENANT, House, a_change, a_house, a_person, an_answer, ci, person
from hypothesis import given, settings
from hypothesis import strategies as st

from loops.approvals import ApprovalRequest, HumanAsk
from loops.durations import format_duration
from loops.events import Event
from loops.outcomes import Executed, Recorded, Refused

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


class Roster:
    """Who is on call, by schedule; fits `loops.ports.OnCall`."""

    def __init__(self, **people: str) -> None:
        self.people = people

    async def on_call(self, tenant: str, schedule: str, at: datetime) -> list[str]:
        """Return who is on call."""
        del tenant, at
        return [self.people[schedule]] if schedule in self.people else []


async def sweep(house: House, span: timedelta = timedelta(0)) -> None:
    """Let *span* go by, then let what is due take effect."""
    house.clock.move(span)
    for deadline in await house.store.due(house.clock.now()):  # type: ignore[attr-defined]
        await house.engine.fall_due(deadline)


async def happened(house: House, request: ApprovalRequest) -> list[Event]:
    """Return the events of waiting, in order."""
    events = await house.store.events(TENANT, request.instance_id)
    return [event for event in events if event.type in {"approval.reminded", "approval.escalated", "approval.closed"}]


async def latest(house: House, request: ApprovalRequest) -> ApprovalRequest:
    """Return the request as it stands."""
    loaded = await house.store.load_request(TENANT, request.request_id)
    assert loaded is not None
    assert loaded.request is not None
    return loaded.request


async def test_people_are_reminded_once_every_interval_up_to_the_bound() -> None:
    """With remindAfter 30m and two reminders: at 30 and 60 minutes, and then no more."""
    house = a_house(a_change(remindAfter="30m", reminders=2))
    request = await house.propose()
    for _ in range(10):
        await sweep(house, timedelta(minutes=15))
    events = await happened(house, request)

    assert [event.occurred_at - MORNING for event in events] == [30 * MINUTE, 60 * MINUTE]
    assert [event.data["number"] for event in events] == [1, 2]
    assert events[0].data["actor"]["type"] == "system"


async def test_a_sweep_three_intervals_late_reminds_once() -> None:
    """What was missed is not caught up with a burst: one reminder, and the next one in its own time."""
    house = a_house(a_change(remindAfter="30m", reminders=5))
    request = await house.propose()
    await sweep(house, timedelta(minutes=100))
    await sweep(house)
    late = len(await happened(house, request))
    await sweep(house, timedelta(minutes=19))
    early = len(await happened(house, request))
    await sweep(house, timedelta(minutes=1))

    assert (late, early) == (1, 1)
    assert [event.data["number"] for event in await happened(house, request)] == [3, 4]


async def test_a_reminder_names_those_who_may_still_decide() -> None:
    """Not whoever asked, not who has approved already, not who may not decide at all."""
    house = a_house(a_change(remindAfter="30m", quorum=2))
    request = await house.propose(behind="dana")
    await house.engine.answer(an_answer(request, "approve", "sam"), tenant=TENANT)
    await sweep(house, 31 * MINUTE)
    [reminded] = await happened(house, request)

    assert reminded.data["waitsFor"] == ["robin"]


async def test_an_escalation_asks_again_elsewhere_and_lets_its_groups_decide() -> None:
    """Before it finance may not decide; after it, it may, and the card is posted in the other channel too."""
    house = a_house(a_change(escalate=[{"after": "1h", "channel": "leads", "groups": ["finance"]}]))
    request = await house.propose()
    before = await house.engine.answer(an_answer(request, "approve", "kim"), tenant=TENANT)
    await sweep(house, HOUR)
    posts = await house.effects(request.instance_id, "card.post")
    after = await house.engine.answer(an_answer(request, "approve", "kim"), tenant=TENANT)

    assert isinstance(before, Refused)
    assert [post.payload.get("channel") for post in posts] == [None, "leads"]
    assert isinstance(after, Executed)
    assert (await latest(house, request)).digest == request.digest


async def test_who_is_on_call_then_may_decide_from_then_on() -> None:
    """The schedule is asked when the step is taken; who it named stays named, whoever has the turn later."""
    roster = Roster(primary="kim")
    house = a_house(a_change(escalate=[{"after": "1h", "onCall": "primary"}]), on_call=roster)
    request = await house.propose()
    await sweep(house, HOUR)
    roster.people["primary"] = "robin"
    [escalated] = await happened(house, request)
    outcome = await house.engine.answer(an_answer(request, "approve", "kim"), tenant=TENANT)

    assert escalated.data["onCall"] == ["kim"]
    assert isinstance(outcome, Executed)


async def test_somebody_an_escalation_names_may_not_decide_their_own() -> None:
    """Separation of duties applies to those who come in later as well."""
    house = a_house(a_change(escalate=[{"after": "1h", "groups": ["finance"]}]))
    request = await house.propose(behind="kim")
    await sweep(house, HOUR)
    outcome = await house.engine.answer(an_answer(request, "approve", "kim"), tenant=TENANT)

    assert isinstance(outcome, Refused)
    assert outcome.code == "self_approval"


async def test_with_stages_an_escalation_fills_the_need_it_names_and_no_other() -> None:
    """The leads of one function do not approve for another."""
    stages = [{"needs": [{"name": "Ops", "groups": ["sre"]}, {"name": "Money", "groups": ["finance"]}]}]
    escalate = [{"after": "1h", "groups": ["board"], "need": "Money"}]
    house = a_house(a_change(approvers={}, stages=stages, escalate=escalate))
    for name in ("alex", "blair"):
        house.people.known[name] = a_person(name, "board")
    request = await house.propose()
    await sweep(house, HOUR)
    first = await house.engine.answer(an_answer(request, "approve", "alex"), tenant=TENANT)
    second = await house.engine.answer(an_answer(request, "approve", "blair"), tenant=TENANT)
    third = await house.engine.answer(an_answer(request, "approve", "dana"), tenant=TENANT)

    assert isinstance(first, Recorded)
    assert isinstance(second, Refused)
    assert isinstance(third, Executed)


async def test_all_steps_that_are_late_are_taken_in_order() -> None:
    """Two steps and three reminders late: both steps, then one reminder, which names those asked since."""
    steps = [{"after": "1h", "groups": ["finance"]}, {"after": "90m", "channel": "leads"}]
    house = a_house(a_change(remindAfter="30m", escalate=steps))
    request = await house.propose()
    await sweep(house, 95 * MINUTE)
    events = await happened(house, request)

    assert [event.type for event in events] == ["approval.escalated", "approval.escalated", "approval.reminded"]
    assert [event.data.get("step") for event in events] == [0, 1, None]
    assert "kim" in events[2].data["waitsFor"]


async def test_a_request_whose_time_is_over_expires_and_nobody_is_reminded_of_it() -> None:
    """A sweep that comes after the expiry does only that."""
    house = a_house(a_change(remindAfter="30m", escalate=[{"after": "1h", "channel": "leads"}]))
    request = await house.propose()
    await sweep(house, 5 * HOUR)

    assert [event.type for event in await happened(house, request)] == ["approval.closed"]


async def test_nothing_falls_due_of_a_decided_request() -> None:
    """The commit that closes it takes its deadline with it."""
    house = a_house(a_change(remindAfter="30m"))
    request = await house.propose()
    await house.engine.answer(an_answer(request, "approve", "dana"), tenant=TENANT)

    assert await house.store.due(datetime.max.replace(tzinfo=UTC)) == []  # type: ignore[attr-defined]


async def test_the_time_a_loop_rests_does_not_count() -> None:
    """Suspended ten minutes before its reminder, resumed a day later: reminded ten minutes after that."""
    house = a_house(a_change(remindAfter="30m", reminders=1))
    request = await house.propose()
    house.clock.move(20 * MINUTE)
    await house.engine.suspend(tenant=TENANT, aggregate_id=request.aggregate_id, actor=ci())
    await sweep(house, timedelta(days=1))
    resting = await happened(house, request)
    await house.engine.resume(tenant=TENANT, aggregate_id=request.aggregate_id, actor=ci())
    await sweep(house, 9 * MINUTE)
    early = await happened(house, request)
    await sweep(house, MINUTE)

    assert (resting, early) == ([], [])
    assert len(await happened(house, request)) == 1
    expected = request.created_at + 4 * HOUR + timedelta(days=1)
    assert (await latest(house, request)).expires_at == expected


async def test_office_hours_are_the_only_time_that_counts() -> None:
    """Asked on a Sunday: reminded on Monday at half past nine by the office's clock, expired at one."""
    hours = {"zone": "Europe/Vienna", "days": ["mon-fri"]}
    house = a_house(a_change(remindAfter="30m", reminders=1, hours=hours))
    request = await house.propose()
    await sweep(house, timedelta(hours=12))
    on_sunday = await happened(house, request)
    house.clock.at = datetime(2026, 11, 23, 8, 30, tzinfo=UTC)
    await sweep(house)

    assert on_sunday == []
    assert [event.type for event in await happened(house, request)] == ["approval.reminded"]
    assert request.expires_at == datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@st.composite
def policies(draw: st.DrawFn) -> dict[str, Any]:
    """A policy with times in order, in any zone's hours or around the clock."""
    spans = sorted(draw(st.lists(st.integers(1, 60 * 60), min_size=4, max_size=4, unique=True)))
    remind, first, second, expire = (format_duration(span * MINUTE) for span in spans)
    hours = {
        "zone": draw(st.sampled_from(["Europe/Vienna", "Australia/Lord_Howe", "America/Havana"])),
        "days": draw(st.sampled_from([["mon-fri"], ["mon-sun"], ["sun"], ["sat", "sun"]])),
        "from": draw(st.sampled_from(["00:00", "01:30", "09:00"])),
        "to": draw(st.sampled_from(["02:15", "17:00", "24:00"])),
    }
    if hours["from"] >= hours["to"]:
        hours["to"] = "24:00"
    return {
        "remindAfter": remind,
        "reminders": draw(st.integers(1, 4)),
        "escalate": [{"after": first, "channel": "leads"}, {"after": second, "groups": ["finance"]}],
        "expireAfter": expire,
        "hours": draw(st.none() | st.just(hours)),
    }


@settings(max_examples=50, deadline=None)
@given(
    policies(),
    st.integers(0, 365 * 24 * 60),
    st.lists(st.integers(1, 6 * 60) | st.integers(1, 5 * 24 * 60), min_size=1, max_size=25),
    st.booleans(),
)
async def test_over_a_year_everything_happens_in_its_time_in_order_once(
    policy: dict[str, Any], start: int, pauses: list[int], is_decided: bool
) -> None:
    """
    Whatever the policy, the day and the gaps between sweeps, through every change of the clocks.

    Each step is taken once, at the first sweep after it was due and none before; reminders grow and are never two at a
    time; the expiry ends it; and after a decision nothing happens at all.
    """
    house = a_house(a_change(**policy))
    house.clock.at = datetime(2026, 1, 1, tzinfo=UTC) + start * MINUTE
    request = await house.propose()
    rules = request.proposal.policy
    sweeps: list[datetime] = []
    for number, pause in enumerate([*pauses, 4_000 * 24 * 60]):
        if is_decided and number == len(pauses):
            await house.engine.answer(an_answer(request, "approve", "dana"), tenant=TENANT)
        house.clock.move(pause * MINUTE)
        sweeps.append(house.clock.now())
        await sweep(house)
        await sweep(house)
    events = await happened(house, request)
    swept = [event for event in events if event.data.get("status") not in {"approved"}]

    def due_at(span: timedelta) -> datetime:
        return rules.hours.after(request.created_at, span) if rules.hours else request.created_at + span

    for event in swept:
        match event.type:
            case "approval.reminded":
                number = event.data["number"]
                due, later = due_at(number * rules.remind_after), due_at((number + 1) * rules.remind_after)
                assert event.occurred_at < later or number == rules.reminders
            case "approval.escalated":
                due = due_at(rules.escalate[event.data["step"]].after)
            case _:
                due = due_at(rules.expire_after)
        assert event.occurred_at == min(moment for moment in sweeps if moment >= due)
    reminders = [event for event in events if event.type == "approval.reminded"]
    assert len({event.occurred_at for event in reminders}) == len(reminders)
    assert [event.data["number"] for event in reminders] == sorted({event.data["number"] for event in reminders})
    assert [event.data["step"] for event in events if event.type == "approval.escalated"] in ([], [0], [0, 1])
    assert [event.type for event in events].count("approval.closed") == 1
    assert events[-1].type == "approval.closed"
    assert await house.store.due(datetime.max.replace(tzinfo=UTC)) == []  # type: ignore[attr-defined]


def an_ask(request: ApprovalRequest, by: str, span: str) -> HumanAsk:
    """Return the wish to be reminded in *span*."""
    return HumanAsk(
        request_id=request.request_id,
        by=person(by),
        snooze=span,  # type: ignore[arg-type]
        channel={"slackUserId": f"U{by.upper()}"},
        key=f"snooze:{by}:{span}",
    )


async def test_an_approver_is_reminded_when_they_asked_to_be_and_nobody_else_is() -> None:
    """One private word at that time, once; the request's own times stay what they were."""
    house = a_house(a_change())
    request = await house.propose()
    put_off = await house.engine.consult(an_ask(request, "dana", "1h"), tenant=TENANT)
    await sweep(house, 59 * MINUTE)
    early = await house.effects(request.instance_id, "notice")
    await sweep(house, MINUTE)
    await sweep(house, MINUTE)
    [notice] = await house.effects(request.instance_id, "notice")
    [reminded] = await happened(house, request)

    assert isinstance(put_off, Recorded)
    assert early == []
    assert notice.payload["address"] == {"slackUserId": "UDANA"}
    assert reminded.data["person"] == "dana"
    assert (await latest(house, request)).expires_at == request.expires_at


async def test_putting_it_off_again_moves_the_reminder() -> None:
    """The later wish counts, not both."""
    house = a_house(a_change())
    request = await house.propose()
    await house.engine.consult(an_ask(request, "dana", "1h"), tenant=TENANT)
    await house.engine.consult(an_ask(request, "dana", "2h"), tenant=TENANT)
    await sweep(house, HOUR)
    early = await happened(house, request)
    await sweep(house, HOUR)

    assert early == []
    assert len(await happened(house, request)) == 1


@pytest.mark.parametrize(
    ("by", "span", "code"),
    [("kim", "1h", "not_an_approver"), ("dana", "8d", "cannot_snooze"), ("dana", "4h", "cannot_snooze")],
)
async def test_only_an_approver_puts_off_and_never_past_the_end(by: str, span: str, code: str) -> None:
    """Somebody who may not decide, a week and a day, the very expiry: refused, on the ledger."""
    house = a_house(a_change())
    request = await house.propose()
    outcome = await house.engine.consult(an_ask(request, by, span), tenant=TENANT)

    assert isinstance(outcome, Refused)
    assert outcome.code == code
    assert "approval.decision.refused" in await house.event_types(request.instance_id)


async def test_a_snooze_never_delays_a_decision_or_the_expiry() -> None:
    """Dana put it off; Sam decides meanwhile, and Dana is not reminded of what is decided."""
    house = a_house(a_change())
    request = await house.propose()
    await house.engine.consult(an_ask(request, "dana", "1h"), tenant=TENANT)
    outcome = await house.engine.answer(an_answer(request, "approve", "sam"), tenant=TENANT)
    await sweep(house, 2 * HOUR)

    assert isinstance(outcome, Executed)
    assert await house.effects(request.instance_id, "notice") == []

"""Who Slack says may not decide does not, whatever the configuration says; nothing known means nothing decided."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest
from builders import TENANT, a_house
from patience import PATIENCE_S
from unit.slack.rig import Rig, a_rig

from channels.memory import MemoryKnowledge
from channels.slack.confirming import SlackConfirmer
from channels.slack.members import Members
from channels.slack.notices import notice_text
from channels.slack.roster import Member, Roster
from channels.slack.usergroups import UserGroups
from loops.cards import Notice
from loops.errors import Unavailable
from loops.outcomes import Executed, Outcome, Recorded, Refused


class Watched(MemoryKnowledge):
    """Can be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self._news = asyncio.Condition()

    async def keep(self, team: str, name: str, turn: int, text: str, lifetime: timedelta) -> None:
        """Keep, and say so."""
        async with self._news:
            await super().keep(team, name, turn, text, lifetime)
            self._news.notify_all()

    async def until(self, holds: Callable[[dict[str, Member]], bool]) -> None:
        """Wait until what is kept, by user, is as it should be."""
        async with asyncio.timeout(PATIENCE_S), self._news:
            await self._news.wait_for(lambda: holds(self._by_user()))

    async def forget(self, user: str) -> None:
        """Let what is known about *user* have expired."""
        await self.until(lambda known: user in known)
        self._kept.pop(("T1", f"member:{user}"))

    def _by_user(self) -> dict[str, Member]:
        told = [Member.model_validate_json(text) for (_, name), (_, text) in self._kept.items() if "member" in name]
        return {member.id: member for member in told}


@pytest.fixture
async def kept() -> Watched:
    """What is known about people: nothing yet."""
    return Watched()


@pytest.fixture
async def rig(kept: Watched) -> AsyncIterator[Rig]:
    """A card, in a gateway that asks who may decide."""
    async with a_rig(a_house(), members=kept) as made:
        yield made


async def learned(rig: Rig, kept: Watched, user: str) -> None:
    """Let the gateway learn about *user*."""
    await Members(rig.client, Roster(kept, "T1")).learn(user)


async def words(rig: Rig, address: dict[str, Any]) -> str:
    """Return what a refused click's evidence has a person told."""
    return notice_text(Notice(code="unmapped_identity", message="", address=address), await rig.stored(), team_id="T1")


async def test_a_full_member_decides(rig: Rig, kept: Watched) -> None:
    """Somebody mapped whom Slack calls a full member decides in one click."""
    await learned(rig, kept, "UDANA")
    await rig.approve("UDANA")

    assert (await rig.stored()).request.status == "approved"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("flags", "standing", "says"),
    [
        ({"is_restricted": True}, "guest", "guests may not decide here"),
        ({"is_restricted": True, "is_ultra_restricted": True}, "guest", "guests may not decide here"),
        ({"is_stranger": True}, "stranger", "people of other workspaces may not"),
    ],
)
async def test_guests_and_strangers_do_not_decide(
    rig: Rig, kept: Watched, flags: dict[str, bool], standing: str, says: str
) -> None:
    """A mapped person whom Slack calls a guest or a stranger is refused on the record and told why."""
    await rig.sandbox.post("/sandbox/users/UDANA", json=flags)
    await learned(rig, kept, "UDANA")
    await rig.approve("UDANA")
    (answer,) = rig.gate.answers

    assert (answer.by, answer.standing["slackStanding"]) == (None, standing)
    assert isinstance(rig.gate.outcomes[-1], Refused)
    assert says in await words(rig, {**answer.channel, **answer.standing})
    assert (await rig.stored()).request.is_open  # type: ignore[union-attr]


async def confirm(rig: Rig, kept: Watched) -> Outcome:
    """Do what a worker does about the answer that was kept last."""
    effect = (await rig.house.effects(rig.request.instance_id, "answer.confirm"))[-1]
    claim = await rig.house.store.claim(effect.effect_id, lease=timedelta(seconds=9))  # type: ignore[attr-defined]
    roster = Roster(kept, "T1")
    groups = UserGroups(rig.client, roster, [])
    confirmer = SlackConfirmer(rig.house.people, Members(rig.client, roster), groups, "T1")
    by, standing = await confirmer.who(TENANT, effect.payload["answer"]["channel"])
    return await rig.house.engine.confirm(effect, claim.fence, by, standing)


async def test_an_unverified_click_is_kept_and_counts_once_slack_has_said_who_it_was(rig: Rig, kept: Watched) -> None:
    """Where nothing is known about somebody nothing is decided yet; a worker asks Slack, and then it counts."""
    clicked = await rig.approve("UDANA")
    first = rig.gate.outcomes[-1]
    counted = await confirm(rig, kept)

    assert (clicked["status"], clicked["warning"]) == (200, None)
    assert isinstance(first, Recorded)
    assert first.code == "unconfirmed"
    assert isinstance(counted, Executed)
    assert (await rig.stored()).request.status == "approved"  # type: ignore[union-attr]


@pytest.mark.parametrize("flags", [{"deleted": True}, {"is_restricted": True}, {"team_id": "T9"}])
async def test_an_unverified_click_of_somebody_who_may_not_decide_is_refused(
    rig: Rig, kept: Watched, flags: dict[str, Any]
) -> None:
    """Asked by the worker, Slack says what they are now, whatever they were when they clicked."""
    await rig.approve("UDANA")
    await rig.sandbox.post("/sandbox/users/UDANA", json=flags)
    refused = await confirm(rig, kept)

    assert isinstance(refused, Refused)
    assert "UDANA may not decide" in refused.message
    assert (await rig.stored()).request.is_open  # type: ignore[union-attr]


async def test_a_reason_typed_by_somebody_unverified_is_kept_with_their_answer(rig: Rig, kept: Watched) -> None:
    """The window opens for them, says that Slack is asked, and the reason is on the record in the end."""
    await rig.reject("UDANA")
    (view,) = await rig.get("views", user="UDANA")
    await kept.forget("UDANA")
    values = {"loopgate.reason": {"reason": "too risky"}}
    submitted = await rig.act("submit", "UDANA", view_id=view["id"], values=values)
    await confirm(rig, kept)
    request = (await rig.stored()).request
    assert request is not None
    assert request.closed_by is not None

    assert "Checking with Slack" in str(submitted["views"])
    assert (request.status, request.closed_by.reason) == ("rejected", "too risky")


async def test_a_change_in_slack_counts_at_once(rig: Rig, kept: Watched) -> None:
    """Somebody made a guest after we learned about them is refused: Slack's event says so."""
    await learned(rig, kept, "UDANA")
    await rig.sandbox.post("/sandbox/users/UDANA", json={"is_restricted": True})
    await kept.until(lambda known: known["UDANA"].is_restricted)
    await rig.approve("UDANA")

    assert rig.gate.answers[-1].standing["slackStanding"] == "guest"


async def test_what_slack_does_not_tell_is_not_believed(rig: Rig, kept: Watched) -> None:
    """An answer without a user, or a Slack that is away, teaches nothing."""
    await rig.fault("users.info", "error", error="internal_error")
    with pytest.raises(Unavailable):
        await learned(rig, kept, "UDANA")

    assert await kept.known("T1", ["member:UDANA"]) == [None]


async def test_everybody_mapped_is_known_before_they_click(rig: Rig, kept: Watched) -> None:
    """A gateway that starts asks about everybody, again where Slack was away."""
    await rig.fault("users.info", "error", error="internal_error")
    informing = asyncio.create_task(Members(rig.client, Roster(kept, "T1")).stay_informed(["UDANA", "USAM", "UNOBODY"]))
    await kept.until(lambda known: known.keys() == {"UDANA", "USAM"})
    informing.cancel()

    assert await kept.known("T1", ["member:UNOBODY"]) == [None]


@pytest.mark.parametrize(
    ("flags", "standing"),
    [
        ({}, None),
        ({"deleted": True}, "deleted"),
        ({"is_bot": True}, "bot"),
        ({"team_id": "T9"}, "foreign"),
        ({"team_id": ""}, "foreign"),
        ({"is_stranger": True, "team_id": "T9"}, "stranger"),
    ],
)
def test_only_full_members_of_the_workspace_may_decide(flags: dict[str, Any], standing: str | None) -> None:
    """Each thing Slack says about a user that keeps them from deciding has its name."""
    assert Member.model_validate({"id": "U1", "team_id": "T1", **flags}).why_not("T1") == standing

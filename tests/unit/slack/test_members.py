"""Who Slack says may not decide does not, whatever the configuration says; nothing known means nothing decided."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest
from builders import a_house
from unit.slack.rig import Rig, a_rig

from channels.memory import MemoryMembers
from channels.slack.members import Member, Members
from channels.slack.notices import notice_text
from loops.cards import Notice
from loops.errors import Unavailable
from loops.outcomes import Refused


class Watched(MemoryMembers):
    """Can be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self._news = asyncio.Condition()

    async def keep_member(self, team: str, user: str, text: str, lifetime: timedelta) -> None:
        """Keep, and say so."""
        async with self._news:
            await super().keep_member(team, user, text, lifetime)
            self._news.notify_all()

    async def until(self, holds: Callable[[dict[str, Member]], bool]) -> None:
        """Wait until what is kept, by user, is as it should be."""
        async with asyncio.timeout(20), self._news:
            await self._news.wait_for(lambda: holds(self._by_user()))

    def _by_user(self) -> dict[str, Member]:
        return {user: Member.model_validate_json(text) for (_, user), text in self._kept.items()}


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
    await Members(rig.client, kept, "T1").learn(user)


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

    assert (answer.by, answer.channel["slackStanding"]) == (None, standing)
    assert isinstance(rig.gate.outcomes[-1], Refused)
    assert says in await words(rig, dict(answer.channel))
    assert (await rig.stored()).request.is_open  # type: ignore[union-attr]


async def test_an_unverified_click_decides_nothing_and_the_next_one_does(rig: Rig, kept: Watched) -> None:
    """Where nothing is known about somebody, the click is refused, Slack is asked, and clicking again counts."""
    await rig.approve("UDANA")
    (first,) = rig.gate.answers
    await kept.until(lambda known: "UDANA" in known)
    await rig.approve("UDANA")

    assert (await rig.stored()).request.status == "approved"  # type: ignore[union-attr]
    assert first.channel["slackStanding"] == "unverified"
    assert "could not verify just now" in await words(rig, dict(first.channel))


async def test_a_change_in_slack_counts_at_once(rig: Rig, kept: Watched) -> None:
    """Somebody made a guest after we learned about them is refused: Slack's event says so."""
    await learned(rig, kept, "UDANA")
    await rig.sandbox.post("/sandbox/users/UDANA", json={"is_restricted": True})
    await kept.until(lambda known: known["UDANA"].is_restricted)
    await rig.approve("UDANA")

    assert rig.gate.answers[-1].channel["slackStanding"] == "guest"


async def test_what_slack_does_not_tell_is_not_believed(rig: Rig, kept: Watched) -> None:
    """An answer without a user, or a Slack that is away, teaches nothing."""
    await rig.fault("users.info", "error", error="internal_error")
    with pytest.raises(Unavailable):
        await learned(rig, kept, "UDANA")

    assert await kept.member("T1", "UDANA") is None


async def test_everybody_mapped_is_known_before_they_click(rig: Rig, kept: Watched) -> None:
    """A gateway that starts asks about everybody, again where Slack was away."""
    await rig.fault("users.info", "error", error="internal_error")
    informing = asyncio.create_task(Members(rig.client, kept, "T1").stay_informed(["UDANA", "USAM", "UNOBODY"]))
    await kept.until(lambda known: known.keys() == {"UDANA", "USAM"})
    informing.cancel()

    assert await kept.member("T1", "UNOBODY") is None


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

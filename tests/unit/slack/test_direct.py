"""Direct messages, in their words: what somebody is asked, and why they are."""

from typing import Any

from builders import TENANT, a_change, a_house, person
from unit.slack.subjects import loaded

from channels.slack.direct import invitation_text
from loops.approvals import HumanAsk

CARD = "https://slack.example/card"


async def an_invitation(person_id: str, **said: Any) -> list[str]:
    """Return the lines of what *person_id* is sent about a request that Dana may have handed on first."""
    house = a_house(a_change(reassign="anyone"))
    request = await house.propose()
    ask: dict[str, Any] = {"request_id": request.request_id, "by": person("dana"), "channel": {}, "key": "k"}
    await house.engine.consult(HumanAsk(**ask, to_person="kim", reason="On *leave*"), tenant=TENANT)
    return invitation_text(await loaded(house, request), person_id, CARD, **said).split("\n")


async def test_an_invitation_says_what_is_asked_and_where() -> None:
    """The title, who asked, the facts, and the way to the card."""
    head, *middle, last = await an_invitation("sam")

    assert "Roll out CHG-7" in head
    assert any("Service" in line for line in middle)
    assert not any("stead" in line or "handed" in line for line in middle)
    assert last == f"<{CARD}|Open its card> to see all of it."


async def test_a_stand_in_is_told_for_whom() -> None:
    """Who is away is named, all of them where they are several."""
    _, one, *_ = await an_invitation("sam", in_stead_of=["Dana"])
    _, two, *_ = await an_invitation("sam", in_stead_of=["Dana", "Robin"])

    assert one == "You are asked in the stead of *Dana*, who is away."
    assert two == "You are asked in the stead of *Dana*, *Robin*, who are away."


async def test_whoever_is_handed_a_part_is_told_by_whom_and_why() -> None:
    """The colleague is named, their reason quoted."""
    _, handed, *_ = await an_invitation("kim")

    assert handed == "*Dana* handed their part to you: “On ∗leave∗”."

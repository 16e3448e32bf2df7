"""What a policy means for one person is explained by the rules that judge their answer."""

from typing import Any

from builders import TENANT, a_change, a_house, an_answer, person

from loops.approvals import HumanAsk
from loops.explaining import Explanation

NEEDS = [{"needs": [{"groups": ["sre"], "quorum": 2}]}, {"needs": [{"groups": ["finance"]}]}]


async def explained(who: str, *, answered: tuple[str, ...] = (), behind: str | None = None, **policy: Any) -> Any:
    """Return how *who* stands to a request that *answered* have approved."""
    house = a_house(a_change(**policy))
    request = await house.propose(behind=behind)
    for each in answered:
        await house.engine.answer(an_answer(request, "approve", each), tenant=TENANT)
    return await house.engine.explain(request.request_id, person(who), tenant=TENANT)


async def test_an_approver_may_approve() -> None:
    """Whoever the open stage names, and nothing separates, may approve."""
    found = await explained("dana")

    assert found == Explanation(stop=None, stage=0, named_in=(0,), is_needed=True)
    assert found.may_approve


async def test_somebody_of_a_later_stage_is_told_so() -> None:
    """The stages somebody belongs to are named, the open one or not."""
    early = await explained("kim", approvers={}, stages=NEEDS)
    late = await explained("kim", answered=("dana", "sam"), approvers={}, stages=NEEDS)

    assert (early.stage, early.named_in, early.may_act) == (0, (1,), False)
    assert (late.stage, late.named_in, late.may_approve) == (1, (1,), True)


async def test_who_stands_behind_the_proposal_is_told_their_roles() -> None:
    """Each separated role somebody has is named, and keeps them from acting."""
    found = await explained("robin", behind="robin")

    assert found.roles == ("requester", "submitter")
    assert not found.may_act


async def test_who_has_answered_is_told_so() -> None:
    """Somebody whose approval is counted may ask, but not approve again."""
    found = await explained("dana", answered=("dana",), quorum=2)

    assert (found.has_answered, found.may_act, found.may_approve) == (True, True, False)


async def test_who_handed_their_part_over_has_none_left() -> None:
    """After a hand-over the giver is told that they gave it away."""
    house = a_house()
    request = await house.propose()
    ask = HumanAsk(request_id=request.request_id, by=person("dana"), to_person="sam", channel={}, key="k")
    await house.engine.consult(ask, tenant=TENANT)
    found = await house.engine.explain(request.request_id, person("dana"), tenant=TENANT)

    assert found is not None
    assert (found.has_handed_over, found.may_act) == (True, False)


async def test_nobody_may_answer_what_is_closed_or_as_nobody() -> None:
    """Whatever keeps everybody from answering comes first; an unknown request explains nothing."""
    closed = await explained("sam", answered=("dana",))
    house = a_house()
    request = await house.propose()

    assert closed.stop == "already_decided"
    nobody = await house.engine.explain(request.request_id, None, tenant=TENANT)
    assert nobody == Explanation("unmapped_identity")
    assert await house.engine.explain("ar_none", person("dana"), tenant=TENANT) is None

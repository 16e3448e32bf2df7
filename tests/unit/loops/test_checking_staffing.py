"""Staffing: a policy that nobody could ever satisfy is told apart from one that somebody can."""

from itertools import permutations, product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loops.policy import ApprovalPolicy, Need
from loops.quorum import fill
from loops.staffing import Shortfall, shortfalls, stranded

PEOPLE = {
    "dana": frozenset({"sre"}),
    "sam": frozenset({"sre", "leads"}),
    "kim": frozenset({"finance"}),
}


def a_policy(**policy: Any) -> ApprovalPolicy:
    """A policy as a loop file writes it."""
    return ApprovalPolicy.model_validate(policy)


def test_people_enough_is_no_shortfall() -> None:
    """Members and named people count together."""
    assert shortfalls(a_policy(approvers={"groups": ["sre"], "users": ["kim"]}, quorum=3), PEOPLE) == ()


def test_too_few_people_are_counted() -> None:
    """Which need is short, and by how much, is said."""
    assert shortfalls(a_policy(approvers={"groups": ["sre"]}, quorum=3), PEOPLE) == (Shortfall(0, 0, 3, 2),)


def test_one_person_does_not_fill_two_needs() -> None:
    """Sam alone is a lead, so two needs of leads cannot both be met, in one stage or in two."""
    leads = {"groups": ["leads"]}
    one_stage, two_stages = [{"needs": [leads, leads]}], [{"needs": [leads]}, {"needs": [leads]}]

    for stages in (one_stage, two_stages):
        assert len(shortfalls(a_policy(stages=stages), PEOPLE)) == 1


def test_people_are_moved_to_where_only_they_can_help() -> None:
    """Sam is an SRE too, and counts as the lead because only he can."""
    stages = [{"needs": [{"groups": ["sre"]}, {"groups": ["leads"]}]}]

    assert shortfalls(a_policy(stages=stages), PEOPLE) == ()


def test_separation_may_leave_nobody() -> None:
    """Whoever is needed to approve can propose nothing, where proposers may not decide."""
    policy = a_policy(approvers={"groups": ["sre"]}, quorum=2)

    assert stranded(policy, PEOPLE) == ("dana", "sam")
    assert stranded(policy.changed(separation=()), PEOPLE) == ()
    assert stranded(policy.changed(quorum=1), PEOPLE) == ()
    assert stranded(policy.changed(quorum=3), PEOPLE) == ()


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[Need], dict[str, frozenset[str]]]:
    """Some needs and people, few enough to try every arrangement."""
    groups = st.sets(st.sampled_from("xyz"), max_size=2)
    people = draw(st.dictionaries(st.sampled_from("abcd"), groups.map(frozenset), max_size=4))
    need = st.builds(
        Need,
        groups=groups.map(tuple),
        users=st.sets(st.sampled_from("abcd"), max_size=2).map(tuple),
        quorum=st.integers(1, 2),
    )
    return draw(st.lists(need, min_size=1, max_size=3)), people


@given(cases())
def test_as_many_slots_are_filled_as_any_arrangement_fills(
    case: tuple[list[Need], dict[str, frozenset[str]]],
) -> None:
    """Compared with trying them all: nothing that can be met is called out of reach."""
    needs, people = case
    slots = [need for need in needs for _ in range(need.quorum)]

    def fits(person: str, need: Need) -> bool:
        return person in need.users or bool(people[person] & set(need.groups))

    best = 0
    for order in permutations(people):
        for chosen in product((True, False), repeat=len(order)):
            taken = [person for person, is_in in zip(order, chosen, strict=True) if is_in]
            left, placed = list(slots), 0
            for person in taken:
                slot = next((need for need in left if fits(person, need)), None)
                if slot is not None:
                    left.remove(slot)
                    placed += 1
            best = max(best, placed)

    able = {person: [n for n, need in enumerate(needs) if fits(person, need)] for person in people}
    assert sum(fill([need.quorum for need in needs], able)) == best


@pytest.mark.parametrize("count", [400])
def test_large_groups_are_counted_at_once(count: int) -> None:
    """A directory of hundreds is no reason to wait."""
    people = {f"p{n}": frozenset({"all", f"team{n % 10}"}) for n in range(count)}
    stages = [{"needs": [{"groups": [f"team{n}"], "quorum": 40} for n in range(10)]}]

    assert shortfalls(a_policy(stages=stages), people) == ()

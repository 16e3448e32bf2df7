"""The quorum: who counts, where, and when it is enough."""

from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from loops.policy import ApprovalPolicy
from loops.quorum import Vote, standings, tally

GROUPS = {
    "ann": frozenset({"sre"}),
    "bob": frozenset({"sre", "security"}),
    "cat": frozenset({"security"}),
    "dan": frozenset({"cto"}),
    "eve": frozenset(),
}


def a_policy(*stages: list[tuple[str, int]]) -> ApprovalPolicy:
    """Return a policy of stages, each a list of (group, quorum)."""
    return ApprovalPolicy.model_validate(
        {"stages": [{"needs": [{"groups": [group], "quorum": quorum} for group, quorum in stage]} for stage in stages]}
    )


def count(policy: ApprovalPolicy, *votes: tuple[str, int], groups=None, handed_over=()):
    """Tally votes given as (person, stage)."""
    return tally(policy, [Vote(*vote) for vote in votes], standings(groups or GROUPS, handed_over))


def test_one_person_fills_one_slot() -> None:
    """Somebody in two groups counts once: their other group still needs somebody else."""
    found = count(a_policy([("sre", 1), ("security", 1)]), ("bob", 0))

    assert not found.is_complete
    assert sum(found.filled) == 1


def test_people_are_placed_so_that_as_many_slots_as_possible_are_filled() -> None:
    """Whoever could fill either need makes room for the one who can only fill theirs, in any order."""
    policy = a_policy([("sre", 1), ("security", 1)])

    assert count(policy, ("bob", 0), ("ann", 0)).is_complete
    assert count(policy, ("ann", 0), ("bob", 0)).is_complete
    assert count(policy, ("bob", 0), ("cat", 0)).is_complete
    assert not count(policy, ("ann", 0), ("eve", 0)).is_complete


def test_whoever_could_fill_two_needs_makes_room_twice_over() -> None:
    """A place is made by moving one person, who moves another: three people fill three needs whatever their order."""
    groups = {name: frozenset(theirs) for name, theirs in {"ann": "ab", "bob": "bc", "cat": "ab"}.items()}
    policy = a_policy([("a", 1), ("b", 1), ("c", 1)])

    for order in permutations(groups):
        assert count(policy, *((name, 0) for name in order), groups=groups).is_complete
        assert count(policy, *((name, 0) for name in order[:2]), groups=groups).score == (0, 2)


def test_stages_open_one_after_the_other() -> None:
    """A vote counts in the stage it was given in; the second stage opens when the first is met."""
    policy = a_policy([("sre", 1)], [("cto", 1)])

    assert count(policy, ("dan", 0)).stage == 0
    assert count(policy, ("ann", 0)).stage == 1
    assert count(policy, ("ann", 0), ("dan", 1)).is_complete


def test_rights_lost_since_take_the_vote_away() -> None:
    """An approval by somebody who has left the group counts no more, and reopens its stage."""
    policy = a_policy([("sre", 1)], [("cto", 1)])
    found = count(policy, ("ann", 0), ("dan", 1), groups={**GROUPS, "ann": frozenset()})

    assert (found.stage, found.lapsed) == (0, frozenset({"ann"}))


def test_who_hands_their_part_over_has_none_left() -> None:
    """The taker may act for the giver; the giver no more, until it is handed back."""
    policy = a_policy([("cto", 1)])

    assert count(policy, ("eve", 0), handed_over=[("dan", "eve")]).is_complete
    assert not count(policy, ("dan", 0), handed_over=[("dan", "eve")]).is_complete
    assert count(policy, ("dan", 0), handed_over=[("dan", "eve"), ("eve", "dan")]).stage in {0, 1}


def a_policy_of(*users: str) -> ApprovalPolicy:
    """Return a policy in which these people must approve, each by name."""
    needs = [{"users": [user]} for user in users]
    return ApprovalPolicy.model_validate({"stages": [{"needs": needs}]})


def test_who_takes_a_part_over_has_it_beside_their_own() -> None:
    """The taker may act as either person, and by the groups of both: in one need, for each person counts once."""
    named, in_groups = a_policy_of("dan"), a_policy([("cto", 1)])

    for needed in (named, in_groups, a_policy_of("cat"), a_policy([("security", 1)])):
        assert count(needed, ("cat", 0), handed_over=[("dan", "cat")]).is_complete
    assert count(a_policy_of("dan", "cat"), ("cat", 0), handed_over=[("dan", "cat")]).filled in {(1, 0), (0, 1)}


def test_a_part_of_somebody_who_has_none_is_worth_nothing() -> None:
    """Who is unknown or barred meanwhile, or has handed theirs over before, leaves nobody anything to decide by."""
    policy = a_policy([("cto", 1)])
    gone = {person: theirs for person, theirs in GROUPS.items() if person != "dan"}

    assert not count(policy, ("eve", 0), groups=gone, handed_over=[("dan", "eve")]).is_complete
    assert not count(policy, ("eve", 0), handed_over=[("dan", "cat"), ("dan", "eve")]).is_complete


def test_who_is_unknown_takes_no_part_over() -> None:
    """A part that was left to somebody who is unknown or barred meanwhile is lost: nobody decides by it."""
    gone = {person: theirs for person, theirs in GROUPS.items() if person != "eve"}
    found = standings(gone, [("dan", "eve")])

    assert found.keys() == {"ann", "bob", "cat"}


@given(
    needs=st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), st.integers(1, 3)), min_size=1, max_size=4),
    voters=st.lists(st.frozensets(st.sampled_from(["a", "b", "c"]), max_size=3), max_size=8),
)
def test_no_quorum_is_met_by_fewer_people_than_it_says(needs, voters) -> None:
    """Complete means: as many distinct people as all needs together, each need by members of its group."""
    people = {f"p{number}": groups for number, groups in enumerate(voters)}
    found = count(a_policy(needs), *((person, 0) for person in people), groups=people)
    wanted = sum(quorum for _, quorum in needs)

    if found.is_complete:
        assert len(people) >= wanted
        for group, quorum in needs:
            assert sum(group in groups for groups in people.values()) >= quorum
    else:
        assert all(have <= need for have, need in zip(found.filled, found.needed, strict=True))
        assert sum(found.filled) < wanted


@given(
    voters=st.lists(st.frozensets(st.sampled_from(["a", "b", "c"]), max_size=3), min_size=3, max_size=6),
    order=st.randoms(use_true_random=False),
)
def test_the_order_of_votes_does_not_matter(voters, order) -> None:
    """How many slots are filled depends on who voted, not on when."""
    people = {f"p{number}": groups for number, groups in enumerate(voters)}
    policy = a_policy([("a", 1), ("b", 2), ("c", 1)])
    votes = [(person, 0) for person in people]
    first = count(policy, *votes, groups=people)
    order.shuffle(votes)

    assert count(policy, *votes, groups=people).score == first.score

"""Approval policies: strict about what they say, safe where they say nothing."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from loops.policy import ApprovalPolicy, Approvers, ReasonRules


def test_a_silent_policy_is_the_careful_one() -> None:
    """Saying nothing means: one approver, nobody named yet, no self-approval, a reason to reject, no expiry."""
    policy = ApprovalPolicy()

    assert policy.quorum == 1
    assert policy.approvers.named() == "nobody"
    assert policy.separation == ("requester", "submitter")
    assert policy.reason.for_kind("reject") == "required"
    assert policy.expire_after is None


def test_a_policy_reads_and_writes_as_people_do() -> None:
    """Durations are text on both sides, and names are camelCase."""
    policy = ApprovalPolicy.model_validate(
        {"expireAfter": "1h30m", "escalate": [{"after": "45m", "groups": ["leads"]}]}
    )

    assert policy.expire_after == timedelta(minutes=90)
    assert policy.as_json()["escalate"] == [{"after": "45m", "groups": ["leads"]}]
    assert ApprovalPolicy.model_validate(policy.as_json()) == policy


@pytest.mark.parametrize(
    "wrong",
    [
        {"quorum": 0},
        {"quorum": 51},
        {"quorums": 2},
        {"separation": ["requestor"]},
        {"reason": {"approve": "sometimes"}},
        {"answers": {"accept": "x"}},
        {"expireAfter": "soon"},
        {"expireAfter": "0s"},
        {"approvers": {"group": ["sre"]}},
        {"approvers": {"groups": [""]}},
    ],
)
def test_what_does_not_fit_is_refused(wrong: dict[str, Any]) -> None:
    """A policy with a typo or an impossible figure is no policy."""
    with pytest.raises(ValidationError):
        ApprovalPolicy.model_validate(wrong)


def test_approvers_say_who_they_are() -> None:
    """Groups come first, then people."""
    assert Approvers(groups=("sre", "leads"), users=("dana",)).named() == "sre, leads, dana"


def test_answers_of_their_own_may_carry_a_reason() -> None:
    """The rules name approve and reject; any other answer may have a reason and needs none."""
    rules = ReasonRules(approve="none", reject="required")

    assert [rules.for_kind(kind) for kind in ("approve", "reject", "other")] == ["none", "required", "optional"]

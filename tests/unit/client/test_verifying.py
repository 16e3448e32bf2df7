"""Verifying, whatever a gateway says: only the edits that were offered come through."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.api.models import ApprovalView
from gateway.client import NotApproved, NotRun
from gateway.client.verifying import check_approved
from loops.canonical import digest

EDITABLE = {"replicas": {"type": "integer", "minimum": 1, "maximum": 9}, "at.hour": {"type": "integer"}}
SCALARS = st.none() | st.booleans() | st.integers(-3, 12) | st.sampled_from(["", "x", "1", "[redacted:token]"])
PARAMETERS = st.fixed_dictionaries(
    {"replicas": st.integers(1, 9), "at": st.fixed_dictionaries({"hour": st.integers(0, 23), "zone": SCALARS})},
    optional={"service": SCALARS, "more": SCALARS},
)
SAID = st.fixed_dictionaries(
    {"replicas": SCALARS, "at": SCALARS | st.fixed_dictionaries({"hour": SCALARS, "zone": SCALARS})},
    optional={"service": SCALARS, "more": SCALARS},
)


def an_approval(parameters: dict[str, Any], status: str, *, edited: bool, honest: bool) -> ApprovalView:
    return ApprovalView.model_validate(
        {
            **dict.fromkeys(("approval_id", "title", "loop_id", "aggregate_id", "instance_id", "state", "digest"), "x"),
            "version": 1,
            "status": status,
            "parameters": parameters,
            "parameters_digest": digest(parameters if honest else {}),
            "waiting_for": "1 of sre",
            "edited": edited,
            "created_at": "2026-11-22T10:00:00Z",
        }
    )


@given(
    asked=PARAMETERS,
    said=SAID | PARAMETERS,
    edited=st.booleans(),
    honest=st.booleans(),
    status=st.sampled_from(["approved", "approved", "rejected"]),
)
def test_what_comes_through_is_what_was_asked_but_for_offered_edits(
    asked: dict[str, Any], said: dict[str, Any], edited: bool, honest: bool, status: str
) -> None:
    """Whatever stands in the answer: it is refused, or differs from the question where that was offered, in bounds."""
    try:
        changes = check_approved(asked, an_approval(said, status, edited=edited, honest=honest), EDITABLE)
    except (NotRun, NotApproved):
        assert not (status == "approved" and honest and digest(said) == digest(asked))
        return
    undone = {**said, "replicas": asked["replicas"], "at": {**said["at"], "hour": asked["at"]["hour"]}}

    assert status == "approved"
    assert digest(undone) == digest(asked)
    assert 1 <= said["replicas"] <= 9
    assert {each.path for each in changes} <= EDITABLE.keys()
    assert bool(changes) == (digest(said) != digest(asked))

"""Every modal is one Slack takes, whatever stands in the request, and gives back exactly what was typed."""

import json
from typing import Any

from builders import a_change
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.slack.nasty import nasty_text
from unit.slack.subjects import assert_slack_takes_modal, mrkdwn_texts, questioned, said, waiting, with_request

from channels.slack.asking import hand_over_view, question_view, reply_view, withdraw_view
from channels.slack.deliveries import Submission
from channels.slack.editing import block_id, edit_view, edits_of
from channels.slack.limits import PRIVATE_METADATA_MAX, VIEW_BYTES_MAX
from channels.slack.shown import Asked, Shown
from loops.approvals import ApprovalRequest

numbers = st.floats(-1e12, 1e12, allow_nan=False) | st.integers(-(10**12), 10**12)
rules = st.one_of(
    st.builds(lambda text: {"type": "string", "maxLength": text}, st.integers(1, 3_000)),
    st.just({"type": "boolean"}),
    st.builds(
        lambda kind, low, high: {"type": kind, "minimum": min(low, high), "maximum": max(low, high)},
        st.sampled_from(("integer", "number")),
        numbers,
        numbers,
    ),
    st.builds(lambda choices: {"type": "string", "enum": choices}, st.lists(nasty_text(), min_size=1, max_size=100)),
)
values = st.none() | st.booleans() | numbers | nasty_text(40) | st.just(["a", {"b": 1}])


def asked_about(request: ApprovalRequest) -> Asked:
    """Return what a modal about *request* was opened from."""
    return Asked(shown=Shown.of(request, transition_id="approve"), action_id="loopgate.edit", channel="C1")


def an_editable(editable: dict[str, Any], **changes: Any) -> ApprovalRequest:
    """Return an open request whose policy lets *editable* be changed."""
    request = with_request(waiting(), **changes).request
    assert request is not None
    policy = a_change(quorum=2, editable=editable).state("PENDING_HUMAN_APPROVAL").approval
    return request.changed(proposal=request.proposal.changed(policy=policy))


def submitted(view: dict[str, Any], **typed: dict[str, Any]) -> Submission:
    """Return the submission of *view* as it was opened, with *typed* by block in place of what stood there."""
    state: dict[str, Any] = {}
    for block in view["blocks"]:
        if block["type"] == "input":
            element = block["element"]
            given = {"value": element.get("initial_value"), "selected_option": element.get("initial_option")}
            state[block["block_id"]] = {element["action_id"]: typed.get(block["block_id"], given)}
    return Submission.model_validate(
        {"type": "view_submission", "user": {"id": "U"}, "view": {"id": "V", "state": {"values": state}}}
    )


@given(st.dictionaries(nasty_text(3), st.tuples(rules, values), max_size=120), nasty_text(60))
@settings(deadline=None, max_examples=80)
def test_any_edit_modal_is_taken_and_changes_nothing_by_itself(fields: dict[str, Any], title: str) -> None:
    """Whatever may be edited: Slack takes the modal, nothing in it links, and sent untouched it changes nothing."""
    fields = {name.replace(".", "") or "x": field for name, field in fields.items()}
    request = an_editable({name: rule for name, (rule, _) in fields.items()}, title=title)
    data = {name: value for name, (_, value) in fields.items()}
    (offered,) = [answer for answer in request.answers if answer.kind == "approve"]
    view = edit_view(request, data, offered, asked_about(request))
    found = edits_of(submitted(view), request, data)

    assert_slack_takes_modal(view)
    assert len(view["private_metadata"]) <= PRIVATE_METADATA_MAX
    assert found.values == {}
    assert all("<" not in text for text in mrkdwn_texts(view["blocks"]))


def test_the_edit_modal_says_by_name_who_must_approve_anew() -> None:
    """Groups and people stand as on the card, never by id; and those whom an escalation added are among them."""
    policy = an_editable({"replicas": {"type": "integer"}}).proposal.policy
    policy = policy.changed(quorum=2, approvers=policy.approvers.changed(users=("kim",)))
    request = an_editable({})
    request = request.changed(proposal=request.proposal.changed(policy=policy))
    (offered,) = [answer for answer in request.answers if answer.kind == "approve"]
    view = edit_view(request, {"replicas": 4}, offered, asked_about(request), {"kim": "Kim Novak"})

    assert "needs all of its approvals anew (2 of sre, Kim Novak)" in said(view["blocks"])


@given(nasty_text(60), nasty_text(40))
@settings(deadline=None, max_examples=50)
def test_the_smaller_modals_are_taken(title: str, text: str) -> None:
    """Ask, reply, hand over and withdraw: whatever the request says, Slack takes each."""
    request = with_request(questioned(None), title=title).request
    assert request is not None
    question = request.questions[0].changed(text=text, by=request.questions[0].by.changed(display_name=title[:200]))
    for view in (
        question_view(request, asked_about(request)),
        reply_view(request, question, asked_about(request)),
        hand_over_view(request, asked_about(request), {}),
        withdraw_view(request, asked_about(request)),
    ):
        assert_slack_takes_modal(view)
        assert all("<" not in found for found in mrkdwn_texts(view["blocks"]))


def test_numbers_are_read_as_people_write_them_and_no_other_way() -> None:
    """Whole and decimal numbers are read exactly; anything else is an error at the input, never a guess."""
    request = an_editable({"n": {"type": "integer"}, "x": {"type": "number"}})
    data: dict[str, Any] = {"n": 1, "x": 0.1}
    (offered,) = [answer for answer in request.answers if answer.kind == "approve"]
    view = edit_view(request, data, offered, asked_about(request))

    def read(number: str, decimal: str = "0.1") -> Any:
        typed = {block_id(0): {"value": number}, block_id(1): {"value": decimal}}
        return edits_of(submitted(view, **typed), request, data)

    assert read(" 7 ").values == {"n": 7}
    assert read("7.0").values == {"n": 7}
    assert read("1", "2.50").values == {"x": 2.5}
    assert read("1", "3").values == {"x": 3}
    for bad in ("7.5", "1e3", "0x10", "٧a", "9" * 60):
        assert read(bad).errors == {block_id(0): "Please enter a whole number."}
    for bad in ("NaN", "Infinity", "1e999", "one", "9" * 60):
        assert read("1", bad).errors == {block_id(1): "Please enter a number."}


def test_a_tampered_choice_is_refused() -> None:
    """An option we did not offer is an error, not a value."""
    request = an_editable({"mode": {"enum": ["fast"]}})
    (offered,) = [answer for answer in request.answers if answer.kind == "approve"]
    view = edit_view(request, {}, offered, asked_about(request))
    tampered = submitted(view, **{block_id(0): {"selected_option": {"value": "7"}}})

    assert edits_of(tampered, request, {}).errors == {block_id(0): "Please choose one of these."}


def opened(request: ApprovalRequest, data: dict[str, Any]) -> dict[str, Any]:
    """Return the edit modal on *data*, which Slack takes and which changes nothing untouched."""
    (offered,) = [answer for answer in request.answers if answer.kind == "approve"]
    view = edit_view(request, data, offered, asked_about(request))
    assert_slack_takes_modal(view)
    assert len(json.dumps(view)) < VIEW_BYTES_MAX
    assert edits_of(submitted(view), request, data).values == {}
    return view


def inputs_of(view: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the inputs of the values that may be edited."""
    return [block for block in view["blocks"] if block.get("block_id", "").startswith("loopgate.edit.")]


def test_long_texts_that_no_view_holds_may_all_be_edited() -> None:
    """Sixty texts of a dozen kilobytes each: as many as fit stand in their boxes, the others' boxes begin empty."""
    names = [f"text {number:02}" for number in range(60)]
    request = an_editable({name: {"type": "string"} for name in names})
    data = dict.fromkeys(names, "é" * 2_000)

    view = opened(request, data)
    inputs = inputs_of(view)
    filled = [block for block in inputs if "initial_value" in block["element"]]
    changed = edits_of(submitted(view, **{inputs[50]["block_id"]: {"value": "short"}}), request, data)

    assert [block["label"]["text"] for block in inputs] == names
    assert 0 < len(filled) < 60
    assert all(block["optional"] for block in inputs if block not in filled)
    assert changed.values == {"text 50": "short"}
    assert "not in this window" not in said(view["blocks"])


def test_choices_that_no_view_holds_are_left_out_and_counted() -> None:
    """Forty selects of a hundred long options each: those that fit are there, and the rest is said."""
    choices = [f"{number:02} " + "\U0001f600" * 60 for number in range(100)]
    request = an_editable({f"mode {number:02}": {"type": "string", "enum": choices} for number in range(40)})

    view = opened(request, {})
    left = 40 - len(inputs_of(view))

    assert 0 < left < 40
    assert f"{left} more values may be edited, but not in this window" in said(view["blocks"])

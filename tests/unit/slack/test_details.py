"""Details show everything an approver agrees to, however long, and hide nothing in it."""

import html
import json

from hypothesis import given, settings
from hypothesis import strategies as st
from unit.slack.nasty import nasty_text
from unit.slack.subjects import assert_slack_takes_modal, said, waiting, with_request

from channels.slack.details import details_view, document, pages
from channels.slack.limits import VIEW_BYTES_MAX
from channels.slack.shown import Shown
from loops.approvals import ApprovalRequest
from loops.canonical import canonical_json, digest
from loops.ports import Loaded


def with_parameters(parameters: dict[str, object]) -> Loaded:
    """Return an open request with *parameters*, its digest made over them."""
    subject = waiting()
    assert subject.request is not None
    proposal = subject.request.proposal.changed(parameters=parameters)
    return with_request(subject, proposal=proposal, digest=proposal.digest)


def read_all(subject: Loaded) -> str:
    """Page through Details as a person would and return the text of every code block."""
    assert subject.request is not None
    texts: list[str] = []
    number: int | None = 1
    while number is not None:
        view = details_view(subject, Shown.of(subject.request, page=number))
        assert_slack_takes_modal(view)
        assert len(json.dumps(view)) < VIEW_BYTES_MAX
        fenced = [
            block["text"]["text"] for block in view["blocks"] if block.get("text", {}).get("text", "")[:3] == "```"
        ]
        texts += [html.unescape(text.removeprefix("```\n").removesuffix("\n```")) for text in fenced]
        following = {
            button["action_id"]: Shown.decode(button["value"]).page
            for block in view["blocks"]
            if block["type"] == "actions"
            for button in block["elements"]
        }
        number = following.get("loopgate.page.next")
    return "".join(texts)


def test_the_shown_text_is_the_proposal_the_digest_is_made_over() -> None:
    """Whoever copies the first JSON document out of Details can make the digest themselves."""
    subject = with_parameters({"blob": "x" * 300_000, "note": "a`b\u202ec <@U1> & \u00a0"})
    assert subject.request is not None

    proposal, _ = json.JSONDecoder().raw_decode(read_all(subject))

    assert digest(proposal) == subject.request.digest
    assert subject.request.digest in said(details_view(subject, Shown.of(subject.request))["blocks"])


def test_a_megabyte_of_parameters_is_reachable_page_by_page() -> None:
    """No size is too large to be looked at in full."""
    parameters: dict[str, object] = {f"key {n}": "value " * 20 for n in range(7_500)}
    subject = with_parameters(parameters)
    assert subject.request is not None

    shown, _ = json.JSONDecoder().raw_decode(read_all(subject))

    assert len(canonical_json(parameters)) > 1_000_000
    assert shown["parameters"] == parameters


def test_a_page_is_turned_without_laying_all_out_again() -> None:
    """Pages are kept by what they show: read anew from the store they are the same ones, changed they are others."""
    subject = with_parameters({"blob": "z" * 200_000})
    request = subject.request
    assert request is not None
    kept = pages(subject)
    again = with_request(subject, **ApprovalRequest.model_validate_json(request.model_dump_json()).__dict__)
    retitled = with_request(subject, title="Another headline")
    claimed = with_request(with_parameters({"blob": "changed"}), digest=request.digest)

    assert pages(again) is kept
    assert "Another headline" in document(retitled)
    assert '"blob": "changed"' in document(claimed)


def test_what_the_card_could_not_show_is_there_too() -> None:
    """Facts, recommendation and checks stand in Details in full."""
    subject = waiting()
    assert subject.request is not None

    text = read_all(subject)
    _, end = json.JSONDecoder().raw_decode(text)

    beside = json.loads(text[end:])["alsoOnTheCard"]
    assert beside["facts"] == [{"label": "Service", "value": "checkout"}, {"label": "Blast radius", "value": "0.2"}]
    assert beside["recommendation"]["reasoning"] == "Rolls back in a minute."
    assert [check["guardId"] for check in beside["checks"]] == ["confidence-threshold", "evidence-required"]


def test_the_same_page_shows_the_same_text() -> None:
    """Pages follow from the request alone; one that does not exist any more shows the last."""
    subject = with_parameters({"blob": "y" * 100_000})
    assert subject.request is not None
    count = len(pages(subject))

    assert details_view(subject, Shown.of(subject.request, page=2)) == details_view(
        subject, Shown.of(subject.request, page=2)
    )
    assert f"Page {count} of {count}" in said(details_view(subject, Shown.of(subject.request, page=99))["blocks"])


def test_a_changed_proposal_is_said() -> None:
    """Details opened from an old card say that the proposal has changed."""
    subject = waiting()
    assert subject.request is not None
    old = Shown.of(subject.request).model_copy(update={"digest": "sha256:old"})

    assert "The proposal has changed since the card you clicked" in said(details_view(subject, old)["blocks"])
    assert "has changed" not in said(details_view(subject, Shown.of(subject.request))["blocks"])


@given(st.dictionaries(nasty_text(4), nasty_text(), max_size=5), nasty_text(30))
@settings(deadline=None, max_examples=60)
def test_nothing_in_the_parameters_can_leave_its_code_block(parameters: dict[str, object], title: str) -> None:
    """Every page is taken by Slack and every value comes back as it was."""
    subject = with_request(with_parameters(parameters), title=title)
    assert subject.request is not None

    text = read_all(subject)
    shown, _ = json.JSONDecoder().raw_decode(text)

    assert text == document(subject)
    assert shown.get("parameters", {}) == parameters
    assert "`" not in text

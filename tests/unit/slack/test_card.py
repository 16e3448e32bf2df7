"""Cards tell the truth, within Slack's limits, whatever stands in the request."""

import re
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from builders import MORNING, a_change, ci
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.slack.nasty import nasty_text
from unit.slack.subjects import (
    an_approval,
    assert_slack_takes_message,
    buttons,
    decided,
    edited,
    failed,
    mrkdwn_texts,
    parked,
    questioned,
    said,
    staged,
    undecided,
    waiting,
    with_instance,
    with_request,
    with_result,
)

from channels.slack.card import render
from channels.slack.faces import OPEN, face_of
from channels.slack.limits import BLOCKS_PER_MESSAGE_MAX, BUTTON_VALUE_MAX, MESSAGE_BLOCK_TEXT_MAX, MESSAGE_TEXT_MAX
from channels.slack.mrkdwn import size
from channels.slack.shown import Shown
from loops.actors import Human, human
from loops.approvals import (
    AnswerOffered,
    Ending,
    Escalation,
    Fact,
    ParkedTransition,
    PlannedEffect,
    Progress,
    Question,
    Reassignment,
    Recommendation,
    RunResult,
)
from loops.editing import Change
from loops.errors import Rejected
from loops.guards import GuardVerdict
from loops.ports import Loaded


def moved(subject: Loaded, **changes: Any) -> Loaded:
    """Return *subject* after another transition."""
    return with_instance(subject, last_transition_at=MORNING + timedelta(minutes=1), **changes)


def a_question(by: Human, text: str, answer: str | None) -> Question:
    """Return a question by *by*, answered by the same person where *answer* is given."""
    question = Question(question_id="qu_1", by=by, at=MORNING, text=text)
    return question.changed(answer=answer, answered_by=by, answered_at=MORNING) if answer else question


def an_other_answer() -> Loaded:
    """Return a request closed by an answer that is neither approve nor reject."""
    subject = waiting()
    assert subject.request is not None
    decision = an_approval("Dana", 5, "please split it").changed(kind="other", transition_id="ask_for_split")
    answers = (*subject.request.answers, AnswerOffered(kind="other", transition_id="ask_for_split", label="Split it"))
    return with_request(
        subject, status="decided", closed_by=decision, closed_at=decision.at, decisions=(decision,), answers=answers
    )


def without_report() -> Loaded:
    """Return an approved request whose integration reports to the ledger only."""
    subject = decided("approve")
    loop = subject.definition.as_json()
    for transition in loop["transitions"]:
        for effect in transition.get("effects", []):
            effect.pop("onSuccess", None)
            effect.pop("onFailure", None)
    return Loaded(subject.instance, type(subject.definition).model_validate(loop), subject.request)


FACES = {
    "waiting": waiting,
    "needs_information": lambda: questioned(None),
    "suspended": lambda: with_instance(waiting(), status="suspended", suspended_at=MORNING),
    "executing": lambda: decided("approve"),
    "executed": lambda: with_result(decided("approve"), "applied"),
    "execution_failed": lambda: with_result(decided("approve"), "failed", error="connection refused"),
    "rejected": lambda: decided("reject", "not today"),
    "expired": lambda: with_request(waiting(), status="expired", closed_at=MORNING),
    "superseded": lambda: with_request(waiting(), status="superseded", closed_at=MORNING),
    "cancelled": lambda: with_request(waiting(), status="cancelled", closed_at=MORNING),
    "withdrawn": lambda: with_request(waiting(), status="withdrawn", closed_at=MORNING),
    "approved": lambda: with_request(
        decided("approve"),
        proposal=decided("approve").request.proposal.changed(runs=()),  # type: ignore[union-attr]
    ),
    "decided": an_other_answer,
    "handed_over": without_report,
}


#: Requests with a course behind them: stages, edits, parked transitions.
COURSES = {
    "staged": staged,
    "edited": edited,
    "parked": parked,
    "answered": lambda: questioned("In a minute."),
    "failed": failed,
}


@pytest.mark.parametrize("face", FACES)
def test_every_face_is_told_apart_and_taken_by_slack(face: str) -> None:
    """Each state of a request has its own face, and Slack takes each."""
    subject = FACES[face]()
    message = render(subject)

    assert subject.request is not None
    assert face_of(subject, subject.request) == face
    assert_slack_takes_message(message.blocks)
    labels = list(buttons(message.blocks))
    assert labels == (["Approve", "Reject", "Details"] if face in OPEN else ["Details"])


def test_a_waiting_card_says_everything_an_approver_needs() -> None:
    """Title, who asks, facts, the quoted recommendation, checks, what runs, until when, who decides, digest, size."""
    subject = waiting(2)
    text = said(render(subject).blocks)

    assert subject.request is not None
    for expected in (
        "Roll out CHG-7",
        "⏳ *Waiting for approval*\n0 of 2 approvals · Decide by <!date^1795352400^",
        "Test change · `CHG-7` · Asked by *CI* (service) · proposed by *anthropic:claude* (AI agent)",
        "As proposed:\n*Service*\ncheckout",
        "Written by the model `claude` (`anthropic`), confidence 87\N{NO-BREAK SPACE}%. Quoted, not verified:\n> Rolls",
        "🤖 *AI recommendation:* submit analysis\n",
        "*Checks*\n✅ Confidence high enough\n✅ Required evidence present",
        '*Runs if approved*\n• *deployer*: rollout `{"replicas":12,"service":"checkout"}`',
        "*Who may decide:* sre. 2 different people must approve. Whoever asked for it or proposed it may not.",
        f"digest `{subject.request.digest[:19]}…` · parameters 55 bytes, complete under Details",
    ):
        assert expected in text


def test_notifications_read_well_without_blocks() -> None:
    """The fallback text names the proposal and what is wanted."""
    assert render(waiting()).text == "⏳ Approval needed: “Roll out CHG-7” (Decide by 2026-11-22 13:00 UTC)"
    assert render(decided("reject", "no")).text == "⛔ Rejected: “Roll out CHG-7” (decided by Dana)"


def test_one_of_two_approvals_says_whose() -> None:
    """While more approvals are needed, the card counts them and names who gave them."""
    subject = with_request(waiting(2), decisions=(an_approval("Dana", 5),), progress=Progress(stage=0, filled=(1,)))

    text = said(render(subject).blocks)

    assert "1 of 2 approvals" in text
    assert "Approved so far by *Dana* (<!date^1795338300^" in text


def test_a_decision_is_shown_with_person_time_and_reason() -> None:
    """Who decided, when and why stand on the card, the reason quoted."""
    text = said(render(decided("reject", "freeze until <!here> Monday")).blocks)

    assert "⛔ *Rejected*\nDecided by *Dana*, <!date^1795338000^" in text
    assert "*Reason given:*\n> freeze until &lt;!here&gt; Monday" in text


def test_a_failed_execution_quotes_what_the_integration_said() -> None:
    """The integration's words are shown as its own."""
    text = said(render(with_result(decided("approve"), "failed", error="*done* by <@U1>")).blocks)

    assert "❌ *Approved, but execution failed*" in text
    assert "*deployer* reported: failed\n> ∗done∗ by &lt;@U1&gt;" in text


def test_what_failed_without_a_signal_is_told_with_its_retry() -> None:
    """A failure that moved nothing shows at once: what, in the integration's own words, and a button to try again."""
    subject = failed()
    text, found = said(render(subject).blocks), buttons(render(subject).blocks)

    assert "❌ *Approved, but execution failed*" in text
    assert "❌ *deployer*: rollout failed:\n> ∗no∗ quota &lt;!channel&gt;\n> Approved by Dana" in text
    assert list(found) == ["Retry", "Details"]
    assert "confirm" not in found["Retry"]
    confirm = buttons(render(failed(risk="high")).blocks)["Retry"]["confirm"]
    assert confirm["text"]["text"] == "At once this is tried again: deployer: rollout. It is about: “Roll out CHG-7”"


@pytest.mark.parametrize(
    "changes",
    [{"entry": 9}, {"status": "cancelled"}, {"status": "suspended"}, {"status": "failed"}],
    ids=["moved on", "cancelled", "suspended", "failed"],
)
def test_what_the_loop_has_left_behind_has_no_retry(changes: dict[str, Any]) -> None:
    """Where trying again could do nothing, no button says it could."""
    assert list(buttons(render(with_instance(failed(), **changes)).blocks)) == ["Details"]


def test_several_failures_have_a_button_each() -> None:
    """Each failed run is told and tried again by itself; more than fit are counted."""
    subject = failed()
    assert subject.request is not None
    (failure,) = subject.request.results
    many = [failure.changed(effect_id=f"ef_{number}", action=f"step {number}") for number in range(5)]
    blocks = render(with_request(subject, results=many)).blocks

    assert list(buttons(blocks)) == [*(f"Retry deployer: step {number}" for number in range(3)), "Details"]
    assert "_2 more failures under Details_" in said(blocks)


@pytest.mark.parametrize(
    ("status", "ending", "words"),
    [
        ("withdrawn", Ending(by=human("robin", "Robin"), reason="Wrong *service*"), "Withdrawn by *Robin*"),
        ("cancelled", Ending(by=human("dana", "Dana")), "Cancelled by *Dana*"),
        (
            "superseded",
            Ending(by=ci(), instead="Roll back", state="Rolled back"),
            "*CI* (service) took *Roll back* instead; the loop is in Rolled back since",
        ),
    ],
)
def test_who_ended_a_request_and_why_stands_on_its_card(status: str, ending: Ending, words: str) -> None:
    """Withdrawn, cancelled, superseded: by whom, why, and what was done instead."""
    text = said(render(with_request(waiting(), status=status, closed_at=MORNING, ending=ending)).blocks)

    assert words in text
    assert ("*Reason given:*\n> Wrong ∗service∗" in text) == bool(ending.reason)


def test_an_earlier_rounds_result_is_not_this_rounds() -> None:
    """What an integration reported before this decision says nothing about this one."""
    approved = decided("approve")
    stale = with_instance(approved, evidence={"integration": {"applyStatus": "applied"}})
    newer = moved(with_result(approved, "applied"), request_id="ar_next")
    other = with_result(approved, "applied", decisionSignalId="approve_something_else")

    assert [face_of(subject, subject.request) for subject in (stale, newer, other)] == [  # type: ignore[arg-type]
        "executing",
        "approved",
        "executing",
    ]


def test_an_open_request_of_a_closed_loop_offers_no_answers() -> None:
    """A card whose loop is over offers nothing to press but Details."""
    subject = with_instance(waiting(), status="cancelled", closed_at=MORNING)

    assert list(buttons(render(subject).blocks)) == ["Details"]


def test_buttons_carry_what_was_shown() -> None:
    """A click brings back request, version, digest and answer."""
    subject = waiting()
    assert subject.request is not None

    found = {name: Shown.decode(button["value"]) for name, button in buttons(render(subject).blocks).items()}

    assert found == {
        "Approve": Shown.of(subject.request, transition_id="approve"),
        "Reject": Shown.of(subject.request, transition_id="reject"),
        "Details": Shown.of(subject.request),
    }


@pytest.mark.parametrize(
    ("rules", "ids"),
    [
        ({"approve": "optional", "reject": "required"}, ["loopgate.answer.approve.0", "loopgate.ask.reject.1"]),
        ({"approve": "required", "reject": "optional"}, ["loopgate.ask.approve.0", "loopgate.ask.reject.1"]),
        ({"approve": "none", "reject": "none"}, ["loopgate.answer.approve.0", "loopgate.answer.reject.1"]),
    ],
)
def test_an_answer_is_one_click_unless_a_reason_is_due(rules: dict[str, str], ids: list[str]) -> None:
    """Approve decides at once unless it needs a reason; Reject asks unless none is taken."""
    subject = waiting()
    assert subject.request is not None
    policy = a_change(reason=rules).state("PENDING_HUMAN_APPROVAL").approval
    proposal = subject.request.proposal.changed(policy=policy)

    found = buttons(render(with_request(subject, proposal=proposal)).blocks)

    assert [button["action_id"] for button in found.values()] == [*ids, "loopgate.details"]


def test_the_effect_id_is_in_the_metadata() -> None:
    """A posted card can be found again by the effect that posted it."""
    message = render(waiting(), effect_id="ef_7")

    assert message.metadata == {
        "event_type": "loopgate_card",
        "event_payload": {"effect_id": "ef_7", "request_id": waiting().request.request_id},  # type: ignore[union-attr]
    }
    assert render(waiting()).metadata is None


def test_soft_objections_come_first_and_in_words() -> None:
    """A warning is not lost among what passed."""
    passed = [GuardVerdict(guard_id=f"check-{n}", severity="hard", passed=True) for n in range(20)]
    warned = GuardVerdict(guard_id="cooldown", severity="soft", passed=False, code="c", message="moved 2 s ago")

    text = said(render(with_request(waiting(), verdicts=(*passed, warned))).blocks)

    assert "*Checks*\n⚠️ Enough time since the last move: *no*, “moved 2 s ago”\n✅ check-0 passed" in text
    assert "13 more checks under Details" in text


def test_what_does_not_fit_is_counted() -> None:
    """200 facts, a megabyte of parameters and a long recommendation fit, and the card says what is missing."""
    subject = waiting()
    assert subject.request is not None
    big = {"blob": "x" * 1_000_000}
    runs = (PlannedEffect(integration="deployer", action="rollout", parameters=big),)
    said_by_model = Recommendation(
        signal="go", reasoning="because " * 2_000, confidence=0.999, model_id="m", provider="p", data_points={}
    )
    crowded = with_request(
        subject,
        facts=tuple(Fact(label=f"Fact {n}", value="v" * 1_000) for n in range(200)),
        proposal=subject.request.proposal.changed(parameters=big, runs=runs),
        recommendation=said_by_model,
    )

    message = render(crowded)
    text = said(message.blocks)

    assert_slack_takes_message(message.blocks)
    assert "more facts under Details" in text
    assert "_701 more characters under Details_" in text
    assert "1,000,011 bytes of parameters under Details" in text
    assert "confidence 99.9\N{NO-BREAK SPACE}%" in text
    assert re.search(r"> because .*…\n_[\d,]+ more characters under Details_", text)


def test_a_card_full_to_the_brim_fits() -> None:
    """With every part at its limit at once the card is still one Slack takes."""
    name = "N" * 200
    approvals = tuple(an_approval(f"{n}{name[1:]}", n, "r" * 3_000) for n in range(8))
    subject = waiting(50)
    request = subject.request
    assert request is not None
    somebody = human("x", name, via="slack")
    planned = PlannedEffect(integration=name, action=name, parameters={"k": "v" * 220})
    verdict = GuardVerdict(guard_id=name, severity="soft", passed=False, message="m" * 500)
    need = {"name": "w" * 99, "groups": ["sre"], "quorum": 50}
    policy = request.proposal.policy.changed(approvers={}, quorum=1, stages=[{"needs": [need] * 10}] * 10)
    full = with_request(
        subject,
        title="T" * 1_000,
        loop_name=name,
        aggregate_id=name,
        request_id="ar_" + name[:40],
        facts=tuple(Fact(label="L" * 200, value="v" * 1_000) for _ in range(200)),
        verdicts=(verdict,) * 40,
        decisions=approvals,
        proposal=request.proposal.changed(
            requester=somebody,
            submitter=human("y", name),
            runs=(planned,) * 40,
            policy=policy,
            parked=ParkedTransition(transition_id=name, actor=human("y", name), evidence={}),
        ),
        recommendation=Recommendation(
            signal=name, reasoning="because " * 2_000, confidence=0.5, model_id=name, provider=name, data_points={}
        ),
        answers=tuple(AnswerOffered(kind="other", transition_id=f"{n}{name[4:]}", label="l" * 200) for n in range(60)),
        version=9,
        voided=tuple(an_approval(f"{n}{name[2:]}", n).changed(request_version=n + 1) for n in range(8)),
        changes=tuple(Change(path=f"{n}{name}", old="o" * 90, new="n" * 90) for n in range(9)),
        progress=Progress(stage=4, filled=(1,) * 10, lapsed=tuple(each.by.user_id for each in approvals[:4])),
        questions=(a_question(somebody, "q" * 3_000, "a" * 3_000),) * 5,
        reassignments=(Reassignment(from_person=name, to_person=name, by=somebody, at=MORNING, reason="r" * 3_000),)
        * 5,
        ending=Ending(by=somebody, reason="r" * 3_000, instead=name, state=name),
        results=tuple(
            RunResult(
                effect_id=f"ef_{n}",
                integration=name,
                action=name,
                succeeded=False,
                error="e" * 500,
                at=MORNING,
                entry=1,
            )
            for n in range(9)
        ),
    )

    for face in (
        full,
        with_result(with_request(full, status="approved", closed_by=approvals[-1]), "failed", error="e" * 900),
    ):
        message = render(face)
        assert size(said(message.blocks)) < MESSAGE_BLOCK_TEXT_MAX
        assert_slack_takes_message(message.blocks)


def test_answers_stand_in_one_order() -> None:
    """Approve first, then Reject, then the rest, however the loop file has them."""
    subject = waiting()
    assert subject.request is not None
    other = AnswerOffered(kind="other", transition_id="split", label="Split it")

    shown = buttons(render(with_request(subject, answers=(other, *reversed(subject.request.answers)))).blocks)

    assert list(shown) == ["Approve", "Reject", "Split it", "Details"]
    assert [button.get("style") for button in shown.values()] == ["primary", "danger", None, None]


def test_a_card_needs_a_request() -> None:
    """An instance that asks nobody has no card."""
    subject = waiting()

    with pytest.raises(Rejected, match="no approval request"):
        render(Loaded(subject.instance, subject.definition, None))


def test_many_answers_still_fit() -> None:
    """A definition may offer more answers than one row of buttons takes."""
    answers = tuple(
        AnswerOffered(kind="other", transition_id=f"way-{n}-{'t' * 180}", label="long label " * 20) for n in range(60)
    )
    message = render(with_request(waiting(), answers=answers))

    assert_slack_takes_message(message.blocks)
    assert sum(len(block["elements"]) for block in message.blocks if block["type"] == "actions") == 62


@st.composite
def nasty_subjects(draw: st.DrawFn) -> Loaded:
    """Any face, with nasty text wherever text may come from outside."""
    subject = (FACES | COURSES)[draw(st.sampled_from(sorted(FACES | COURSES)))]()
    request = subject.request
    assert request is not None
    pool = draw(st.lists(nasty_text(), min_size=1, max_size=4))
    # Which of them stands where comes from one number: drawing each on its own takes minutes.
    dice = Random(draw(st.integers(0, 2**32)))

    def text(longest: int = 3) -> str:
        return "".join(dice.choices(pool, k=dice.randint(0, longest)))

    def name() -> str:
        return f"n{text()}"

    def many(longest: int) -> range:
        return range(dice.randint(0, longest))

    somebody = human("dana", name()[:200], via="slack")
    decisions = tuple(each.changed(by=somebody, reason=text(40)) for each in request.decisions)
    runs = (
        PlannedEffect(integration=name(), action=name(), parameters={text(): text() for _ in many(3)}) for _ in many(8)
    )
    verdicts = (
        GuardVerdict(
            guard_id=name(),
            severity=dice.choice(("hard", "soft")),
            passed=dice.random() < 0.5,
            message=text(),
        )
        for _ in many(15)
    )
    questions = tuple(a_question(somebody, text(30), dice.choice((None, text(30)))) for _ in many(5))
    changes = tuple(Change(path=text(), old=text(), new={text(): text()}) for _ in many(8))
    handed = tuple(
        Reassignment(from_person="dana", to_person=name(), by=somebody, at=MORNING, reason=text()) for _ in many(4)
    )
    policy = request.proposal.policy
    if draw(st.booleans()):
        needs = [{"name": name(), "groups": ["sre"], "quorum": dice.randint(1, 9)} for _ in range(dice.randint(1, 9))]
        policy = policy.changed(approvers={}, quorum=1, stages=[{"needs": needs} for _ in range(dice.randint(1, 9))])
    parked_one = ParkedTransition(transition_id=name(), actor=somebody, evidence={text(): text()})
    needed = policy.gates[0].needs
    return with_request(
        subject,
        version=dice.randint(1, 4),
        voided=tuple(each.changed(request_version=2) for each in decisions),
        changes=changes,
        questions=(*request.questions, *questions),
        reassignments=handed,
        progress=Progress(stage=0, filled=(0,) * len(needed), lapsed=dice.choice(((), ("dana",)))),
        title=text(40),
        loop_name=text(),
        aggregate_id=name(),
        facts=tuple(Fact(label=text(), value=text(30)) for _ in many(30)),
        verdicts=tuple(verdicts),
        decisions=decisions,
        closed_by=decisions[-1] if request.closed_by else None,
        ending=dice.choice((None, Ending(by=somebody, reason=text(40), instead=text(), state=text()))),
        results=tuple(
            RunResult(
                effect_id="ef_1",
                integration=name(),
                action=name(),
                succeeded=False,
                error=text(20),
                at=MORNING,
                entry=2,
            )
            for _ in many(4)
        ),
        proposal=request.proposal.changed(
            requester=somebody,
            submitter=somebody,
            runs=tuple(runs),
            policy=policy,
            parked=dice.choice((request.proposal.parked, parked_one)),
        ),
        recommendation=Recommendation(
            signal=text(),
            reasoning=text(60),
            confidence=draw(st.none() | st.floats(0, 1)),
            model_id=name(),
            provider=name(),
            data_points={},
        ),
    )


@given(nasty_subjects())
@settings(deadline=None, max_examples=150)
def test_no_text_breaks_a_card_pings_anyone_or_speaks_for_us(subject: Loaded) -> None:
    """Whatever stands in the request: Slack takes the card, nothing in it links or mentions, all of it fits."""
    message = render(subject)

    assert_slack_takes_message(message.blocks)
    assert len(message.blocks) <= BLOCKS_PER_MESSAGE_MAX
    assert size(said(message.blocks)) < MESSAGE_BLOCK_TEXT_MAX
    assert 0 < size(message.text) <= MESSAGE_TEXT_MAX
    for text in [*mrkdwn_texts(message.blocks), message.text]:
        assert "<" not in text
        assert not re.search(r"@(channel|here|everyone)\b", text, re.IGNORECASE)
        assert "\u202e" not in text
    for button in buttons(message.blocks).values():
        assert size(button["value"]) <= BUTTON_VALUE_MAX


def test_a_card_says_what_comes_next_while_nobody_decides() -> None:
    """The next reminder, who is asked then and where, and what silence comes to; nothing of it once it is decided."""
    policy = {
        "remindAfter": "30m",
        "escalate": [{"after": "1h", "channel": "sre-leads", "groups": ["leads"], "onCall": "primary"}],
    }
    card = said(render(undecided(**policy)).blocks)
    over = said(render(with_request(undecided(**policy), status="rejected")).blocks)

    assert "⏰ Next reminder " in card
    assert "📣 Escalates in sre-leads to leads, who is on call (primary) " in card
    assert "⌛ Without a decision by then: REJECTED" in card
    assert "Escalates" not in over


def test_a_card_names_those_an_escalation_added_among_who_may_decide() -> None:
    """Once the leads may decide it, the card says so."""
    before = undecided(escalate=[{"after": "1h", "groups": ["leads"]}])
    assert before.request is not None
    taken = Escalation(step=0, at=MORNING)

    assert "*Who may decide:* sre." in said(render(before).blocks)
    assert "*Who may decide:* sre, leads." in said(render(with_request(before, escalations=(taken,))).blocks)

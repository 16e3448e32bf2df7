"""The checker finds what it is there to find: each rule, on made-up records with exactly one thing wrong."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from chaos.checker import check
from chaos.records import Acknowledged, Call, CardSeen, EffectSeen, Found, Ledger

_DANA = {"userId": "dana"}


def _event(kind: str, /, **data: Any) -> dict[str, Any]:
    return {"type": kind, "data": data}


def _approved(change: str = "CHAOS-00001", request: str = "ar_1", effect: str = "ef_1") -> Found:
    """Return what a change that dana approved leaves behind when all is well."""
    return Found(
        acknowledged=[Acknowledged(change, "proposed", 1.0), Acknowledged(change, "approve", 2.0, "dana")],
        calls=[Call(effect, change, request, "sha256:1", 3.0, acted=True)],
        cards=[CardSeen(change, request, "1.1", f"✅ Approved and executed: {change}", ("Details",))],
        ledgers=[
            Ledger(
                change,
                "li_1",
                "completed",
                (
                    _event("loop.started"),
                    _event("approval.requested", requestId=request, digest="sha256:1"),
                    _event(
                        "approval.decision.recorded",
                        requestId=request,
                        digest="sha256:1",
                        decision={"kind": "approve", "by": _DANA},
                    ),
                    _event("approval.closed", requestId=request, status="approved"),
                    _event("effect.succeeded", requestId=request, kind="integration.run", effectId=effect),
                    _event("loop.completed", finalState="COMPLETE"),
                ),
            )
        ],
        effects=[EffectSeen(effect, change, "integration.run", "succeeded", request)],
        leftovers={"outbox entries": 0, "deadlines": 0},
    )


def _ended(status: str, words: str, kind: str = "") -> Found:
    """Return what a change leaves behind that ended without being carried out."""
    found = _approved()
    ledger = found.ledgers[0]
    events = [event for event in ledger.events if event["type"] in {"loop.started", "approval.requested"}]
    if kind:
        decision = {"kind": kind, "by": _DANA}
        events.append(_event("approval.decision.recorded", requestId="ar_1", digest="sha256:1", decision=decision))
    events.append(_event("approval.closed", requestId="ar_1", status=status))
    proposed, answer = found.acknowledged
    answers = [proposed, replace(answer, what=kind)] if kind else [proposed]
    card = replace(found.cards[0], words=words)
    return replace(
        found,
        acknowledged=answers,
        calls=[],
        cards=[card],
        effects=[],
        ledgers=[replace(ledger, events=tuple(events))],
    )


def test_what_went_well_passes() -> None:
    """A change that was approved and carried out once breaks no promise, and neither does one that ended otherwise."""
    assert check(_approved()) == []
    assert check(_ended("rejected", "⛔ Rejected: CHAOS-00001", "reject")) == []
    assert check(_ended("expired", "⌛ Expired: CHAOS-00001")) == []


def _lose_ledger(found: Found) -> None:
    found.ledgers.clear()


def _double_ledger(found: Found) -> None:
    found.ledgers.append(replace(found.ledgers[0], instance_id="li_2"))


def _lose_withdrawal(found: Found) -> None:
    found.acknowledged.append(Acknowledged("CHAOS-00001", "dropped", 2.5))


def _lose_answer(found: Found) -> None:
    found.acknowledged.append(Acknowledged("CHAOS-00001", "reject", 2.5, "sam"))


def _with_event(found: Found, *events: dict[str, Any]) -> None:
    ledger = found.ledgers[0]
    found.ledgers[0] = replace(ledger, events=(*ledger.events, *events))


def _without(found: Found, kind: str) -> None:
    ledger = found.ledgers[0]
    found.ledgers[0] = replace(ledger, events=tuple(event for event in ledger.events if event["type"] != kind))


def _twist_an_answer(found: Found) -> None:
    found.acknowledged[1] = replace(found.acknowledged[1], what="reject")


def _remind_twice(found: Found) -> None:
    _with_event(found, *(_event("approval.reminded", requestId="ar_1", number=number) for number in (1, 2, 2)))


def _give_up_in_silence(found: Found) -> None:
    found.effects[0] = replace(found.effects[0], state="dead", error="no quota")


def _alarm_for_nothing(found: Found) -> None:
    found.effects.append(EffectSeen("ef_4", "CHAOS-00001", "effect.alarm", "succeeded"))


def _decide_twice(found: Found) -> None:
    decision = {"kind": "reject", "by": {"userId": "sam"}}
    _with_event(found, _event("approval.decision.recorded", requestId="ar_1", digest="sha256:1", decision=decision))


def _never_close(found: Found) -> None:
    _without(found, "approval.closed")


def _act_twice(found: Found) -> None:
    found.calls.append(replace(found.calls[0], effect_id="ef_2"))
    found.effects.append(replace(found.effects[0], effect_id="ef_2"))


def _receiver_counts_twice(found: Found) -> None:
    found.calls.append(found.calls[0])


def _act_unasked(found: Found) -> None:
    found.effects.clear()


def _act_though_cancelled(found: Found) -> None:
    found.effects[0] = replace(found.effects[0], state="cancelled")


def _act_on_another_digest(found: Found) -> None:
    found.calls[0] = replace(found.calls[0], digest="sha256:2")


def _act_without_approval(found: Found) -> None:
    _without(found, "approval.decision.recorded")
    found.acknowledged.pop()


def _claim_what_never_was(found: Found) -> None:
    found.calls.clear()


def _post_no_card(found: Found) -> None:
    found.cards.clear()


def _post_two_cards(found: Found) -> None:
    found.cards.append(replace(found.cards[0], ts="1.2"))


def _leave_the_card_behind(found: Found) -> None:
    found.cards[0] = replace(found.cards[0], words="✅ Approved, now executing: CHAOS-00001")


def _leave_the_button(found: Found) -> None:
    found.cards[0] = replace(found.cards[0], buttons=("Approve", "Details"))


def _ask_about_nothing(found: Found) -> None:
    found.cards.append(replace(found.cards[0], request_id="ar_9", ts="1.9"))


def _break_the_chain(found: Found) -> None:
    found.ledgers[0] = replace(found.ledgers[0], broken="the hash does not match")


def _stay_open(found: Found) -> None:
    found.ledgers[0] = replace(found.ledgers[0], status="active")


def _drop_the_outbox(found: Found) -> None:
    """Leave the store as if the outbox had been dropped: the effect was asked for and nobody ever took it."""
    found.calls.clear()
    found.effects[0] = replace(found.effects[0], state="pending", attempts=0)


def _leave_an_effect_dead(found: Found) -> None:
    found.effects.append(EffectSeen("ef_3", "CHAOS-00001", "card.update", "dead", error="given up"))


def _leave_a_deadline(found: Found) -> None:
    found.leftovers["deadlines"] = 1


def _end_by_itself(found: Found) -> None:
    found.surprises.append("worker1 ended by itself")


@pytest.mark.parametrize(
    ("sabotage", "said"),
    [
        (_lose_ledger, "lost or doubled: the proposal of CHAOS-00001 was acknowledged and has 0 ledgers"),
        (_double_ledger, "lost or doubled: the proposal of CHAOS-00001 was acknowledged and has 2 ledgers"),
        (_lose_withdrawal, "lost: the withdrawal of CHAOS-00001"),
        (_lose_answer, "lost: reject of CHAOS-00001 by sam"),
        (_twist_an_answer, "twisted: dana said reject to CHAOS-00001, not approve"),
        (_remind_twice, "doubled: ar_1 of CHAOS-00001 was reminded of as number 1, 2, 2"),
        (_give_up_in_silence, "ef_1 of CHAOS-00001 was given up, and nobody was told: no quota"),
        (_alarm_for_nothing, "a false alarm about CHAOS-00001"),
        (_decide_twice, "doubled: ar_1 of CHAOS-00001 was decided 2 times"),
        (_never_close, "ar_1 of CHAOS-00001 was closed 0 times"),
        (_act_twice, "doubled: the grant of ar_1 was carried out 2 times, as ef_1, ef_2"),
        (_receiver_counts_twice, "doubled: the grant of ar_1 was carried out 2 times, as ef_1, ef_1"),
        (_act_unasked, "ef_1 was carried out for CHAOS-00001 and is no effect"),
        (_act_though_cancelled, "ef_1 was carried out for CHAOS-00001 and is said not to have been"),
        (_act_on_another_digest, "no approval of ar_1 matches it"),
        (_act_without_approval, "no approval of ar_1 matches it"),
        (_claim_what_never_was, "ef_1 of CHAOS-00001 is said to have succeeded and never took place"),
        (_post_no_card, "ar_1 of CHAOS-00001 has 0 cards"),
        (_post_two_cards, "ar_1 of CHAOS-00001 has 2 cards"),
        (_leave_the_card_behind, "the truth is '✅ Approved and executed'"),
        (_leave_the_button, "is over and still offers Approve"),
        (_ask_about_nothing, "asks about ar_9, which is in no ledger"),
        (_break_the_chain, "does not verify: the hash does not match"),
        (_stay_open, "stuck: CHAOS-00001 (li_1) is still active"),
        (_drop_the_outbox, "stuck: ef_1 (integration.run of CHAOS-00001) is pending"),
        (_leave_an_effect_dead, "stuck: ef_3 (card.update of CHAOS-00001) is dead: given up"),
        (_leave_a_deadline, "stuck: 1 deadlines left"),
        (_end_by_itself, "unexplained: worker1 ended by itself"),
    ],
)
def test_every_breach_is_named(sabotage: Callable[[Found], None], said: str) -> None:
    """With one thing spoilt, the checker says so, with the ids to look for."""
    found = _approved()
    sabotage(found)

    assert any(said in breach for breach in check(found)), check(found)


@pytest.mark.parametrize("words", ["⏳ Approval needed: CHAOS-00001", "✅ Approved and executed: CHAOS-00001"])
@pytest.mark.parametrize(("status", "kind"), [("rejected", "reject"), ("expired", ""), ("cancelled", "")])
def test_a_card_that_says_another_end_is_a_lie(status: str, kind: str, words: str) -> None:
    """Whatever came of a request, its card must say that and nothing else."""
    assert any("the truth is" in breach for breach in check(_ended(status, words, kind)))

"""
The checker: what must hold of everything a seed left behind. Pure; it knows the promises, not how they are kept.

Every rule yields one sentence for each breach, with the ids to look for.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator

from chaos.records import CardSeen, Found, Ledger

#: States of an effect in which nothing is left to do.
_DONE = frozenset({"succeeded", "cancelled"})

#: Labels of buttons that decide.
_DECIDING = re.compile(r"Approve|Reject")


def check(found: Found) -> list[str]:
    """Return every breach of a promise in what was *found*; none is best."""
    rules = (
        _every_acknowledged_webhook_is_in_a_ledger,
        _every_acknowledged_answer_is_in_a_ledger,
        _every_answer_is_recorded_as_given,
        _one_decision_per_request,
        _one_effect_per_grant,
        _no_effect_without_a_live_approval,
        _what_succeeded_took_place,
        _every_card_shows_the_final_truth,
        _every_chain_verifies,
        _no_reminder_comes_twice,
        _alarms_are_true,
        _nothing_is_left_pending,
        _nothing_else_happened,
    )
    return [breach for rule in rules for breach in rule(found)]


def _every_acknowledged_webhook_is_in_a_ledger(found: Found) -> Iterator[str]:
    ledgers = Counter(ledger.change for ledger in found.ledgers)
    proposed = {each.change for each in found.acknowledged if each.what == "proposed"}
    for change in sorted(proposed):
        if ledgers[change] != 1:
            yield f"lost or doubled: the proposal of {change} was acknowledged and has {ledgers[change]} ledgers, not 1"
    for ledger in found.ledgers:
        if len(ledger.of("loop.started")) != 1:
            yield f"{ledger.change}: its ledger has {len(ledger.of('loop.started'))} beginnings, not 1"
    dropped = {each.change for each in found.acknowledged if each.what == "dropped"}
    for ledger in found.ledgers:
        if ledger.change in dropped and not (ledger.of("loop.cancelled") or ledger.of("loop.transition.refused")):
            yield f"lost: the withdrawal of {ledger.change} was acknowledged, and its ledger does not know of it"


def _every_acknowledged_answer_is_in_a_ledger(found: Found) -> Iterator[str]:
    heard = defaultdict[str, set[str]](set)
    for ledger in found.ledgers:
        heard[ledger.change] |= {data["decision"]["by"]["userId"] for data in ledger.of("approval.decision.recorded")}
        refused = (data.get("by") for data in ledger.of("approval.decision.refused"))
        heard[ledger.change] |= {by["userId"] for by in refused if by}
    for each in found.acknowledged:
        if each.person and each.person not in heard[each.change]:
            yield f"lost: {each.what} of {each.change} by {each.person} was acknowledged and is in no ledger"


def _every_answer_is_recorded_as_given(found: Found) -> Iterator[str]:
    given = defaultdict[tuple[str, str], set[str]](set)
    for each in found.acknowledged:
        given[each.change, each.person].add(each.what)
    for ledger in found.ledgers:
        for data in ledger.of("approval.decision.recorded"):
            decision, person = data["decision"], data["decision"]["by"]["userId"]
            answers = given.get((ledger.change, person))
            # One that was not acknowledged may be recorded all the same, its answer was lost; then nobody was told.
            if answers and decision["kind"] not in answers:
                yield f"twisted: {person} said {', '.join(sorted(answers))} to {ledger.change}, not {decision['kind']}"


def _one_decision_per_request(found: Found) -> Iterator[str]:
    for ledger in found.ledgers:
        decisions = Counter(data["requestId"] for data in ledger.of("approval.decision.recorded"))
        closed = Counter(data["requestId"] for data in ledger.of("approval.closed"))
        for request, count in decisions.items():
            if count > 1:
                yield f"doubled: {request} of {ledger.change} was decided {count} times"
        for asked in ledger.of("approval.requested"):
            if closed[asked["requestId"]] != 1:
                yield f"{asked['requestId']} of {ledger.change} was closed {closed[asked['requestId']]} times, not once"


def _one_effect_per_grant(found: Found) -> Iterator[str]:
    acted = defaultdict[str, list[str]](list)
    for call in found.calls:
        if call.acted:
            acted[call.request_id].append(call.effect_id)
    for request, effects in acted.items():
        if len(effects) > 1:
            yield f"doubled: the grant of {request} was carried out {len(effects)} times, as {', '.join(effects)}"


def _no_effect_without_a_live_approval(found: Found) -> Iterator[str]:
    effects = {effect.effect_id: effect for effect in found.effects}
    approved = {
        (data["requestId"], data["digest"])
        for ledger in found.ledgers
        for data in ledger.of("approval.decision.recorded")
        if data["decision"]["kind"] == "approve"
    }
    for call in found.calls:
        effect = effects.get(call.effect_id)
        if effect is None:
            yield f"{call.effect_id} was carried out for {call.change} and is no effect in the store"
        elif call.acted and effect.state == "cancelled":
            yield f"{call.effect_id} was carried out for {call.change} and is said not to have been: it is cancelled"
        if (call.request_id, call.digest) not in approved:
            yield f"{call.effect_id} was sent out for {call.change}, and no approval of {call.request_id} matches it"


def _what_succeeded_took_place(found: Found) -> Iterator[str]:
    acted = {call.effect_id for call in found.calls if call.acted}
    for effect in found.effects:
        if effect.kind == "integration.run" and effect.state == "succeeded" and effect.effect_id not in acted:
            yield f"{effect.effect_id} of {effect.change} is said to have succeeded and never took place"


def _every_card_shows_the_final_truth(found: Found) -> Iterator[str]:
    cards = defaultdict[str, list[CardSeen]](list)
    for card in found.cards:
        cards[card.request_id].append(card)
    known = set[str]()
    for ledger in found.ledgers:
        for asked in ledger.of("approval.requested"):
            request = asked["requestId"]
            known.add(request)
            if len(cards[request]) != 1:
                yield f"{request} of {ledger.change} has {len(cards[request])} cards, not 1"
            for card in cards[request]:
                yield from _lies(card, _truth(ledger, request))
    for request, strange in cards.items():
        if request not in known:
            yield f"the card {strange[0].ts} asks about {request}, which is in no ledger"


def _lies(card: CardSeen, truth: str) -> Iterator[str]:
    if not card.words.startswith(truth):
        yield f"the card {card.ts} of {card.request_id} ({card.change}) says {card.words!r}; the truth is {truth!r}"
    if deciding := [label for label in card.buttons if _DECIDING.search(label)]:
        yield f"the card {card.ts} of {card.request_id} ({card.change}) is over and still offers {', '.join(deciding)}"


def _truth(ledger: Ledger, request: str) -> str:
    """Return how the notification of the card must begin, from what its ledger says came of *request*."""
    closed = [data["status"] for data in ledger.of("approval.closed") if data["requestId"] == request]
    status = closed[-1] if closed else "open"
    if status != "approved":
        return {"rejected": "⛔ Rejected", "expired": "⌛ Expired", "cancelled": "🚫 Cancelled"}.get(status, status)
    ran = [data for data in ledger.of("effect.succeeded") if data.get("requestId") == request]
    failed = [data for data in ledger.of("effect.failed") if data.get("requestId") == request]
    if any(data["kind"] == "integration.run" for data in ran):
        return "✅ Approved and executed"
    if any(data["kind"] == "integration.run" for data in failed):
        return "❌ Approved, but execution failed"
    return "🚫 Cancelled" if ledger.of("loop.cancelled") else "✅ Approved and executed"


def _every_chain_verifies(found: Found) -> Iterator[str]:
    for ledger in found.ledgers:
        if ledger.broken:
            yield f"the ledger of {ledger.change} ({ledger.instance_id}) does not verify: {ledger.broken}"


def _no_reminder_comes_twice(found: Found) -> Iterator[str]:
    for ledger in found.ledgers:
        numbers = defaultdict[str, list[int]](list)
        for data in ledger.of("approval.reminded"):
            if "number" in data:
                numbers[data["requestId"]].append(data["number"])
        for request, said in numbers.items():
            if said != sorted(set(said)):
                yield f"doubled: {request} of {ledger.change} was reminded of as number {', '.join(map(str, said))}"


def _alarms_are_true(found: Found) -> Iterator[str]:
    alarmed = {effect.change for effect in found.effects if effect.kind == "effect.alarm"}
    given_up = defaultdict[str, list[str]](list)
    for effect in found.effects:
        if effect.kind in {"integration.run", "provider.ask"} and effect.state == "dead":
            given_up[effect.change].append(effect.effect_id)
        if effect.kind == "integration.run" and effect.state == "dead" and effect.change not in alarmed:
            yield f"{effect.effect_id} of {effect.change} was given up, and nobody was told: {effect.error}"
    for change in sorted(alarmed - given_up.keys()):
        yield f"a false alarm about {change}: nothing of it was given up"


def _nothing_is_left_pending(found: Found) -> Iterator[str]:
    for ledger in found.ledgers:
        if ledger.status in {"active", "suspended"}:
            yield f"stuck: {ledger.change} ({ledger.instance_id}) is still {ledger.status}"
    cancelled = {ledger.change for ledger in found.ledgers if ledger.of("loop.cancelled")}
    for effect in found.effects:
        # What may have acted when its loop was cancelled is given up, on the record, and told of: that is its end.
        is_over = effect.state == "dead" and effect.kind == "integration.run" and effect.change in cancelled
        if effect.state not in _DONE and not is_over:
            yield f"stuck: {effect.effect_id} ({effect.kind} of {effect.change}) is {effect.state}: {effect.error}"
    for what, count in found.leftovers.items():
        if count:
            yield f"stuck: {count} {what} left in the store"


def _nothing_else_happened(found: Found) -> Iterator[str]:
    for surprise in found.surprises:
        yield f"unexplained: {surprise}"

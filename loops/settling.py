"""Settling: what the result of an effect comes to, on the ledger and for the loop that asked for it. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from loops.actors import Actor, service, system
from loops.approvals import ERROR_KEPT, RunResult
from loops.cards import LostCard
from loops.decide import judge_transition, recorded, refuse
from loops.draft import Decided, Draft
from loops.effects import ACTING, Effect, EffectKind, EffectResult, GivenUp
from loops.events import EventType
from loops.evidence import BadEvidence, accept
from loops.guards import GuardVerdict
from loops.outcomes import Executed
from loops.ports import IdSource, Loaded
from loops.requests import TransitionRequest

#: Signals to try in order, each with the verdicts of its transition's guards.
Tries = Sequence[tuple[TransitionRequest, Sequence[GuardVerdict]]]


def settle(
    loaded: Loaded,
    effect: Effect,
    result: EffectResult,
    tries: Tries,
    now: datetime,
    ids: IdSource,
) -> Decided:
    """
    Put an effect's result on the ledger and let it move the loop in the same commit.

    *tries* are judged in order until one moves the loop: a provider's own signal first, then the system's when the
    submission was refused. A signal that no longer fits (the loop moved on, was cancelled, is in a later round of the
    same state) is refused on the ledger; the result stands.
    """
    draft = Draft(loaded.definition, loaded.instance, now, ids, causation_id=effect.effect_id)
    draft.settled = result
    kind: EventType = "effect.succeeded" if result.succeeded else "effect.failed"
    draft.event(kind, {**_said(loaded, effect, tries), "detail": result.detail})
    _alarm(draft, loaded, effect, result)
    _apologise(draft, effect, result)
    return _followed(draft, loaded, effect, result, tries)


def call_off(loaded: Loaded, effect: Effect, result: EffectResult, now: datetime, ids: IdSource) -> Decided:
    """Put on the ledger that an effect did not take place, as its loop was called off before it could."""
    draft = Draft(loaded.definition, loaded.instance, now, ids, causation_id=effect.effect_id)
    draft.settled = result
    draft.event("effect.cancelled", {**_said(loaded, effect, ()), "status": loaded.instance.status})
    return recorded(draft, loaded, "effect_settled")


def abandon(
    loaded: Loaded,
    effect: Effect,
    by: Actor,
    reason: str,
    tries: Tries,
    now: datetime,
    ids: IdSource,
) -> Decided:
    """
    Put on the ledger that *by* abandoned an effect that nobody holds; a loop that waits for its result has it failed.

    *tries* are as in `settle`; none where the loop was told already, as the effect was given up.
    """
    draft = Draft(loaded.definition, loaded.instance, now, ids, causation_id=effect.effect_id)
    draft.abandon(effect.effect_id)
    draft.event("effect.abandoned", {**_said(loaded, effect, tries), "actor": by, "reason": reason})
    return _followed(draft, loaded, effect, abandoned(effect, by, reason), tries)


def abandoned(effect: Effect, by: Actor, reason: str) -> EffectResult:
    """Return what an effect that was abandoned comes to for its loop."""
    detail = {"error": f"abandoned by {by.name}: {reason}"}
    return EffectResult(effect_id=effect.effect_id, fence=0, succeeded=False, detail=detail)


def _said(loaded: Loaded, effect: Effect, tries: Tries) -> dict[str, Any]:
    held = bool(tries) and loaded.instance.status == "suspended"
    return {
        "effectId": effect.effect_id,
        "kind": effect.kind,
        "requestId": effect.grant.request_id if effect.grant else None,
        "integration": effect.payload.get("integration"),
        "action": effect.payload.get("action"),
        "entry": effect.entry,
        "held": [asked for asked, _ in tries] if held else None,
    }


def _followed(draft: Draft, loaded: Loaded, effect: Effect, result: EffectResult, tries: Tries) -> Decided:
    """Let a result move the loop, or be held while it rests."""
    loaded = _with_result(draft, loaded, effect, result)
    if tries and effect.entry != loaded.instance.entry:
        asked = tries[0][0]
        _show(draft, loaded, effect)
        message = f"{loaded.instance.aggregate_id} has left the state this was asked for in; the result moves nothing"
        return refuse(draft, loaded, "stale_result", message, asked.actor, asked.name)
    if tries and loaded.instance.status == "suspended":
        draft.change(held_results=(*loaded.instance.held_results, tuple(asked for asked, _ in tries)))
        _show(draft, loaded, effect)
        return recorded(draft, loaded, "effect_settled")
    decided = None
    for asked, verdicts in tries:
        decided = judge_transition(draft, loaded, asked, verdicts)
        if isinstance(decided.outcome, Executed):
            return decided
    _show(draft, loaded, effect)
    decided = decided and Decided(decided.outcome, draft.commit())
    return decided or recorded(draft, loaded, "effect_settled")


def _with_result(draft: Draft, loaded: Loaded, effect: Effect, result: EffectResult) -> Loaded:
    """Keep how an approved effect ended with the request that approved it, while that is the latest one."""
    request, grant = loaded.request, effect.grant
    if request is None or grant is None or grant.request_id != request.request_id or effect.kind != "integration.run":
        return loaded
    said = next((each for key in ("error", "message") if isinstance(each := result.detail.get(key), str)), None)
    ended = RunResult(
        effect_id=effect.effect_id,
        integration=str(effect.payload.get("integration")),
        action=str(effect.payload.get("action")),
        succeeded=result.succeeded,
        error=None if result.succeeded or said is None else said[:ERROR_KEPT],
        at=draft.now,
        entry=effect.entry,
    )
    others = tuple(each for each in request.results if each.effect_id != effect.effect_id)
    request = request.changed(results=(*others, ended))
    draft.keep(request)
    return Loaded(loaded.instance, loaded.definition, request)


def _show(draft: Draft, loaded: Loaded, effect: Effect) -> None:
    """Have the card say how it ended, where no move does."""
    if loaded.request and effect.kind == "integration.run":
        draft.effect("card.update", {"requestId": loaded.request.request_id})


def _alarm(draft: Draft, loaded: Loaded, effect: Effect, result: EffectResult) -> None:
    """
    Have whoever runs this told of what was given up.

    That is an act of the loop, or a card that cannot be shown, by which nobody is asked, or that says what is not so.
    What a provider did not say about a loop that is over is missed by nobody.
    """
    is_missed = effect.kind != "provider.ask" or not loaded.instance.is_over
    if not result.succeeded and effect.kind in ACTING and is_missed:
        called = [str(effect.payload[key]) for key in ("integration", "use", "action") if key in effect.payload]
        given_up = GivenUp(
            effect_id=effect.effect_id,
            kind=effect.kind,
            what=": ".join(called),
            error=str(result.detail.get("error", ""))[:ERROR_KEPT],
        )
        draft.effect("effect.alarm", given_up.as_json())
    if result.succeeded or effect.kind not in {"card.post", "card.update"} or "requestId" not in effect.payload:
        return
    lost = LostCard(
        request_id=effect.payload["requestId"],
        effect_id=effect.effect_id,
        kind=effect.kind,
        error=str(result.detail.get("error", "")),
    )
    draft.effect("card.alarm", lost.as_json())


def _apologise(draft: Draft, effect: Effect, result: EffectResult) -> None:
    """Tell who asked for a file that it does not come: nobody else waits for it, and they would for ever."""
    if result.succeeded or effect.kind != "details.file":
        return
    draft.effect(
        "notice",
        {
            "requestId": effect.payload["requestId"],
            "code": "file_not_sent",
            "message": str(result.detail.get("error", "")),
            "address": effect.payload["address"],
        },
    )


def show_again(
    loaded: Loaded, now: datetime, ids: IdSource, *, dead_post: str | None = None, new_post: str | None = None
) -> Decided:
    """
    Have the card of *loaded*'s request shown as it stands: by an update, where it is posted.

    Where it is not, by its post *dead_post*, which was given up, or by another one, *new_post*, which takes place once
    however often it is asked for under this id.
    """
    draft = Draft(loaded.definition, loaded.instance, now, ids)
    if dead_post:
        draft.revive(dead_post)
    elif loaded.request:
        kind: EffectKind = "card.post" if new_post else "card.update"
        draft.effect(kind, {"requestId": loaded.request.request_id}, effect_id=new_post)
    return recorded(draft, loaded, "card_behind")


def card_posted(loaded: Loaded, effect: Effect, result: EffectResult, now: datetime, ids: IdSource) -> Decided:
    """Put on the ledger that humans were asked, and where. A request that moved on meanwhile is rendered again."""
    draft = Draft(loaded.definition, loaded.instance, now, ids, causation_id=effect.effect_id)
    draft.settled = result
    draft.event("approval.card.posted", {"requestId": effect.payload["requestId"], **result.detail})
    return recorded(draft, loaded, "effect_settled")


def recordable(detail: Mapping[str, Any]) -> dict[str, Any]:
    """Return *detail* or, where the ledger cannot hold it, why: what took place outside must not be tried again."""
    try:
        return accept(detail, where="detail")
    except BadEvidence as error:
        return {"unrecordable": str(error)[:300].encode(errors="backslashreplace").decode()}


def signal_of(effect: Effect, result: EffectResult, signal: str) -> TransitionRequest:
    """Return what *signal* asks for when *result* sends it: from the integration's own actor, or from the system."""
    if effect.kind == "provider.ask":
        evidence: dict[str, Any] = {"providerAnswer": result.detail}
        return TransitionRequest(name=signal, actor=system("providers"), evidence=evidence)
    integration = str(effect.payload.get("integration"))
    evidence = {
        "integration": {
            "integrationConnectionId": f"integration.{integration}",
            "integrationKind": integration,
            "action": effect.payload.get("action"),
            "applyStatus": "applied" if result.succeeded else "failed",
            "effectId": effect.effect_id,
            **_of_decision(effect),
            **({"result": result.detail} if result.detail else {}),
        }
    }
    return TransitionRequest(name=signal, actor=service(integration), evidence=evidence)


def _of_decision(effect: Effect) -> dict[str, Any]:
    """Return what ties an integration's evidence to the decision it carried out."""
    if effect.grant is None:
        return {}
    return {"decisionSignalId": effect.payload.get("decisionSignalId"), "requestId": effect.grant.request_id}

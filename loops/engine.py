"""
The engine: the one door through which everything that moves a loop goes.

It loads, has the guards judge, decides (purely), and commits atomically. A lost race loads and judges again, a bounded
number of times, so every caller's answer is about the instance as it really stands.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from pydantic import ValidationError
from pydantic.alias_generators import to_camel

from loops import decide, lifecycle, settling
from loops.absence import ABSENCE, AGGREGATE_PREFIX, Absence, ways_to
from loops.absent import Absent
from loops.actors import Actor, Automation, Human, system
from loops.answers import Confirmation, as_edited, decide_answer, judged_as, transition_of
from loops.approvals import ApprovalRequest, HumanAnswer, HumanAsk
from loops.asked import Asked, concerned
from loops.confirming import hold, never_known
from loops.consulting import consult, inform, withdraw
from loops.deadlines import Deadline
from loops.definition import LoopDefinition, Transition
from loops.disclosing import disclose
from loops.draft import Decided
from loops.effects import Effect, EffectResult
from loops.entitlement import Entitlement, entitlement
from loops.errors import Unavailable
from loops.evidence import ADAPTER_KEYS, BadEvidence, accept
from loops.explaining import Explanation, explain
from loops.guards import GuardContext, GuardVerdict
from loops.judging import Judge
from loops.managing import may_manage, retry
from loops.outcomes import Outcome, Refused
from loops.parts import counts_alone
from loops.people import People
from loops.ports import Clock, Definitions, Directory, IdSource, Loaded, OnCall, Store
from loops.redaction import RedactionRules, redact
from loops.requests import StartRequest, TransitionRequest
from loops.rounds import Judged, Key, Rounds, click_key, key_of
from loops.submission import Submission
from loops.timeline import Moment, due
from loops.values import nested
from loops.waiting import Found, escalated, fall_due, whom_it_waits_for


class LoopEngine:
    """
    Starts, moves, decides and closes loop instances.

    Every method answers with a value of `loops.outcomes`; refusals are on the ledger like anything else. All may
    raise `StoreUnavailable`: the result is then unknown, and the call may be repeated under the same key.
    """

    def __init__(
        self,
        store: Store,
        definitions: Definitions,
        directory: Directory,
        clock: Clock,
        ids: IdSource,
        judge: Judge | None = None,
        redaction: RedactionRules | None = None,
        on_call: OnCall | None = None,
    ) -> None:
        self._store = store
        self._definitions = definitions
        self._people = People(directory)
        self._clock = clock
        self._ids = ids
        self._judge = judge or Judge()
        self._redaction = redaction or RedactionRules()
        self._rounds = Rounds(store)
        self._on_call = on_call
        self._absent = Absent(store)

    async def start(
        self,
        *,
        tenant: str,
        loop_id: str,
        aggregate_id: str,
        data: Mapping[str, Any],
        actor: Actor,
        correlation_id: str | None = None,
        idempotency_key: str | None = None,
        definition: LoopDefinition | None = None,
    ) -> Outcome:
        """
        Start *loop_id* on *aggregate_id*; refused for an unknown loop, or while one is active on the aggregate.

        *definition* is for a loop that was made for this very start and stands in no file.
        """
        if aggregate_id.startswith(AGGREGATE_PREFIX) and definition is not ABSENCE:
            return Refused(code="bad_request", message=f"what begins with {AGGREGATE_PREFIX} says who is away")
        definition = definition or self._definitions.get(loop_id)
        if definition is None:
            known = ", ".join(sorted(self._definitions.all())) or "none"
            return Refused(code="unknown_loop", message=f"there is no loop '{loop_id}'; there are: {known}")
        try:
            clean = redact(accept(data, where="data"), self._redaction, where="data")
        except BadEvidence as error:
            return Refused(code="bad_evidence", message=str(error))
        try:
            asked = StartRequest(
                tenant=tenant,
                aggregate_id=aggregate_id,
                actor=await self._people.resolved(tenant, actor),
                data=clean.value,
                redacted=clean.paths,
                correlation_id=correlation_id,
            )
        except ValidationError as error:
            return _bad_request(error)
        key = key_of(idempotency_key, "start", loop_id, asked)

        async def judged(loaded: Loaded | None) -> Decided:
            if loaded and loaded.instance.status in {"active", "suspended"}:
                return decide.refuse_start(loaded, asked, self._clock.now(), self._ids)
            return decide.start(definition, asked, self._clock.now(), self._ids)

        return await self._rounds.run_even_without(
            lambda: self._store.load_aggregate(asked.tenant, asked.aggregate_id), judged, key
        )

    async def transition(
        self,
        *,
        tenant: str,
        aggregate_id: str,
        transition: str,
        actor: Actor,
        evidence: Mapping[str, Any],
        idempotency_key: str | None = None,
        correlation_id: str | None = None,
    ) -> Outcome:
        """Move the aggregate's instance by the transition with the id or signal *transition*."""
        return await self._request(tenant, aggregate_id, transition, actor, evidence, idempotency_key, correlation_id)

    async def signal(
        self,
        *,
        tenant: str,
        aggregate_id: str,
        signal: str,
        actor: Actor,
        evidence: Mapping[str, Any],
        idempotency_key: str | None = None,
        correlation_id: str | None = None,
    ) -> Outcome:
        """Like `transition`, with the signal itself put on the ledger, whatever becomes of it."""
        return await self._request(
            tenant, aggregate_id, signal, actor, evidence, idempotency_key, correlation_id, is_signal=True
        )

    async def cancel(
        self,
        *,
        tenant: str,
        aggregate_id: str,
        actor: Actor,
        reason: str | None = None,
        idempotency_key: str | None = None,
    ) -> Outcome:
        """Cancel the aggregate's active or suspended instance."""

        async def judged(loaded: Loaded) -> Decided:
            return lifecycle.cancel(loaded, actor, reason, self._clock.now(), self._ids)

        key = key_of(idempotency_key, "cancel", tenant, aggregate_id, actor, reason)
        return await self._about_aggregate(tenant, aggregate_id, judged, key)

    async def fail(
        self,
        *,
        tenant: str,
        aggregate_id: str,
        actor: Actor,
        code: str,
        message: str,
        idempotency_key: str | None = None,
    ) -> Outcome:
        """Close the aggregate's active or suspended instance as failed."""

        async def judged(loaded: Loaded) -> Decided:
            return lifecycle.fail(loaded, actor, code, message, self._clock.now(), self._ids)

        key = key_of(idempotency_key, "fail", tenant, aggregate_id, actor, code, message)
        return await self._about_aggregate(tenant, aggregate_id, judged, key)

    async def suspend(
        self,
        *,
        tenant: str,
        aggregate_id: str,
        actor: Actor,
        reason: str | None = None,
        idempotency_key: str | None = None,
    ) -> Outcome:
        """Let the aggregate's active instance rest until it is resumed."""

        async def judged(loaded: Loaded) -> Decided:
            return lifecycle.suspend(loaded, actor, reason, self._clock.now(), self._ids)

        key = key_of(idempotency_key, "suspend", tenant, aggregate_id, actor, reason)
        return await self._about_aggregate(tenant, aggregate_id, judged, key)

    async def resume(
        self, *, tenant: str, aggregate_id: str, actor: Actor, idempotency_key: str | None = None
    ) -> Outcome:
        """Wake the aggregate's suspended instance; results that came in meanwhile take effect."""

        async def judged(loaded: Loaded) -> Decided:
            awake = Loaded(loaded.instance.changed(status="active"), loaded.definition, loaded.request)
            held = [[await self._asked(awake, asked) for asked in tries] for tries in loaded.instance.held_results]
            return lifecycle.resume(loaded, actor, held, self._clock.now(), self._ids)

        key = key_of(idempotency_key, "resume", tenant, aggregate_id, actor)
        return await self._about_aggregate(tenant, aggregate_id, judged, key)

    async def answer(self, answer: HumanAnswer, *, tenant: str) -> Outcome:
        """
        Take one person's answer to an approval request.

        Who the person is and what they belong to is asked of the directory now; what the channel says about roles and
        groups does not count. Where too little is known about somebody it depends on, the answer is kept, and an effect
        that finds out ends with `confirm`.
        """
        try:
            accept(answer.edits, where="edits")
        except BadEvidence as error:
            return Refused(code="bad_edit", message=str(error))
        # Refused, not taken out: what runs would be the placeholder.
        if secrets := redact(nested(answer.edits), self._redaction, where="edits").paths:
            told = f"{', '.join(secrets)} holds what looks like a secret, which belongs in no proposal"
            return Refused(code="bad_edit", message=told)
        answer = answer.changed(reason=self._hidden(answer.reason))

        async def judged(loaded: Loaded) -> Decided:
            known, asked = await self._answered_now(tenant, loaded, answer)
            if not known.is_confirmed or (known.by and asked.doubts):
                return hold(asked, known, self._ids)
            return decide_answer(asked, known, await self._answer_verdicts(asked, known), self._ids)

        return await self._about_request(
            tenant, answer.request_id, judged, click_key(answer.key, "answer", answer.said())
        )

    async def confirm(self, effect: Effect, fence: int, by: Human | None, standing: Mapping[str, Any]) -> Outcome:
        """
        Judge the answer that *effect* kept, as things stand now, and close the effect.

        *by* is who gave it, None where nobody who may decide did; *standing* then says why, for the evidence.

        Raises:
            Unavailable: If there still is, or is again, somebody about whom too little is known. Nothing is written.
        """
        answer = HumanAnswer.model_validate(effect.payload["answer"])
        answer = answer.changed(by=by, standing=dict(standing), is_confirmed=True)

        async def judged(loaded: Loaded) -> Decided:
            known, asked = await self._answered_now(effect.tenant, loaded, answer)
            if known.by and asked.doubts:
                raise Unavailable(f"too little is known about {', '.join(sorted(asked.doubts))}")
            verdicts = await self._answer_verdicts(asked, known)
            return decide_answer(asked, known, verdicts, self._ids, Confirmation.of(effect, fence, succeeded=True))

        return await self._about_request(effect.tenant, answer.request_id, judged)

    async def never_known(self, effect: Effect, fence: int) -> Outcome:
        """Refuse the answer that *effect* kept, since nobody could say who gave it, and close the effect."""
        answer = HumanAnswer.model_validate(effect.payload["answer"])

        async def judged(loaded: Loaded) -> Decided:
            asked = await self._asked_now(effect.tenant, loaded, None)
            return never_known(asked, answer, Confirmation.of(effect, fence, succeeded=False), self._ids)

        return await self._about_request(effect.tenant, answer.request_id, judged)

    async def entitlement(self, tenant: str, request_id: str) -> Entitlement | None:
        """Say whether the approvals of a request still count; None for an unknown one. Changes nothing."""
        loaded = await self._store.load_request(tenant, request_id)
        return entitlement(await self._asked_now(tenant, loaded, None)) if loaded else None

    async def consult(self, ask: HumanAsk, *, tenant: str) -> Outcome:
        """Take an approver's question about a request, or their part for somebody else."""
        ask = ask.changed(question=self._hidden(ask.question), reason=self._hidden(ask.reason))
        known = ask.changed(by=await self._people.verified(tenant, ask.by))
        taker = await self._people.named(tenant, ask.to_person)

        async def judged(loaded: Loaded) -> Decided:
            asked = await self._asked_now(tenant, loaded, known.by)
            if taker and not taker.barred:
                asked = replace(asked, groups={**asked.groups, taker.person_id: taker.groups})
            return consult(asked, known, taker, self._ids)

        key = click_key(ask.key, "consult", ask)
        return await self._about_request(tenant, ask.request_id, judged, key)

    async def explain(self, request_id: str, by: Human | None, *, tenant: str) -> Explanation | None:
        """Say how a person stands to a request now; None for an unknown request. Changes nothing."""
        loaded = await self._store.load_request(tenant, request_id)
        if loaded is None:
            return None
        known = await self._people.verified(tenant, by)
        asked = await self._asked_now(tenant, loaded, known)
        away = await self._absent.one(tenant, known.user_id, asked.now) if known else None
        return explain(asked, known, away)

    async def concerned(self, tenant: str, request_id: str, by: Human | None) -> frozenset[str]:
        """Return the people, by id, whom judging an act of *by* on a request depends on now; none of an unknown one."""
        loaded = await self._store.load_request(tenant, request_id)
        if loaded is None:
            return frozenset()
        asked = await self._asked_now(tenant, loaded, by)
        return concerned(asked.request, by).union(absence.person for absence in asked.absences)

    async def disclose(
        self, *, tenant: str, request_id: str, by: Human | None, channel: Mapping[str, Any], key: str
    ) -> Outcome:
        """Have a complete copy of what a request proposes sent to the person *by*, on the record; once under *key*."""
        known = await self._people.verified(tenant, by)

        async def judged(loaded: Loaded) -> Decided:
            return disclose(Asked(loaded, _request_of(loaded), {}, self._clock.now()), known, channel, self._ids)

        return await self._about_request(tenant, request_id, judged, click_key(key, "disclose", request_id))

    async def absences(self, tenant: str) -> Sequence[Absence]:
        """Return who is away now, and who decides in their stead."""
        return await self._absent.all(tenant, self._clock.now())

    async def inform(
        self,
        *,
        tenant: str,
        request_id: str,
        question_id: str,
        text: str,
        actor: Actor,
        idempotency_key: str | None = None,
    ) -> Outcome:
        """Answer a question an approver asked."""

        async def judged(loaded: Loaded) -> Decided:
            asked = Asked(loaded, _request_of(loaded), {}, self._clock.now())
            return inform(asked, question_id, self._hidden(text) or "", actor, self._ids)

        key = key_of(idempotency_key, "inform", tenant, request_id, question_id, text, actor)
        return await self._about_request(tenant, request_id, judged, key)

    async def withdraw(
        self,
        *,
        tenant: str,
        request_id: str,
        actor: Actor,
        reason: str | None = None,
        idempotency_key: str | None = None,
    ) -> Outcome:
        """Take a request back, as whoever asked."""

        async def judged(loaded: Loaded) -> Decided:
            asked = Asked(loaded, _request_of(loaded), {}, self._clock.now())
            return withdraw(asked, actor, reason, self._ids)

        key = key_of(idempotency_key, "withdraw", tenant, request_id, actor, reason)
        return await self._about_request(tenant, request_id, judged, key)

    async def submit(self, effect: Effect, fence: int, submission: Submission) -> Outcome:
        """
        Let a provider's submission ask for its transition, as an ai-agent, and close the effect that asked.

        Where guards or the definition refuse it, or its signal is not one the effect offered, the system sends the
        effect's `onFailure` in the same commit.
        """
        detail = {"modelId": submission.model_id, "signal": submission.signal, "confidence": submission.confidence}
        offered = effect.payload.get("signals", ())
        if submission.signal not in offered:
            error = f"'{submission.signal}' is none of the signals offered: {', '.join(offered)}"
            return await self.settle(effect, fence, succeeded=False, detail={**detail, "error": error})
        result = EffectResult(effect_id=effect.effect_id, fence=fence, succeeded=True, detail=detail)
        clean = redact(submission.as_evidence(), self._redaction, where="evidence")
        on_failure = effect.payload.get("onFailure")

        def tries(loaded: Loaded) -> list[TransitionRequest]:
            behind = getattr(loaded.instance.requester, "on_behalf_of", None)
            asked = TransitionRequest(
                name=submission.signal, actor=submission.actor(behind), evidence=clean.value, redacted=clean.paths
            )
            return [asked, settling.signal_of(effect, result, on_failure)] if on_failure else [asked]

        return await self._settle(effect, result, tries)

    async def settle(self, effect: Effect, fence: int, *, succeeded: bool, detail: Mapping[str, Any]) -> Outcome:
        """
        Put the final result of a provider or integration effect on the ledger and send the loop its signal.

        The signal is the effect's `onSuccess` or `onFailure`; an integration's comes from its automation actor, a
        provider's failure from the system.
        """
        kept = redact(settling.recordable(detail), self._redaction).value
        result = EffectResult(effect_id=effect.effect_id, fence=fence, succeeded=succeeded, detail=kept)
        signal = effect.payload.get("onSuccess" if succeeded else "onFailure")
        tries = [settling.signal_of(effect, result, signal)] if signal else []
        return await self._settle(effect, result, lambda _: tries)

    async def call_off(self, effect: Effect, fence: int) -> Outcome:
        """Put on the ledger that *effect* did not take place, as its loop was cancelled or failed before it could."""
        result = EffectResult(effect_id=effect.effect_id, fence=fence, succeeded=False, is_cancelled=True, detail={})

        async def judged(loaded: Loaded) -> Decided:
            return settling.call_off(loaded, effect, result, self._clock.now(), self._ids)

        return await self._about_effect(effect, judged)

    async def retry(
        self,
        effect: Effect,
        state: str,
        *,
        by: Human | Automation | None,
        channel: Mapping[str, Any],
        key: str,
    ) -> Outcome:
        """
        Have *effect*, which stands at *state* in the store, tried once more for the person *by*.

        Refused, on the record, for anybody who neither asked for the loop nor decides in it, and where the loop has
        moved on since. An automation is an operator's tool, which whoever runs the gateway may use for any loop.
        """
        is_operator = isinstance(by, Automation)
        known = by if isinstance(by, Automation) else await self._people.verified(effect.tenant, by)
        person = await self._people.named(effect.tenant, known.user_id if isinstance(known, Human) else None)

        async def judged(loaded: Loaded) -> Decided:
            is_entitled = is_operator or (known is not None and may_manage(loaded, known, person))
            now = self._clock.now()
            return retry(loaded, (effect, state), known, channel, now, self._ids, is_entitled=is_entitled)

        found = await self._about_effect(effect, judged, click_key(key, "retry", effect.effect_id))
        if isinstance(found, Refused) and found.code == "stale_claim":
            return found.changed(code="not_failed", message="somebody else had it tried again just now")
        return found

    async def abandon(self, effect: Effect, state: str, *, by: Automation, reason: str) -> Outcome:
        """
        Have *effect*, which stands at *state* in the store, not take place any more, as the operator *by* says.

        A loop that still waits for its result takes the effect's `onFailure`. Refused for one that is done, cancelled,
        or being carried out at the moment: that must end first.
        """
        if state not in {"pending", "failed", "dead"}:
            message = "it is being carried out; wait until that has ended" if state == "claimed" else f"it {state}"
            return Refused(code="not_failed", message=message)
        said = self._hidden(reason) or ""
        signal = None if state == "dead" else effect.payload.get("onFailure")
        result = settling.abandoned(effect, by, said)
        asked = settling.signal_of(effect, result, signal) if signal else None

        async def judged(loaded: Loaded) -> Decided:
            tries = [(asked, await self._asked(loaded, asked))] if asked else []
            return settling.abandon(loaded, effect, by, said, tries, self._clock.now(), self._ids)

        found = await self._about_effect(effect, judged)
        if isinstance(found, Refused) and found.code == "stale_claim":
            return found.changed(code="not_failed", message="somebody has taken it up just now; look at it again")
        return found

    async def card_posted(self, effect: Effect, fence: int, address: Mapping[str, Any]) -> Outcome:
        """Put on the ledger where humans were asked."""
        result = EffectResult(effect_id=effect.effect_id, fence=fence, succeeded=True, detail=dict(address))

        async def judged(loaded: Loaded) -> Decided:
            return settling.card_posted(loaded, effect, result, self._clock.now(), self._ids)

        return await self._about_effect(effect, judged)

    async def show_again(
        self, tenant: str, request_id: str, *, dead_post: str | None = None, new_post: str | None = None
    ) -> Outcome:
        """
        Have the card of a request that shows less than it should shown again.

        *dead_post* is its post, where that was given up; *new_post* the id of another one, where there is none.
        """

        async def judged(loaded: Loaded) -> Decided:
            now = self._clock.now()
            return settling.show_again(loaded, now, self._ids, dead_post=dead_post, new_post=new_post)

        return await self._about_request(tenant, request_id, judged)

    async def fall_due(self, deadline: Deadline) -> Outcome:
        """Let what is due on a request's time line take effect: escalation, a reminder, its expiry."""
        actor = system("sweep")

        async def judged(loaded: Loaded) -> Decided:
            now, request = self._clock.now(), loaded.request
            moments = due(request, now) if request and request.is_open and not loaded.instance.is_closed else []
            verdicts: tuple[GuardVerdict, ...] = ()
            if request and any(moment.kind == "expire" for moment in moments):
                on_expiry = request.proposal.policy.on_expiry
                transition = loaded.definition.exit_named(loaded.instance.state, on_expiry) if on_expiry else None
                verdicts = await self._verdicts(loaded, transition, actor, {})
                now = self._clock.now()
            found = await self._found(loaded, request, moments, now) if request else Found()
            return fall_due(loaded, actor, verdicts, found, now, self._ids)

        return await self._about_request(deadline.tenant, deadline.request_id, judged)

    async def _request(
        self,
        tenant: str,
        aggregate_id: str,
        name: str,
        actor: Actor,
        evidence: Mapping[str, Any],
        idempotency_key: str | None,
        correlation_id: str | None,
        *,
        is_signal: bool = False,
    ) -> Outcome:
        try:
            clean = redact(accept(evidence), self._redaction, where="evidence")
        except BadEvidence as error:
            return Refused(code="bad_evidence", message=str(error))
        if clash := ADAPTER_KEYS.intersection(evidence):
            return Refused(code="bad_evidence", message=f"evidence.{min(clash)}: only an adapter may attach this")
        try:
            asked = TransitionRequest(
                name=name,
                actor=await self._people.resolved(tenant, actor),
                evidence=clean.value,
                redacted=clean.paths,
                is_signal=is_signal,
                correlation_id=correlation_id,
            )
        except ValidationError as error:
            return _bad_request(error)

        async def judged(loaded: Loaded) -> Decided:
            return decide.decide(loaded, asked, await self._asked(loaded, asked), self._clock.now(), self._ids)

        key = key_of(idempotency_key, "transition", tenant, aggregate_id, asked)
        return await self._about_aggregate(tenant, aggregate_id, judged, key)

    async def _settle(
        self, effect: Effect, result: EffectResult, tries: Callable[[Loaded], Sequence[TransitionRequest]]
    ) -> Outcome:
        async def judged(loaded: Loaded) -> Decided:
            asked = [(request, await self._asked(loaded, request)) for request in tries(loaded)]
            return settling.settle(loaded, effect, result, asked, self._clock.now(), self._ids)

        return await self._about_effect(effect, judged)

    async def _about_aggregate(self, tenant: str, aggregate_id: str, judged: Judged, key: Key | None) -> Outcome:
        return await self._rounds.run(
            lambda: self._store.load_aggregate(tenant, aggregate_id),
            judged,
            key,
            lambda: Refused(code="unknown_instance", message=f"there is no loop instance on {aggregate_id}"),
        )

    async def _about_request(self, tenant: str, request_id: str, judged: Judged, key: Key | None = None) -> Outcome:
        return await self._rounds.run(
            lambda: self._store.load_request(tenant, request_id),
            judged,
            key,
            lambda: Refused(code="unknown_request", message=f"there is no approval request {request_id}"),
        )

    async def _about_effect(self, effect: Effect, judged: Judged, key: Key | None = None) -> Outcome:
        return await self._rounds.run(
            lambda: self._store.load(effect.tenant, effect.instance_id),
            judged,
            key,
            lambda: Refused(code="unknown_instance", message=f"there is no loop instance on {effect.aggregate_id}"),
        )

    def _hidden(self, text: str | None) -> str | None:
        """Return what a person wrote without the secrets in it."""
        return text and str(redact(text, self._redaction).value)

    async def _asked_now(self, tenant: str, loaded: Loaded, by: Human | None) -> Asked:
        """Return what an act of *by* on the loaded request is judged on, now."""
        request = _request_of(loaded)
        on = await self._people.concerned(tenant, request, by)
        return await self._with_absences(tenant, Asked(loaded, request, on.groups, self._clock.now(), on.doubts), by)

    async def _answered_now(self, tenant: str, loaded: Loaded, answer: HumanAnswer) -> tuple[HumanAnswer, Asked]:
        """Return *answer* with its giver as they are known now, and what it is judged on."""
        request = _request_of(loaded)
        known, on = await self._people.known(tenant, request, answer)
        asked = Asked(loaded, request, on.groups, self._clock.now(), on.doubts)
        return known, await self._with_absences(tenant, asked, known.by)

    async def _with_absences(self, tenant: str, asked: Asked, by: Human | None) -> Asked:
        """Return *asked* with whom *by* acts in the stead of, where their own part is not enough."""
        request = asked.request
        if by is None or not request.is_open or request.policy.reassign == "no" or counts_alone(asked, by.user_id):
            return asked
        ways = ways_to(await self._absent.all(tenant, asked.now), by.user_id)
        if not ways:
            return asked
        absences = {absence.person: absence for way in ways for absence in way}
        on = await self._people.concerned(tenant, request, by, absences)
        return replace(asked, groups=on.groups, doubts=on.doubts, absences=tuple(absences.values()))

    async def _answer_verdicts(self, asked: Asked, answer: HumanAnswer) -> tuple[GuardVerdict, ...]:
        """Return what the guards say about the transition that *answer* takes."""
        loaded, request = asked.loaded, asked.request
        if answer.by is None:
            return ()
        actor, evidence = judged_as(request, answer, answer.by)
        offered = request.answer(answer.transition_id)
        return await self._verdicts(
            Loaded(as_edited(loaded, request, answer), loaded.definition, request),
            transition_of(loaded, answer.transition_id),
            actor,
            evidence,
            approves=offered is not None and offered.kind == "approve",
        )

    async def _found(self, loaded: Loaded, request: ApprovalRequest, moments: Sequence[Moment], now: datetime) -> Found:
        """Ask the world what *moments* need: who is on call, and whom the request then waits for."""
        tenant, steps = loaded.instance.tenant, request.proposal.policy.escalate
        if not any(moment.kind in {"escalate", "remind"} for moment in moments):
            return Found()
        on_call: dict[int, tuple[str, ...]] = {}
        for moment in moments:
            schedule = steps[moment.number].on_call if moment.kind == "escalate" else None
            if schedule and self._on_call:
                on_call[moment.number] = tuple(await self._on_call.on_call(tenant, schedule, now))
        request = escalated(request, Found(on_call), now)
        everybody = await self._people.everybody(tenant)
        absences = () if request.policy.reassign == "no" else await self._absent.all(tenant, now)
        away = {absence.person for absence in absences}
        on = await self._people.concerned(tenant, request, None, away)
        asked = Asked(loaded, request, on.groups, now, on.doubts, absences)
        return Found(on_call, whom_it_waits_for(asked, everybody))

    async def _asked(self, loaded: Loaded, asked: TransitionRequest) -> tuple[GuardVerdict, ...]:
        transition = decide.find(loaded, asked)
        if isinstance(transition, Refused):
            return ()
        return await self._verdicts(loaded, transition, asked.actor, asked.evidence)

    async def _verdicts(
        self,
        loaded: Loaded,
        transition: Transition | None,
        actor: Actor,
        evidence: Mapping[str, Any],
        *,
        approves: bool = False,
    ) -> tuple[GuardVerdict, ...]:
        if transition is None:
            return ()
        request = loaded.request
        context = GuardContext(
            actor=actor,
            evidence=evidence,
            instance=loaded.instance,
            now=self._clock.now(),
            transition_id=transition.id,
            approvals=request.decisions if request else (),
            is_approved=approves or (request is not None and request.status == "approved"),
        )
        return await self._judge.judge(transition.guards, context)


def _request_of(loaded: Loaded) -> ApprovalRequest:
    if loaded.request is None:
        raise ValueError("a request was loaded without itself")
    return loaded.request


def _bad_request(error: ValidationError) -> Refused:
    first = error.errors(include_url=False, include_input=False)[0]
    return Refused(
        code="bad_request", message=f"{'.'.join(to_camel(str(step)) for step in first['loc'])}: {first['msg']}"
    )

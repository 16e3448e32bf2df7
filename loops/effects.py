"""Effects: what a commit asks the world to do. Written with the commit, carried out after it, at least once, by id."""

from typing import Literal

from loops.values import Instant, JsonObject, Value

#: `card.*` (the card itself, replies in its thread, direct messages about it to who asked and to who may decide),
#: `notice` and `details.file` go to a channel, `provider.ask` to a provider, `integration.run` to a system of record.
#: `*.alarm` tells whoever runs this of an effect that was given up; one that is given up itself tells nobody.
#: `answer.confirm` finds out who gave an answer, and has it judged.
EffectKind = Literal[
    "card.post",
    "card.update",
    "card.thread",
    "card.direct",
    "card.invite",
    "card.alarm",
    "effect.alarm",
    "notice",
    "details.file",
    "answer.confirm",
    "provider.ask",
    "integration.run",
]

#: Kinds that act for a loop where it stands: when it is cancelled or failed, those that nobody holds and no attempt has
#: begun are cancelled, and whoever holds one looks once more before it acts. What tells people how it stands goes on.
ACTING: tuple[EffectKind, ...] = ("provider.ask", "integration.run")


class Grant(Value):
    """The approval an effect rests on: checked again before it acts, so that what was shown is what runs."""

    request_id: str
    request_version: int
    digest: str


class GivenUp(Value):
    """What an `effect.alarm` tells of: which effect was given up, of what kind, what it was to do, and why."""

    effect_id: str
    kind: EffectKind
    what: str
    error: str


class Effect(Value):
    """
    One thing to do, once. `effect_id` is also the job id and the idempotency key sent outside. `entry` is the
    instance's when it was asked for: a result that comes after the loop left that state is kept and moves nothing.

    `payload` by kind: `card.*` {requestId}, `card.thread` also {sequence} of the event it tells of, `card.direct`
    that and {personId}; `details.file` {requestId, personId, digest, address}; `notice`
    {requestId?, code, message, address, after?}; `answer.confirm` {requestId, answer, told?}, the answer as it came and
    the notice that said it waits; `provider.ask` {state, use, instruction, signals, onFailure?};
    `integration.run` {integration, action, parameters, onSuccess?, onFailure?, decisionSignalId?}.
    """

    effect_id: str
    kind: EffectKind
    tenant: str
    instance_id: str
    aggregate_id: str
    created_at: Instant
    entry: int = 0
    payload: JsonObject
    grant: Grant | None = None


class EffectResult(Value):
    """
    How an effect ended. `fence` is the number the claim was given: a result from an older claim is refused.

    One that did not succeed was given up or, where it `is_cancelled`, did not take place as its loop was called off.
    """

    effect_id: str
    fence: int
    succeeded: bool
    is_cancelled: bool = False
    detail: JsonObject

    @property
    def state(self) -> Literal["succeeded", "dead", "cancelled"]:
        """The state the effect ends in."""
        return "succeeded" if self.succeeded else "cancelled" if self.is_cancelled else "dead"

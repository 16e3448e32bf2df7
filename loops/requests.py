"""What callers ask of the engine, as values: the arguments of the pure decision functions."""

from loops.actors import Actor
from loops.effects import EffectResult
from loops.values import Identifier, JsonObject, Value


class StartRequest(Value):
    """Start a loop on a business object. `redacted` are the paths where secrets were taken out of `data`."""

    tenant: Identifier
    aggregate_id: Identifier
    actor: Actor
    data: JsonObject
    redacted: tuple[str, ...] = ()
    correlation_id: str | None = None


class TransitionRequest(Value):
    """
    Move an instance. `name` is a transition's id or signal.

    `is_signal` puts the signal itself on the ledger, whatever becomes of it. `settles` closes the effect whose result
    this is, in the same commit.
    """

    name: Identifier
    actor: Actor
    evidence: JsonObject
    redacted: tuple[str, ...] = ()
    is_signal: bool = False
    settles: EffectResult | None = None
    correlation_id: str | None = None
    causation_id: str | None = None

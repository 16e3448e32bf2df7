"""Outbox entries: effects that commits left behind and nobody has handed to the job queue yet."""

from dataclasses import dataclass

from loops.effects import EffectKind


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """One effect that waits to be handed over."""

    effect_id: str
    kind: EffectKind

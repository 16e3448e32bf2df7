"""Submissions: what a provider brings in. Intelligence enters here and commits nothing."""

from typing import Annotated

from pydantic import Field

from loops.actors import AiAgent
from loops.evidence import ADAPTER_KEYS, DECISION_KEYS, RESERVED_KEYS
from loops.values import Identifier, JsonObject, Value

_NOT_A_MODELS = ADAPTER_KEYS | DECISION_KEYS | RESERVED_KEYS


class Ask(Value):
    """What a provider is asked: the instruction of the state, what the loop knows, and the signals it may choose."""

    instruction: str
    signals: tuple[Identifier, ...]
    loop_name: str
    aggregate_id: str
    state: str
    data: JsonObject
    evidence: JsonObject


class Submission(Value):
    """A governed proposal by a model. `model_id` is the model that answered; `prompt_hash` is SHA-256 hex."""

    signal: Identifier
    reasoning: Annotated[str, Field(min_length=1, max_length=20_000)]
    confidence: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
    data_points: JsonObject
    model_id: Identifier
    provider: Identifier
    prompt_hash: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]

    def actor(self, on_behalf_of: str | None = None) -> AiAgent:
        """Return the ai-agent that made this submission."""
        return AiAgent(
            id=f"{self.provider}:{self.model_id}",
            display_name=self.model_id,
            model_id=self.model_id,
            provider=self.provider,
            confidence=self.confidence,
            prompt_hash=self.prompt_hash,
            on_behalf_of=on_behalf_of,
        )

    def as_evidence(self) -> dict[str, object]:
        """
        Return the evidence of its transition.

        Data points stand beside the contract's fields, never over them; those named like a finding of ours stand under
        `dataPoints` only.
        """
        own = {
            "reasoning": self.reasoning,
            "confidence": self.confidence,
            "modelId": self.model_id,
            "provider": self.provider,
            "promptHash": self.prompt_hash,
            "dataPoints": self.data_points,
        }
        beside = {name: value for name, value in self.data_points.items() if name not in _NOT_A_MODELS}
        return {**beside, **own}

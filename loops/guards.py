"""Guards: deterministic policy checks before a commit. Every guard is asked; the ledger shows all the reasons."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from reprlib import repr as short
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import Field

from loops.actors import Actor, Human
from loops.definition import GuardRule
from loops.instance import LoopInstance
from loops.values import Value, dotted


class GuardVerdict(Value):
    """What one guard said. Passed verdicts are recorded too; `code` and `message` say why one failed."""

    guard_id: str
    severity: Literal["hard", "soft"]
    evaluated_by: Literal["runtime", "module", "external"] = "runtime"
    passed: bool
    code: str | None = None
    message: str | None = None
    parameters: Mapping[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GuardContext:
    """Everything a runtime guard may look at."""

    actor: Actor
    evidence: Mapping[str, Any]
    instance: LoopInstance
    now: datetime


@dataclass(frozen=True, slots=True)
class Failed:
    """A guard's objection: a stable code and a sentence for people."""

    code: str
    message: str


class NoParameters(Value):
    """A guard that takes no parameters."""


class ConfidenceParameters(Value):
    """`threshold` is the least confidence that passes, in [0, 1]."""

    threshold: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 0.7


class EvidenceParameters(Value):
    """`required_fields` are dotted paths into the evidence."""

    required_fields: Annotated[tuple[str, ...], Field(min_length=1)]


class CooldownParameters(Value):
    """`cooldown_ms` must have passed, strictly, since the instance last moved."""

    cooldown_ms: Annotated[int, Field(ge=0)]


@dataclass(frozen=True, slots=True)
class Guard:
    """One runtime guard: the model its parameters must fit, and the judgement. None means passed."""

    parameters: type[Value]
    judge: Callable[[GuardContext, Any], Failed | None]


def _confidence_threshold(context: GuardContext, rule: ConfidenceParameters) -> Failed | None:
    confidence = context.evidence.get("confidence", 0)
    if not is_confidence(confidence):
        return Failed("confidence_below_threshold", f"confidence {short(confidence)} is not a number from 0 to 1")
    if confidence >= rule.threshold:
        return None
    return Failed("confidence_below_threshold", f"confidence {confidence:g} is below the threshold {rule.threshold:g}")


def _human_only(context: GuardContext, _: NoParameters) -> Failed | None:
    match context.actor:
        case Human(authenticated_by=str()):
            return None
        case Human():
            return Failed("human_actor_required", "no channel has verified who this human is")
        case actor:
            return Failed("human_actor_required", f"only a human may do this, not the {actor.type} {actor.name}")


def _evidence_required(context: GuardContext, rule: EvidenceParameters) -> Failed | None:
    missing = [path for path in rule.required_fields if _is_blank(dotted(context.evidence, path))]
    if not missing:
        return None
    return Failed("missing_evidence_fields", f"evidence lacks {', '.join(missing)}")


def _cooldown(context: GuardContext, rule: CooldownParameters) -> Failed | None:
    last = context.instance.last_transition_at
    wait = timedelta(milliseconds=rule.cooldown_ms)
    if last is None or context.now - last > wait:
        return None
    return Failed("cooldown_not_elapsed", f"the loop moved at {last:%H:%M:%S} UTC; wait until {last + wait:%H:%M:%S}")


#: The runtime guards every installation has.
RUNTIME_GUARDS: Mapping[str, Guard] = MappingProxyType(
    {
        "confidence-threshold": Guard(ConfidenceParameters, _confidence_threshold),
        "human-only": Guard(NoParameters, _human_only),
        "evidence-required": Guard(EvidenceParameters, _evidence_required),
        "cooldown": Guard(CooldownParameters, _cooldown),
    }
)


def judge(
    rules: Sequence[GuardRule], context: GuardContext, guards: Mapping[str, Guard] = RUNTIME_GUARDS
) -> tuple[GuardVerdict, ...]:
    """Ask every guard in order. An unknown guard, bad parameters or an error inside a guard fails closed."""
    return tuple(_verdict(rule, context, guards) for rule in rules)


def is_confidence(value: Any) -> bool:
    """Return whether *value* is a finite number in [0, 1]; True, "0.9" and [1] are not."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1


def _verdict(rule: GuardRule, context: GuardContext, guards: Mapping[str, Guard]) -> GuardVerdict:
    failed = _ask(rule, context, guards)
    return GuardVerdict(
        guard_id=rule.id,
        severity=rule.severity,
        evaluated_by=rule.evaluated_by,
        passed=failed is None,
        code=failed.code if failed else None,
        message=(rule.failure_message or failed.message) if failed else None,
        parameters=rule.parameters,
    )


def _ask(rule: GuardRule, context: GuardContext, guards: Mapping[str, Guard]) -> Failed | None:
    guard = guards.get(rule.id) if rule.evaluated_by == "runtime" else None
    if guard is None:
        return Failed("guard_unavailable", f"guard '{rule.id}' ({rule.evaluated_by}) is not registered here")
    try:
        return guard.judge(context, guard.parameters.model_validate(rule.parameters))
    except Exception as error:
        return Failed("guard_error", f"guard '{rule.id}' could not judge: {type(error).__name__}")


def _is_blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())

"""
Runtime guards: those every installation has. Pure, synchronous, strict: no type is taken for another.

Where what a guard judges by may come from several sources, the rule's parameters win over evidence: a definition is
reviewed, evidence is what the caller says. A path that begins with ``data.`` is looked up in what the instance was
started with, any other in the evidence of this request; one may say ``evidence.`` in front.
"""

import math
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from reprlib import repr as short
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, ValidationError, field_validator, model_validator

from loops.actors import Human
from loops.expressions import ExpressionError, TooCostly, compile_expression
from loops.guards import Failed, Guard, GuardContext, NoParameters, is_confidence
from loops.values import Identifier, Value, dotted

#: A dotted path to a field, such as ``approver.id`` or ``data.amount``.
Path = Annotated[str, StringConstraints(min_length=1, max_length=200)]

_MISSING = object()


class ConfidenceParameters(Value):
    """`threshold` is the least confidence that passes, in [0, 1]."""

    threshold: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 0.7


class EvidenceParameters(Value):
    """`required_fields` are dotted paths into the evidence."""

    required_fields: Annotated[tuple[Path, ...], Field(min_length=1)]


class CooldownParameters(Value):
    """`cooldown_ms` must have passed, strictly, since the instance last moved."""

    cooldown_ms: Annotated[int, Field(ge=0, le=10**12)]


class PermissionParameters(Value):
    """`required_role` is the role the actor needs; where the rule names none, evidence.required_role does."""

    required_role: Identifier | None = None


class DeadlineParameters(Value):
    """The instant to be kept: `deadline_iso`, or what stands at the dotted path `field`."""

    deadline_iso: str | None = None
    field: Path = "deadline_iso"

    @field_validator("deadline_iso")
    @classmethod
    def _is_instant(cls, text: str | None) -> str | None:
        if text is not None and _instant(text) is None:
            raise ValueError(f"{text!r} is not an instant with a time zone; write it like 2026-11-22T17:00:00Z")
        return text


class Constraint(Value):
    """What a field's value must be. gt and lt compare numbers; eq and in compare values of one type."""

    field: Path
    operator: Literal["eq", "gt", "lt", "in"]
    value: Any

    @model_validator(mode="after")
    def _value_fits_operator(self) -> Self:
        if self.operator in {"gt", "lt"} and not _is_number(self.value):
            raise ValueError(f"{self.operator} compares with a number")
        if self.operator == "in" and not isinstance(self.value, (list, tuple)):
            raise ValueError("in compares with a list of values")
        return self


class ConstraintParameters(Value):
    """The `constraint`; where the rule has none, evidence.constraint is it."""

    constraint: Constraint | None = None


class ExpressionParameters(Value):
    """`expression` is CEL and must come to true; `message` is what people read where it does not."""

    expression: Annotated[str, StringConstraints(min_length=1)]
    message: str | None = None

    @field_validator("expression")
    @classmethod
    def _compiles(cls, text: str) -> str:
        compile_expression(text)
        return text


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


def _approval_obtained(context: GuardContext, _: NoParameters) -> Failed | None:
    """Judge by the record: ``approved`` in evidence counts only as the word of a human whom a channel verified."""
    if context.is_approved:
        return None
    match context.actor:
        case Human(authenticated_by=str()) if context.evidence.get("approved") is True:
            return None
        case _:
            return Failed("approval_not_obtained", "no human's approval is on record for this")


def _actor_has_permission(context: GuardContext, rule: PermissionParameters) -> Failed | None:
    """Judge by the roles the directory gave a verified human; no other actor has roles, whatever it says of itself."""
    role = rule.required_role or context.evidence.get("required_role")
    if not isinstance(role, str) or not role.strip():
        return Failed("actor_lacks_permission", "neither the rule nor evidence.required_role names the role it needs")
    match context.actor:
        case Human(authenticated_by=str(), roles=roles) if role in roles:
            return None
        case actor:
            return Failed("actor_lacks_permission", f"{actor.name} does not have the role {short(role)}")


def _deadline_not_exceeded(context: GuardContext, rule: DeadlineParameters) -> Failed | None:
    written = rule.deadline_iso or _looked_up(context, rule.field)
    deadline = _instant(written)
    if deadline is None:
        reason = "is missing" if written is _MISSING else f"{short(written)} is not an instant with a time zone"
        return Failed("deadline_exceeded", f"the deadline {rule.field} {reason}")
    if context.now < deadline:
        return None
    return Failed("deadline_exceeded", f"the deadline was {deadline.isoformat()}")


def _duplicate_check_passed(context: GuardContext, _: NoParameters) -> Failed | None:
    """Judge by every source: one that found a duplicate counts, and none can talk it away in its evidence."""
    for source in (context.evidence, context.instance.evidence):
        found = source.get("duplicate_found", False)
        if found is True:
            return Failed("duplicate_found", "a duplicate was found")
        if found is not False and found is not None:
            return Failed("duplicate_found", f"duplicate_found is {short(found)}, neither true nor false")
    return None


def _field_value_constraint(context: GuardContext, rule: ConstraintParameters) -> Failed | None:
    constraint = rule.constraint or _constraint_in(context.evidence)
    if constraint is None:
        return Failed(
            "field_value_not_allowed", "neither the rule nor the evidence holds a constraint that can be read"
        )
    value = _looked_up(context, constraint.field)
    if value is _MISSING:
        return Failed("field_value_not_allowed", f"{constraint.field} is missing")
    if _OPERATORS[constraint.operator](value, constraint.value):
        return None
    must = f"{constraint.field} is {short(value)}; it must be {_WORDS[constraint.operator]} {short(constraint.value)}"
    return Failed("field_value_not_allowed", must)


def _expression(context: GuardContext, rule: ExpressionParameters) -> Failed | None:
    expression = compile_expression(rule.expression)
    try:
        if expression.holds({root: _SCOPE[root](context) for root in expression.roots}):
            return None
    except TooCostly as error:
        return Failed("expression_too_costly", f"the expression was not judged: {error}", judged=False)
    except ExpressionError as error:
        return Failed("expression_error", f"the expression was not judged: {error}", judged=False)
    return Failed("expression_false", rule.message or f"this does not hold: {short(rule.expression)}")


_SCOPE: Mapping[str, Callable[[GuardContext], Any]] = {
    "actor": lambda context: context.actor.as_json(),
    "approvals": lambda context: [decision.as_json() for decision in context.approvals],
    "data": lambda context: context.instance.data,
    "evidence": lambda context: context.evidence,
    "instance": lambda context: context.instance.model_dump(
        mode="json",
        exclude_none=True,
        exclude={"data", "head", "held_results", "tenant"},
    ),
    "now": lambda context: context.now,
}


def _eq(value: Any, wanted: Any) -> bool:
    """Whether two JSON values are equal: true is not 1, "1" is not 1, 1.0 is 1."""
    if isinstance(value, bool) or isinstance(wanted, bool):
        return value is wanted
    match value, wanted:
        case (int() | float(), int() | float()):
            return value == wanted
        case (list() | tuple(), list() | tuple()):
            return len(value) == len(wanted) and all(map(_eq, value, wanted))
        case Mapping(), Mapping():
            return value.keys() == wanted.keys() and all(_eq(value[key], wanted[key]) for key in value)
        case _:
            return type(value) is type(wanted) and bool(value == wanted)


_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": _eq,
    "gt": lambda value, wanted: _is_number(value) and value > wanted,
    "lt": lambda value, wanted: _is_number(value) and value < wanted,
    "in": lambda value, wanted: any(_eq(value, each) for each in wanted),
}
_WORDS = {"eq": "equal to", "gt": "greater than", "lt": "less than", "in": "one of"}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _instant(value: Any) -> datetime | None:
    # A date alone is none: nobody can say at which moment of it, or where, it ends.
    if not isinstance(value, str) or "T" not in value:
        return None
    try:
        read = datetime.fromisoformat(value)
    except ValueError:
        return None
    return read if read.utcoffset() is not None else None


def _looked_up(context: GuardContext, path: str) -> Any:
    root, _, rest = path.partition(".")
    here: Any = context.evidence
    if rest and root == "data":
        here, path = context.instance.data, rest
    elif rest and root == "evidence":
        path = rest
    for step in path.split("."):
        if not isinstance(here, Mapping) or step not in here:
            return _MISSING
        here = here[step]
    return here


def _constraint_in(evidence: Mapping[str, Any]) -> Constraint | None:
    try:
        return Constraint.model_validate(evidence.get("constraint"))
    except ValidationError:
        return None


def _is_blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


#: The runtime guards every installation has.
RUNTIME_GUARDS: Mapping[str, Guard] = MappingProxyType(
    {
        "confidence-threshold": Guard(ConfidenceParameters, _confidence_threshold),
        "human-only": Guard(NoParameters, _human_only),
        "evidence-required": Guard(EvidenceParameters, _evidence_required),
        "cooldown": Guard(CooldownParameters, _cooldown),
        "approval_obtained": Guard(NoParameters, _approval_obtained),
        "actor_has_permission": Guard(PermissionParameters, _actor_has_permission),
        "deadline_not_exceeded": Guard(DeadlineParameters, _deadline_not_exceeded),
        "duplicate_check_passed": Guard(NoParameters, _duplicate_check_passed),
        "field_value_constraint": Guard(ConstraintParameters, _field_value_constraint),
        "expression": Guard(ExpressionParameters, _expression),
    }
)

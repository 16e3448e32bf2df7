"""
Learning: the signal a completed loop leaves behind, to compare what was predicted with what came about.

The definition's outcome names the business metrics that count; nothing else is kept. Where figures come from:

- predicted: `evidence.predicted`, a mapping by metric id; failing that, a number in the evidence under the metric's own
  id, such as an analyst's ``blast_radius_score``.
- actual: what Loopgate measures itself (`MEASURED`); else `actual` in an integration's result; else `evidence.actual`.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from loops.definition import LoopDefinition
from loops.instance import LoopInstance

#: Warnings one signal carries, and characters of a name shown in one: whoever submits evidence chooses the names.
WARNINGS_MAX = 20
_NAME_SHOWN = 100

_Measure = Callable[[LoopInstance, datetime], timedelta | None]


def _cycle(instance: LoopInstance, completed_at: datetime) -> timedelta:
    return completed_at - instance.started_at


def _to_approve(instance: LoopInstance, _: datetime) -> timedelta | None:
    asked, approved = instance.asked_at, instance.approved_at
    return approved - asked if asked and approved else None


def _to_decision(instance: LoopInstance, _: datetime) -> timedelta | None:
    asked, decided = instance.asked_at, instance.decided_at
    return decided - asked if asked and decided else None


_UNITS = MappingProxyType({"minutes": timedelta(minutes=1), "hours": timedelta(hours=1), "days": timedelta(days=1)})
_SPANS: Mapping[str, _Measure] = MappingProxyType(
    {"cycle_time": _cycle, "time_to_approve": _to_approve, "time_to_decision": _to_decision}
)

#: Metrics that Loopgate measures itself: ``cycle_time_*`` from start to completion, ``time_to_approve_*`` from the
#: first approval request to the last approval, ``time_to_decision_*`` to the last answer of any kind; each in
#: minutes, hours and days. Source of ``cycle_time_days``: facts/loop-engine-contract, "Learning signal".
MEASURED: Mapping[str, tuple[_Measure, timedelta]] = MappingProxyType(
    {f"{span}_{unit}": (measure, size) for span, measure in _SPANS.items() for unit, size in _UNITS.items()}
)


def learning_signal(definition: LoopDefinition, instance: LoopInstance, completed_at: datetime) -> dict[str, Any]:
    """
    Return the learning signal of a completed instance (fields: facts/loop-engine-contract, "Learning signal").

    `warnings` says which figures were predicted or reported and not kept, and why; absent where there are none.
    """
    metrics = [metric.id for metric in definition.outcome.business_metrics] if definition.outcome else []
    evidence = instance.evidence
    predicted = _numbers(evidence, metrics) | _numbers(evidence.get("predicted"), metrics)
    reported = _reported(evidence)
    actual = _numbers(evidence.get("actual"), metrics) | _numbers(reported, metrics)
    actual |= _measured(instance, completed_at, metrics)
    warnings = [
        *_dropped("predicted", evidence.get("predicted"), metrics),
        *_dropped("actual", evidence.get("actual"), metrics),
        *_dropped("integration.result.actual", reported, metrics),
    ]
    signal: dict[str, Any] = {
        "loopId": definition.id,
        "aggregateId": instance.aggregate_id,
        "loopName": definition.name,
        "completedAt": completed_at.isoformat(),
        "durationMs": round((completed_at - instance.started_at).total_seconds() * 1000),
        "transitionCount": sum(instance.moves.values()),
        "businessMetricIds": metrics,
        "actorSummary": [
            {"actorType": actor_type, "transitionCount": count} for actor_type, count in instance.moves.items()
        ],
    }
    if predicted:
        signal["predicted"] = predicted
    if actual:
        signal["actual"] = actual
    if shared := predicted.keys() & actual.keys():
        signal["delta"] = _differences(actual, predicted, sorted(shared))
    if len(warnings) > WARNINGS_MAX:
        warnings[WARNINGS_MAX:] = [f"and {len(warnings) - WARNINGS_MAX} more"]
    if warnings:
        signal["warnings"] = warnings
    return signal


def _measured(instance: LoopInstance, completed_at: datetime, wanted: list[str]) -> dict[str, float]:
    measures = {name: MEASURED[name] for name in wanted if name in MEASURED}
    spans = {name: (measure(instance, completed_at), size) for name, (measure, size) in measures.items()}
    return {name: span / size for name, (span, size) in spans.items() if span is not None}


def _reported(evidence: Mapping[str, Any]) -> Any:
    """Return what the integration that ran last says came about."""
    integration = evidence.get("integration")
    result = integration.get("result") if isinstance(integration, Mapping) else None
    return result.get("actual") if isinstance(result, Mapping) else None


def _dropped(where: str, values: Any, wanted: list[str]) -> Iterator[str]:
    """Yield a warning for every figure in *values* that is not kept."""
    if values is None:
        return
    if not isinstance(values, Mapping):
        yield f"{where}: not figures by the ids of business metrics; dropped"
        return
    for name, value in values.items():
        if name not in wanted:
            yield f"{where}.{name[:_NAME_SHOWN]}: not a business metric of this loop; dropped"
        elif not _is_number(value):
            yield f"{where}.{name[:_NAME_SHOWN]}: not a number; dropped"


def _differences(actual: Mapping[str, float], predicted: Mapping[str, float], names: list[str]) -> dict[str, float]:
    # Two numbers of JSON may differ by none: 1e308 and -1e308. What cannot be written must not keep a loop from ending.
    differences = {name: float(actual[name]) - float(predicted[name]) for name in names}
    return {name: difference for name, difference in differences.items() if math.isfinite(difference)}


def _numbers(values: Any, wanted: list[str]) -> dict[str, float]:
    if not isinstance(values, Mapping):
        return {}
    return {name: values[name] for name in wanted if _is_number(values.get(name))}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)

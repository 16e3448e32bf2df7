"""Learning: the signal a completed loop leaves behind, to compare what was predicted with what came about."""

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from loops.definition import LoopDefinition
from loops.instance import LoopInstance

_MS_PER_DAY = 86_400_000


def learning_signal(definition: LoopDefinition, instance: LoopInstance, completed_at: datetime) -> dict[str, Any]:
    """
    Return the learning signal of a completed instance (fields: facts/loop-engine-contract, "Learning signal").

    Predicted and actual values are those of `evidence.predicted` and `evidence.actual` that the definition's outcome
    names as business metrics; the rest is dropped. `cycle_time_days` is ours to measure.
    """
    metrics = [metric.id for metric in definition.outcome.business_metrics] if definition.outcome else []
    duration_ms = round((completed_at - instance.started_at).total_seconds() * 1000)
    predicted = _numbers(instance.evidence.get("predicted"), metrics)
    actual = _numbers(instance.evidence.get("actual"), metrics)
    if "cycle_time_days" in metrics:
        actual["cycle_time_days"] = duration_ms / _MS_PER_DAY
    signal: dict[str, Any] = {
        "loopId": definition.id,
        "aggregateId": instance.aggregate_id,
        "loopName": definition.name,
        "completedAt": completed_at.isoformat(),
        "durationMs": duration_ms,
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
    return signal


def _differences(actual: Mapping[str, float], predicted: Mapping[str, float], names: list[str]) -> dict[str, float]:
    # Two numbers of JSON may differ by none: 1e308 and -1e308. What cannot be written must not keep a loop from ending.
    differences = {name: float(actual[name]) - float(predicted[name]) for name in names}
    return {name: difference for name, difference in differences.items() if math.isfinite(difference)}


def _numbers(values: Any, wanted: list[str]) -> dict[str, float]:
    if not isinstance(values, Mapping):
        return {}
    return {
        name: values[name]
        for name in wanted
        if isinstance(values.get(name), (int, float)) and not isinstance(values[name], bool)
    }

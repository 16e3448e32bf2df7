"""What a store in memory gives out: nobody's change of it reaches the store."""

from collections.abc import Callable
from typing import Any

import pytest
from builders import DATA, an_agent, an_instance, ci

from gateway.storage.frozen import frozen
from loops.frozen import ARRAYS, OBJECTS, FrozenDict, FrozenList, SpelledDict
from loops.instance import LoopInstance
from loops.requests import TransitionRequest
from loops.values import Value

INSTANCE = an_instance(
    data={**DATA, "nested": {"list": [{"a": 1}]}},
    evidence={"scores": [1, 2]},
    requester=ci().changed(metadata={"team": {"name": "a"}}),
    submitter=an_agent(),
    moves={"human": 1},
    held_results=((TransitionRequest(name="go", actor=ci(), evidence={"integration": {"x": [1]}}),),),
)


def _insides(value: Any) -> list[Any]:
    """Return every object and array anywhere in *value*."""
    if isinstance(value, Value):
        return [each for item in vars(value).values() for each in _insides(item)]
    if isinstance(value, dict):
        return [value, *(each for item in value.values() for each in _insides(item))]
    if isinstance(value, (list, tuple)):
        return [value, *(each for item in value for each in _insides(item))]
    return []


def test_everything_in_a_kept_value_is_frozen() -> None:
    """Whatever field it stands in, and however deep; the value is the same, and so is its JSON."""
    kept = frozen(INSTANCE)

    assert kept == INSTANCE
    assert kept.model_dump_json() == INSTANCE.model_dump_json()
    assert {type(each) for each in _insides(kept)} <= {FrozenDict, FrozenList, SpelledDict, tuple}
    assert {type(each) for each in _insides(INSTANCE)} <= OBJECTS | ARRAYS


@pytest.mark.parametrize(
    "brought", [{"evidence": {"new": []}}, {"moves": {"human": 2}}, {"submitter": ci().changed(metadata={"x": []})}]
)
def test_what_a_change_brings_is_frozen_and_the_rest_is_shared(brought: dict[str, Any]) -> None:
    """Beside the value kept before, only what is new is looked at: all of it is frozen nevertheless."""
    before = frozen(INSTANCE)
    kept = frozen(before.changed(data=before.data).after(data=before.data, **brought), before)

    assert {type(each) for each in _insides(kept)} <= {FrozenDict, FrozenList, SpelledDict, tuple}
    assert kept.data is before.data


def test_what_is_frozen_is_kept_as_it_is() -> None:
    """Freezing again makes no copy."""
    kept = frozen(INSTANCE)

    assert frozen(kept) is kept


@pytest.mark.parametrize(
    "change", [lambda kept: kept.data["nested"]["list"].append(1), lambda kept: kept.moves.update(human=9)]
)
def test_nobody_changes_it(change: Callable[[LoopInstance], Any]) -> None:
    """An attempt says what to do instead."""
    with pytest.raises(TypeError, match="make a copy of it"):
        change(frozen(INSTANCE))

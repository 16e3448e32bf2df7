"""Frozen JSON: shared without a copy, because nobody can change it; to everybody else it is plain JSON."""

import copy
import json
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from builders import person

from loops.canonical import canonical_text
from loops.evidence import accept
from loops.frozen import FrozenDict, FrozenList, frozen_json
from loops.requests import TransitionRequest

PLAIN: dict[str, Any] = {"b": [1, {"c": "é"}], "a": {"x": None, "y": (True, 0.5)}}
CHANGES: list[Callable[[Any], Any]] = [
    lambda kept: kept.update(z=1),
    lambda kept: kept.__setitem__("z", 1),
    lambda kept: kept.pop("a"),
    lambda kept: kept["a"].setdefault("z", 1),
    lambda kept: kept["b"].append(1),
    lambda kept: kept["b"][1].clear(),
    lambda kept: kept["a"]["y"].sort(),
]


@pytest.mark.parametrize("change", CHANGES)
def test_nothing_in_it_can_be_changed(change: Callable[[Any], Any]) -> None:
    """Neither the object nor anything inside it, accepted as evidence or frozen for keeping."""
    for kept in (accept(PLAIN), frozen_json(PLAIN)):
        with pytest.raises(TypeError, match="frozen cannot be changed"):
            change(kept)


def test_to_others_it_is_plain_json() -> None:
    """It equals what it was made of, is written like it, and a copy of it may be changed."""
    kept = accept(PLAIN)

    assert json.loads(json.dumps(kept)) == json.loads(json.dumps(PLAIN))
    assert kept.canonical == canonical_text(kept) == canonical_text(PLAIN)
    assert kept.at_most == len(canonical_text(PLAIN).encode())
    for copied in (copy.deepcopy(kept), pickle.loads(pickle.dumps(kept)), kept | {}):
        assert (type(copied), copied) == (dict, kept)


def test_what_came_in_may_change_afterwards() -> None:
    """The caller's own dict is not ours: a later change of it reaches nothing that was accepted."""
    given = {"list": [1], "object": {"a": 1}}
    kept = accept(given)
    given["list"].append(2)  # type: ignore[attr-defined]

    assert kept == {"list": [1], "object": {"a": 1}}


def test_it_is_frozen_once() -> None:
    """What is frozen is shared as it is, in values too; a plain object in a value is a copy of its own."""
    kept, plain = accept(PLAIN), {"a": 1}

    assert frozen_json(kept) is kept
    assert TransitionRequest(name="go", actor=person("dana"), evidence=kept).evidence is kept
    assert TransitionRequest(name="go", actor=person("dana"), evidence=plain).evidence is not plain
    assert type(frozen_json({"a": [{}]})["a"]) is FrozenList
    assert type(frozen_json({"a": [{}]})["a"][0]) is FrozenDict

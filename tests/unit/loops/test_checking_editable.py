"""Editable rules: what the check accepts can be applied to whatever an approver types."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from loops.editable import EditRule, editable_problems
from loops.editing import Edited, edit

SCALARS = st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-5, 5) | st.text("ab\n", max_size=4)
RULES = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["integer", "number", "string", "boolean", "int"]),
        "minimum": SCALARS,
        "maximum": SCALARS,
        "enum": st.none() | st.lists(SCALARS, max_size=3),
        "minLength": st.none() | st.integers(-1, 3),
        "maxLength": st.none() | st.integers(0, 4_000),
        "pattern": st.sampled_from([None, "^a+$", "^[ab]{0,3}$", "b", "(a+)+$", "["]),
    },
)


@given(RULES, SCALARS)
def test_an_accepted_rule_judges_any_value(rule: dict[str, Any], value: Any) -> None:
    """Nothing an approver sends makes a checked rule fail; it is taken or refused in words."""
    if list(editable_problems({"n": rule}, ())):
        return

    found = edit({"n": "before"}, {"n": value}, {"n": rule})

    assert isinstance(found, Edited) or all(isinstance(sentence, str) for sentence in found)


@given(RULES.filter(lambda rule: rule.get("enum")))
def test_every_choice_offered_can_be_chosen(rule: dict[str, Any]) -> None:
    """A choice that the other bounds rule out is a problem of the rule, not of who picks it."""
    if list(editable_problems({"n": rule}, ())) or "pattern" in rule:
        return

    for choice in rule["enum"]:
        assert isinstance(edit({}, {"n": choice}, {"n": rule}), Edited)


@pytest.mark.parametrize("key", list(EditRule.model_json_schema(by_alias=True)["properties"]))
def test_null_is_no_rule(key: str) -> None:
    """A key that says nothing is left out: null is refused where it stands, by the check and by the file schema."""
    rule = {"type": "integer", "enum": [0], key: None}

    (found,) = editable_problems({"n": rule}, ("approval", "editable"))

    assert (found.code, found.path) == ("INVALID_EDITABLE", f"approval.editable.n.{key}")
    assert found.message == "must not be null; leave the key out where it says nothing"
    assert not Draft202012Validator(EditRule.model_json_schema(by_alias=True)).is_valid(rule)


def test_the_end_of_a_pattern_is_the_end_of_the_text() -> None:
    """A line break after the last allowed character is not allowed either."""
    rules = {"note": {"type": "string", "pattern": "^[a-z]+$"}}

    assert isinstance(edit({}, {"note": "abc"}, rules), Edited)
    assert edit({}, {"note": "abc\n"}, rules) == ["note must match ^[a-z]+$"]


def test_a_pattern_nobody_checked_cannot_stall_an_answer() -> None:
    """Where a definition never went through the check, an unsafe pattern refuses instead of running."""
    refused = edit({}, {"note": "a" * 40 + "!"}, {"note": {"type": "string", "pattern": "^(a+)+$"}})

    assert refused == ["note must match ^(a+)+$"]


@pytest.mark.parametrize("key", list(EditRule.model_json_schema(by_alias=True)["properties"]))
def test_every_rule_there_is_has_an_effect(key: str) -> None:
    """No key of a rule is accepted by the check and then ignored when somebody edits."""
    refused = {
        "type": ({"type": "integer"}, "x"),
        "minimum": ({"type": "number", "minimum": 2}, 1),
        "maximum": ({"type": "number", "maximum": 2}, 3),
        "enum": ({"enum": ["a"]}, "b"),
        "minLength": ({"minLength": 2}, "a"),
        "maxLength": ({"maxLength": 2}, "aaa"),
        "pattern": ({"pattern": "^a"}, "b"),
    }
    rule, value = refused[key]

    assert list(editable_problems({"n": rule}, ())) == []
    assert not isinstance(edit({}, {"n": value}, {"n": rule}), Edited)

"""Editing: only what the policy lets be edited, typed and bounded."""

import pytest

from loops.editing import Edited, edit

EDITABLE = {
    "parameters.max_replicas": {"type": "integer", "minimum": 1, "maximum": 20},
    "window": {"type": "string", "enum": ["night", "weekend"]},
    "note": {"type": "string", "maxLength": 10, "pattern": "^[a-z]*$"},
    "dry_run": {"type": "boolean"},
    "ratio": {"type": "number"},
}
DATA = {"service": "checkout", "parameters": {"max_replicas": 12, "min_replicas": 2}, "dry_run": False}


def test_an_edit_changes_one_value_and_nothing_beside_it() -> None:
    """A nested value is replaced; its neighbours and the original stay; the change says old and new."""
    edited = edit(DATA, {"parameters.max_replicas": 8}, EDITABLE)

    assert isinstance(edited, Edited)
    assert edited.data["parameters"] == {"max_replicas": 8, "min_replicas": 2}
    assert DATA["parameters"]["max_replicas"] == 12
    assert [(c.path, c.old, c.new) for c in edited.changes] == [("parameters.max_replicas", 12, 8)]


def test_a_value_that_was_there_already_is_no_change() -> None:
    """The same value again changes nothing."""
    edited = edit(DATA, {"parameters.max_replicas": 12}, EDITABLE)

    assert isinstance(edited, Edited)
    assert edited.changes == ()


@pytest.mark.parametrize(
    ("edits", "problem"),
    [
        ({"service": "payments"}, "not among what may be edited"),
        ({"parameters": {}}, "not among what may be edited"),
        ({"parameters.max_replicas": 21}, "at most 20"),
        ({"parameters.max_replicas": 0}, "at least 1"),
        ({"parameters.max_replicas": "8"}, "must be an integer"),
        ({"parameters.max_replicas": True}, "must be an integer"),
        ({"parameters.max_replicas": 8.0}, "must be an integer"),
        ({"window": "noon"}, "one of night, weekend"),
        ({"note": "UPPER"}, "must match"),
        ({"note": "a" * 11}, "at most 10 characters"),
        ({"dry_run": 1}, "must be a boolean"),
        ({"ratio": False}, "must be a number"),
    ],
)
def test_what_the_policy_does_not_allow_is_refused_by_name(edits, problem) -> None:
    """A path, type or bound that does not fit is named, and nothing is edited."""
    found = edit(DATA, edits, EDITABLE)

    assert isinstance(found, list)
    assert problem in found[0]
    assert next(iter(edits)) in found[0]


def test_true_is_not_one() -> None:
    """JSON's true and 1 are different values, whatever Python thinks."""
    edited = edit({"dry_run": 1}, {"dry_run": True}, EDITABLE)

    assert isinstance(edited, Edited)
    assert len(edited.changes) == 1

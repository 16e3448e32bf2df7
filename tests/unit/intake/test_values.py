"""Values taken with care: defaults, types, expressions, filters, cancellations."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.intake.coercion import Unfit, read_as
from gateway.intake.config import SourceConfig
from gateway.intake.mapping import CancelCommand, Ignored, Problems, StartCommand, interpret


def a_source(data: dict[str, Any] | None = None, **said: Any) -> SourceConfig:
    rule = {"start": {"loop": "a.loop", "aggregateId": "A-1", "data": data or {}}}
    known = {"verifier": "github", "secretEnv": "S", "actor": {"serviceId": "desk"}, "rules": [rule]}
    return SourceConfig.model_validate(known | said)


def taken(value: dict[str, Any], body: dict[str, Any]) -> Any:
    """Return what *value* comes to on *body*, or why it comes to nothing."""
    meaning = interpret(a_source({"x": value}), body, {"h": "1"})
    return meaning.data["x"] if isinstance(meaning, StartCommand) else meaning


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"path": "n"}, 3),
        ({"path": "gone", "default": 1}, 1),
        ({"path": "null", "default": "none"}, "none"),
        ({"path": "zero", "default": 9}, 0),
        ({"path": "text", "as": "integer"}, 12),
        ({"path": "gone", "default": "7", "as": "integer"}, 7),
        ({"expr": "body.n + 1"}, 4),
        ({"expr": "body.list.exists(x, x > 1)"}, True),
        ({"expr": "body.gone.deeper", "default": "d"}, "d"),
        ({"expr": "has(body.gone) ? body.gone : 'none'"}, "none"),
        ({"expr": "headers['h']", "as": "integer"}, 1),
        ({"expr": "{'n': body.n, 'all': body.list}"}, {"n": 3, "all": [1, 2]}),
    ],
)
def test_value_is_path_or_expression_with_default_and_type(value: dict[str, Any], expected: Any) -> None:
    """A default stands in for what is missing or null, never for what is merely zero."""
    body = {"n": 3, "null": None, "zero": 0, "text": "12", "list": [1, 2]}

    assert taken(value, body) == expected


@pytest.mark.parametrize(
    ("value", "field", "why"),
    [
        ({"path": "gone"}, "gone", "is missing"),
        ({"path": "text", "as": "integer"}, "text", "whole number"),
        ({"expr": "body.gone"}, "x (expr)", "is missing"),
        ({"expr": "body.text + 1"}, "x (expr)", "cannot be computed"),
        ({"expr": "timestamp('2026-11-22T10:00:00Z')"}, "x (expr)", "comes to no JSON"),
        ({"expr": "1.0 / 0.0"}, "x (expr)", "comes to no JSON"),
    ],
)
def test_value_that_cannot_be_had_is_refused_by_name(value: dict[str, Any], field: str, why: str) -> None:
    """The sender is told which value, and why; nothing is guessed."""
    meaning = taken(value, {"text": "twelve"})

    assert isinstance(meaning, Problems)
    assert why in meaning.fields[field]


def test_missing_value_of_an_optional_field_is_left_out() -> None:
    """A field named with a question mark needs no default."""
    meaning = interpret(a_source({"x?": {"path": "gone"}, "y?": {"expr": "body.gone"}}), {}, {})

    assert isinstance(meaning, StartCommand)
    assert meaning.data == {}


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("integer", "-12", -12),
        ("integer", 8.0, 8),
        ("number", "1.5e3", 1500.0),
        ("number", 7, 7),
        ("boolean", "true", True),
        ("boolean", False, False),
        ("text", 7, "7"),
        ("text", True, "true"),
        ("text", "as it is ", "as it is "),
    ],
)
def test_text_is_read_as_what_it_says(kind: Any, value: Any, expected: Any) -> None:
    """Senders that write everything as text are understood."""
    read = read_as(kind, value)

    assert read == expected
    assert type(read) is type(expected)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        *(
            ("integer", wrong)
            for wrong in ["", " 1", "1 ", "1.0", "0x1", "01", "1_000", "١", "9" * 30, 1.5, True, None, [1]]
        ),
        *(("number", wrong) for wrong in ["", "NaN", "Infinity", "1e999", "1,5", ".5", "1.", True, None, {}]),
        *(("boolean", wrong) for wrong in ["True", "yes", "1", "", 1, 0, None]),
        *(("text", wrong) for wrong in [None, [], {}]),
    ],
)
def test_what_does_not_say_one_is_not_guessed(kind: Any, value: Any) -> None:
    """Nothing is rounded, trimmed or taken for something else."""
    with pytest.raises(Unfit):
        read_as(kind, value)


@given(st.integers(-(10**18), 10**18))
def test_every_integer_survives_being_text(number: int) -> None:
    """What is written as text reads as the same number."""
    assert read_as("integer", str(number)) == number
    assert read_as("text", number) == str(number)


def test_filter_ignores_what_it_does_not_hold_of() -> None:
    """A filter keeps out what no rule should see; the sender is told it was the filter."""
    source = a_source(filter='body.kind == "wanted" && headers["h"] == "1"')

    assert isinstance(interpret(source, {"kind": "wanted"}, {"h": "1"}), StartCommand)
    assert interpret(source, {"kind": "other"}, {"h": "1"}) == Ignored("filter")


def test_filter_that_cannot_be_judged_refuses() -> None:
    """A filter that comes to an error lets nothing through, and says so by name."""
    meaning = interpret(a_source(filter='body.kind == "wanted"'), {}, {})

    assert isinstance(meaning, Problems)
    assert "'kind'" in meaning.fields["filter"]


def test_rule_may_be_chosen_by_an_expression() -> None:
    """`when` is a mapping of values or an expression; an expression that fails chooses nothing after it, either."""
    rules = [
        {"when": "body.n > 10", "start": {"loop": "large", "aggregateId": "A"}},
        {"start": {"loop": "small", "aggregateId": "A"}},
    ]
    source = a_source(rules=rules)

    assert interpret(source, {"n": 11}, {}).loop_id == "large"
    assert interpret(source, {"n": 10}, {}).loop_id == "small"
    assert isinstance(interpret(source, {"n": "11"}, {}), Problems)


def test_cancel_names_instance_and_reason() -> None:
    """A delivery may cancel what it started."""
    cancel = {"cancel": {"aggregateId": "{{ body.id }}", "reason": "Dropped: {{ body.why }}"}}
    meaning = interpret(a_source(rules=[cancel]), {"id": "A-1", "why": "late" * 1_000}, {})

    assert isinstance(meaning, CancelCommand)
    assert meaning.aggregate_id == "A-1"
    assert meaning.reason is not None
    assert meaning.reason.startswith("Dropped: late")
    assert len(meaning.reason) == 500


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"filter": "body.x =="}, "not an expression"),
        ({"filter": "data.x"}, "there is no 'data'"),
        ({"deliveryId": "fixed"}, "must come from the body"),
        ({"deliveryId": "{{ headers.x-id }}"}, "must come from the body"),
        ({"deliveryId": "{{ body.id }}", "verifier": "standard-webhooks"}, "sign one of their own"),
        ({"verifier": "gitlab"}, "verifier"),
        ({"verifier": {"kind": "hmac", "header": "x", "signed": "{body}{timestamp}"}}, "must end in"),
        ({"contentTypes": []}, "contentTypes"),
        ({"contentTypes": ["xml"]}, "contentTypes"),
        ({"rules": [{"when": "body.map(x, x)", "cancel": {"aggregateId": "a"}}]}, "'map' is not offered"),
        (
            {"rules": [{"cancel": {"aggregateId": "a"}, "signal": {"name": "s", "aggregateId": "a"}}]},
            "start, signal or",
        ),
    ],
)
def test_source_that_cannot_work_is_refused_when_read(said: dict[str, Any], why: str) -> None:
    """A mistake in the file is found when it is read, not by the first delivery."""
    with pytest.raises(ValidationError, match=why):
        a_source(**said)


@pytest.mark.parametrize("value", [{"path": "a", "expr": "body.a"}, {"default": 1}, {"path": "a", "as": "date"}])
def test_value_has_one_origin_and_a_known_type(value: dict[str, Any]) -> None:
    """Two origins, none, or a type there is not: refused when the file is read."""
    with pytest.raises(ValidationError):
        a_source({"x": value})

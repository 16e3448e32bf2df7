"""Expressions: what CEL may say in a loop file, what it may cost, and how its faults are told."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loops.checking import check
from loops.expressions import (
    MAX_CPU_NS,
    MAX_DEPTH,
    MAX_LENGTH,
    MAX_STEPS,
    ExpressionError,
    TooCostly,
    compile_expression,
)

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
GIVEN: dict[str, Any] = {
    "actor": {"type": "human", "id": "dana", "roles": ["sre"]},
    "approvals": [{"kind": "approve", "by": {"id": "sam"}}, {"kind": "reject", "by": {"id": "kim"}}],
    "data": {
        "amount": 12,
        "vendor": {"country": "DE"},
        "items": [{"price": 5, "tags": ["a"]}, {"price": 7.5, "tags": ["a", "b"]}],
        "due": "2026-11-23T00:00:00Z",
        "none": None,
        "all": [1],
    },
    "evidence": {"confidence": 0.9, "flag": True, "text": "Rolls back."},
    "instance": {"state": "WORKING", "evidence": {}},
    "now": NOW,
}


def holds(text: str, **changes: Any) -> bool:
    """Whether an expression holds of the data above, changed."""
    expression = compile_expression(text)
    return expression.holds({root: (GIVEN | changes)[root] for root in expression.roots})


@pytest.mark.parametrize(
    "text",
    [
        "evidence.confidence > 0.8 && data.amount == 12",
        "data.vendor.country in ['DE', 'FR']",
        "data.items.all(item, item.price < 10)",
        "data.items.exists(item, item.tags.exists(tag, tag == 'b'))",
        "data.items.exists_one(item, item.price > 6)",
        "size(data.items.filter(item, item.price > 6)) == 1",
        "approvals.filter(a, a.kind == 'approve').size() == 1",
        "!approvals.exists(a, a.by.id == actor.id)",
        "now < timestamp(data.due) && timestamp(data.due) - now < duration('24h')",
        "has(evidence.confidence) && !has(evidence.other)",
        "evidence.text.matches('^Rolls (back|forward)') && evidence.text.contains('back')",
        "'sre' in actor.roles ? data.amount < 100 : data.amount < 10",
        "data.none == null && type(data.amount) == int",
        "data.all[0] == 1",
        "data . items . all ( item , // each ) of them\n item.price < 10 )",
        'evidence.text != \'x.all(a, b)\' && evidence.text != r\'\\\' && evidence.text != """a)"""',
        "data.items.all(item, item.price < (10) && [item].all(each, each.price > 0))",
    ],
)
def test_an_expression_says_what_cel_says(text: str) -> None:
    """Fields, lists, texts, times and macros mean what the language says, counted or not."""
    assert holds(text)


@pytest.mark.parametrize(
    "text", ["evidence.flag == 1", "evidence.flag == 'true'", "data.amount == '12'", "null == false", "true in [1]"]
)
def test_no_type_is_taken_for_another(text: str) -> None:
    """True is not 1, and a text is not a number."""
    assert not holds(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("data.amount", "it comes to int, not to true or false"),
        ("evidence.text", "it comes to str, not to true or false"),
        ("data.missing == 1", "there is no key \"'missing'\""),
        ("1 / 0 == 1", "division by zero in CEL expression"),
        ("data.amount < 'a'", "No such overload: the operation is not defined for the given operand types"),
        ("data.items[9].price > 1", "index out of bounds: 9"),
        ("timestamp(evidence.text) < now", "Function 'timestamp' error: premature end of input"),
    ],
)
def test_what_comes_to_no_truth_value_fails(text: str, message: str) -> None:
    """Anything but true or false, and any error, is no judgement; the message says which."""
    with pytest.raises(ExpressionError) as caught:
        holds(text)

    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("data.", "line 1, column 6: no viable alternative at input '.'"),
        ("true &&\n  (data.amount > )", "line 2, column 18: mismatched input ')'"),
        ("'abc", "line 1, column 1: token recognition error at: ''abc'"),
        ("", "line 1, column 1: mismatched input '<EOF>'"),
        ("evidnce.a == 1", "line 1, column 1: there is no 'evidnce' in an expression; did you mean 'evidence'?"),
        (
            "true || os",
            "line 1, column 9: there is no 'os' in an expression; "
            "there are actor, approvals, data, evidence, instance, now",
        ),
        (
            "data.a.startWith('x')",
            "line 1, column 8: there is no function 'startWith' in an expression; did you mean 'startsWith'?",
        ),
        ("data.xs.map(x, x) == []", "line 1, column 9: 'map' is not offered; use exists, all or filter"),
        (
            "data.xs.all(_step_, true)",
            "line 1, column 13: '_step_' cannot be used as the name of an item; choose another",
        ),
        ("data.xs.all(data, true)", "line 1, column 13: 'data' cannot be used as the name of an item; choose another"),
        ("_step_()", "line 1, column 1: there is no function '_step_' in an expression"),
        (".all()", "line 1, column 2: 'all' goes through a list: write LIST.all(item, condition)"),
        ("\n. filter (data)", "line 2, column 3: 'filter' goes through a list: write LIST.filter(item, condition)"),
        ("data.xs.all()", "line 1, column 9: 'all' goes through a list: write LIST.all(item, condition)"),
        (".rm(1) == 1", "line 1, column 2: there is no function 'rm' in an expression"),
        (
            "data.a.matches(data.b)",
            "line 1, column 8: the pattern of 'matches' must be written here as text, never taken from data",
        ),
        (
            "data.a.matches('a' + data.b)",
            "line 1, column 8: the pattern of 'matches' must be written here as text, never taken from data",
        ),
        ("data.a.matches('[')", "line 1, column 16: the pattern of 'matches' cannot be used: "),
        ("(" * (MAX_DEPTH + 1) + "1" + ")" * (MAX_DEPTH + 1), "line 1, column 17: brackets are nested deeper than 16"),
        ("1" + "+1" * 17 + " > 0", "line 1, column 34: more than 16 additions"),
        ("true" + " " * MAX_LENGTH, "1004 characters; at most 1000 are accepted"),
    ],
)
def test_a_fault_is_told_with_its_place(text: str, message: str) -> None:
    """What cannot be used is refused when the file is read, with line and column."""
    with pytest.raises(ExpressionError) as caught:
        compile_expression(text)

    assert str(caught.value).startswith(message)


def test_a_fault_is_a_problem_of_the_loop_file_at_its_path() -> None:
    """The check of a loop file names the expression's path, and where in it the fault is."""
    guards = [{"id": "expression", "parameters": {"expression": "data.amount >"}}]
    data = {
        "id": "one",
        "version": "1.0.0",
        "initialState": "OPEN",
        "states": [{"id": "OPEN"}, {"id": "DONE", "isTerminal": True}],
        "transitions": [{"id": "end", "from": "OPEN", "to": "DONE", "actors": ["human"], "guards": guards}],
    }

    (problem,) = check(data).problems

    assert (problem.code, problem.path) == (
        "INVALID_GUARD_PARAMETERS",
        "transitions.0.guards.0.parameters.expression",
    )
    assert problem.message == "guard 'expression': line 1, column 14: mismatched input '<EOF>'"


@pytest.mark.parametrize(
    "text",
    [
        "data.xs.all(a, a >= 0)",
        "data.xs.exists(a, a < 0)",
        "data.xs.exists_one(a, a < 0)",
        "data.xs.existsOne(a, a < 0)",
        "data.xs.filter(a, a >= 0).size() > 0",
        "data.xs.all(a, data.xs.all(b, data.xs.all(c, a + b + c >= 0)))",
        "data.xs.exists(a, data.xs.exists(b, a + b < 0)) || true",
        "data.xs.all(a, a in data.xs)",
        "data.xs.filter(a, data.xs.filter(b, data.xs.filter(c, true) != []) != []) == []",
        "data.xs.all(a, [1].all(data_, true))",
    ],
)
def test_no_list_makes_an_expression_expensive(text: str) -> None:
    """However long the lists and however nested the macros, the evaluation stops soon and nothing passes."""
    variables = {"data": {"xs": list(range(15_000))}}
    began = time.thread_time_ns()

    with pytest.raises(TooCostly):
        compile_expression(text).holds(variables)
    # Ten times what is allowed between two looks at the clock: a bound that is missing costs minutes.
    assert time.thread_time_ns() - began < 10 * MAX_CPU_NS


def test_time_is_bounded_where_steps_are_dear() -> None:
    """Few steps that each take long end by the clock."""
    ticks = iter(range(0, 10**12, MAX_CPU_NS // 4))

    with pytest.raises(TooCostly):
        compile_expression("data.xs.all(a, a >= 0)").holds({"data": {"xs": [1] * 10}}, lambda: next(ticks))


def test_as_many_steps_as_allowed_are_taken() -> None:
    """The bound cuts nothing off that stays within it."""
    stands_still: Callable[[], int] = lambda: 0  # noqa: E731 - a clock
    expression = compile_expression("data.xs.all(a, a >= 0)")

    assert expression.holds({"data": {"xs": list(range(MAX_STEPS))}}, stands_still)


@pytest.mark.parametrize("data", [{"xs": [0] * 30_000}, {"xs": {str(n): "x" * 100 for n in range(11_000)}}])
def test_too_much_data_is_not_even_handed_over(data: dict[str, Any]) -> None:
    """What an expression is given is bounded, in values and in characters."""
    with pytest.raises(TooCostly):
        compile_expression("size(data.xs) > 0").holds({"data": data})


def test_only_what_is_named_need_be_given() -> None:
    """An expression says which variables it reads, and names of items are none of them."""
    assert compile_expression("data.a == 1 && approvals.all(a, a.kind == 'approve')").roots == ("approvals", "data")


@given(
    st.lists(
        st.sampled_from(
            [
                "data",
                ".xs",
                ".all(",
                ".filter(",
                "a,",
                "a",
                "(",
                ")",
                "[",
                "]",
                "&&",
                "||",
                "!",
                "1",
                "'x'",
                "==",
                " ",
                "?",
            ]
        )
        | st.text(max_size=3),
        max_size=40,
    )
)
def test_any_text_is_an_expression_or_refused(pieces: list[str]) -> None:
    """Whatever stands in a loop file compiles or is refused with a message; nothing else is raised."""
    try:
        expression = compile_expression("".join(pieces))
    except ExpressionError:
        return
    try:
        found = expression.holds({"data": {"xs": [1, 2, 3]}})
    except ExpressionError:
        return
    assert found in (True, False)

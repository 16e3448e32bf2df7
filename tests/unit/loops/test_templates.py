"""Templates in loop files."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loops.templates import MISSING, fill, problems, render

SCOPE = {"data": {"service": "api", "n": 3, "on": True, "list": ["a", 2], "deep": {"x": [1]}, "empty": ""}}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("Roll out {{ data.service }}", "Roll out api"),
        ("{{data.service}}/{{  data.n  }}", "api/3"),
        ("{{ data.on }}", "yes"),
        ("{{ data.list }}", "a, 2"),
        ("{{ data.deep }}", '{"x": [1]}'),
        ("{{ data.gone }} {{ data.service.name }} {{ data.empty }}", f"{MISSING} {MISSING} {MISSING}"),
        ("no holes", "no holes"),
    ],
)
def test_holes_are_filled_and_gaps_are_seen(template: str, text: str) -> None:
    """A hole becomes its value as people read it; what is missing becomes a visible dash."""
    assert render(template, SCOPE) == text


def test_a_value_that_is_one_hole_keeps_its_type() -> None:
    """Integrations get numbers, booleans, lists and objects as they are, not as text."""
    filled = fill({"a": "{{ data.n }}", "b": ["{{ data.deep }}"], "c": "n={{ data.n }}", "d": 7}, SCOPE)

    assert filled == {"a": 3, "b": [{"x": [1]}], "c": "n=3", "d": 7}


def test_filled_values_are_not_filled_again() -> None:
    """Data that looks like a template stays text: nobody can reach other data through it."""
    scope = {"data": {"evil": "{{ data.secret }}", "secret": "s3cret"}}

    assert render("{{ data.evil }}", scope) == "{{ data.secret }}"
    assert fill("{{ data.evil }}", scope) == "{{ data.secret }}"


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{{ data.service | upper }}", "is not a dotted path"),
        ("{{ data['x'] }}", "is not a dotted path"),
        ("{{ }}", "is not a dotted path"),
        ("{{ data\n.service }}", "is not a dotted path"),
        ("{{ env.HOME }}", "starts at none of data, evidence, instance, requester"),
        ("{{ data.service", "without its"),
        ("data.service }}", "without its"),
        ("}} and {{", "without its"),
    ],
)
def test_broken_templates_are_named(template: str, says: str) -> None:
    """What would be shown raw, or as a gap for ever, is found when the file is checked."""
    assert says in " ".join(problems(template))


@given(st.text())
def test_a_template_without_problems_has_no_braces_left(text: str) -> None:
    """Whatever passes the check renders without raw braces of its own."""
    if not list(problems(text)):
        assert "{{" not in render(text, {})

"""What is typed after the slash command, and what it means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.slack.commands.parsing import VERBS, Typed, nearest, nested, pairs, parse, value_of


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ("", Typed("help")),
        ("  PENDING  mine ", Typed("pending", ("mine",))),
        ("show CHG-7 --share", Typed("show", ("CHG-7",), is_shared=True)),
        ("history CHG-7 --page 3", Typed("history", ("CHG-7",), page=3)),
        ("history CHG-7 --page=3", Typed("history", ("CHG-7",), page=3)),
        ("history CHG-7 —page 2", Typed("history", ("CHG-7",), page=2)),
        ("pending --page x", Typed("pending")),
        ("pending --page 99999", Typed("pending", page=50)),
        ("pending --page", Typed("pending")),
        ('start change why="a b"', Typed("start", ("change", "why=a b"))),
        ("start change why=“a b”", Typed("start", ("change", "why=a b"))),
        ("start change it's \"half", Typed("start", ("change", "it's", '"half'))),
        ("show a&lt;b&amp;", Typed("show", ("a<b&",))),
        ('start change p={"a":1}', Typed("start", ("change", 'p={"a":1}'))),
    ],
)
def test_what_is_typed_is_read(text: str, typed: Typed) -> None:
    """Case, spaces, phones' quotation marks and dashes, and Slack's escapes are read as meant."""
    assert parse(text) == typed


@given(st.text(max_size=200))
def test_nothing_typed_breaks_the_reader(text: str) -> None:
    """Whatever is typed is read as something."""
    typed = parse(text)
    nested(pairs(typed.words)[0])

    assert 1 <= typed.page <= 50


@pytest.mark.parametrize(
    ("word", "verb"), [("pendign", "pending"), ("hist", "history"), ("shwo", "show"), ("xyz", None)]
)
def test_the_nearest_command_is_named(word: str, verb: str | None) -> None:
    """A slip of the fingers finds the command; nonsense finds none."""
    assert nearest(word, VERBS) == verb


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", 12),
        ("1.5", 1.5),
        ("true", True),
        ("1.10", "1.10"),
        ("007", "007"),
        ("1e3", "1e3"),
        ("NaN", "NaN"),
        ('"12"', "12"),
        ('{"a": [1]}', {"a": [1]}),
        ("checkout", "checkout"),
        ("", ""),
    ],
)
def test_values_are_json_only_where_nothing_changes(text: str, value: object) -> None:
    """A version 1.10 or an id 007 stays what was typed."""
    assert value_of(text) == value


def test_dotted_keys_are_objects() -> None:
    """`a.b=1` puts b into a; a key in the way of another is not guessed about."""
    assert nested({"a.b": 1, "a.c": 2, "d": 3}) == {"a": {"b": 1, "c": 2}, "d": 3}
    assert nested({"a": 1, "a.b": 2}) is None
    assert nested({"a.b": 2, "a": 1}) is None
    assert pairs(["a=1", "b", "=c", "d="]) == ({"a": 1, "d": ""}, ["b", "=c"])

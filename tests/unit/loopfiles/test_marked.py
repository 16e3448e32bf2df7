"""Reading YAML and JSON as plain data, with lines, within bounds."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.marked.files import MAX_BYTES, FileProblem, read_mapping, read_marked
from gateway.marked.json_text import read_json
from gateway.marked.marked import MAX_DEPTH, MAX_VALUES, Marked, UnreadableText
from gateway.marked.yaml_text import read_yaml

YAML_LINES = """\
# a comment
id: x

states:
  - id: A
    approval:
      facts: {One: 1,
              Two: 2}

  -
    id: B
  - {id: C, more: [1,
       2, {deep: true}]}
text: >-
  folded
  text
last: end
"""


def test_yaml_lines_are_those_of_the_keys() -> None:
    """Every key and list item has the line it begins on, in block and flow style, however deep."""
    lines = read_yaml(YAML_LINES).lines

    assert lines == {
        (): 2,
        ("id",): 2,
        ("states",): 4,
        ("states", 0): 5,
        ("states", 0, "id"): 5,
        ("states", 0, "approval"): 6,
        ("states", 0, "approval", "facts"): 7,
        ("states", 0, "approval", "facts", "One"): 7,
        ("states", 0, "approval", "facts", "Two"): 8,
        ("states", 1): 11,
        ("states", 1, "id"): 11,
        ("states", 2): 12,
        ("states", 2, "id"): 12,
        ("states", 2, "more"): 12,
        ("states", 2, "more", 0): 12,
        ("states", 2, "more", 1): 13,
        ("states", 2, "more", 2): 13,
        ("states", 2, "more", 2, "deep"): 13,
        ("text",): 14,
        ("last",): 17,
    }


def test_json_lines_are_those_of_the_keys() -> None:
    """JSON has lines as YAML has, also around strings that look like structure."""
    lines = read_json('{\n"a": "{[,:]}\\"",\n"b": [\n1, "\\\\",\n{"c":\n{}},\n[]\n],\n"d": null}').lines

    assert lines == {
        (): 1,
        ("a",): 2,
        ("b",): 3,
        ("b", 0): 4,
        ("b", 1): 4,
        ("b", 2): 5,
        ("b", 2, "c"): 5,
        ("b", 3): 7,
        ("d",): 9,
    }


def test_a_place_that_is_not_written_has_the_line_around_it() -> None:
    """What is missing is reported at the nearest thing that is there."""
    marked = read_yaml(YAML_LINES)

    assert marked.line_of(("states", 1, "label")) == 11
    assert marked.line_of(("states", 0, "approval", "facts", "Three", "x")) == 7
    assert marked.line_of(("nothing",)) == 2


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("on", "on"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("'~'", "~"),
        ("2026-11-22", "2026-11-22"),
        ("12:30:45", "12:30:45"),
        ("1_000", "1_000"),
        ("012", 12),
        ("0o17", 15),
        ("0xff", 255),
        ("-3", -3),
        ("1.0", 1.0),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("1.0.0", "1.0.0"),
        ("'1'", "1"),
        ("!!str 1", "1"),
        (".inf", float("inf")),
        ("-.INF", float("-inf")),
    ],
)
def test_scalars_are_those_of_the_core_schema(text: str, value: object) -> None:
    """YAML 1.2: yes, dates and sexagesimals are text; only the core schema's words and numbers are not."""
    read = read_yaml(f"a: {text}\n").data["a"]

    assert (type(read), read) == (type(value), value)


def test_keys_are_always_text() -> None:
    """A key that looks like a number or a truth value is still a name, as in JSON."""
    assert read_yaml("1: a\ntrue: b\n").data == {"1": "a", "true": "b"}


def test_aliases_repeat_what_was_anchored() -> None:
    """Lists, mappings and scalars may be written once and used again; problems in them show at the alias."""
    marked = read_yaml("a: &a [1, {b: 2}]\nc: *a\nd: &d x\ne:\n  - *d\n  - *a\n")

    assert marked.data == {"a": [1, {"b": 2}], "c": [1, {"b": 2}], "d": "x", "e": ["x", [1, {"b": 2}]]}
    assert marked.line_of(("e", 1, 1, "b")) == 6


LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12)
)
DEEP_ALIASES = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 60))


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("a: [\n", 2, "expected the node content"),
        ("a: 1\n b: 2\n", 2, "mapping values are not allowed here"),
        ("a: 1\n\na: 2\n", 3, "duplicate key 'a'"),
        ("x:\n  - {b: 1, 'b': 2}\n", 2, "duplicate key 'b'"),
        ("", 1, "the file is empty"),
        ("# nothing\n", 1, "the file is empty"),
        ("a: 1\n---\nb: 1\n", 2, "one document"),
        ("a: &x\n  - *x\n", 2, "alias '*x' contains itself"),
        ("a: *x\n", 1, "alias '*x' names no anchor before it"),
        ("a: 1\nb: !!python/object:os.system x\n", 2, "tag 'tag:yaml.org,2002:python/object:os.system'"),
        ("a: !!binary eA==\n", 1, "is not supported"),
        ("b: &b {x: 1}\nc:\n  <<: *b\n", 3, "merge keys (<<)"),
        ("? [a]\n: 1\n", 1, "a key must be text"),
        ('a: 1\nb: "\\UFFFFFFFF"\n', 2, ""),
        ("a: \x01\n", 1, "special characters are not allowed"),
        (LAUGHS, 5, f"more than {MAX_VALUES} values"),
        (DEEP_ALIASES, 32, f"nested deeper than {MAX_DEPTH} levels"),
        ("[" * 100_000, 1, f"nested deeper than {MAX_DEPTH} levels"),
        ("- " * 100_000, 1, f"nested deeper than {MAX_DEPTH} levels"),
        ("{a: " * 100_000, 1, f"nested deeper than {MAX_DEPTH} levels"),
    ],
)
def test_bad_yaml_is_refused_at_its_line(text: str, line: int, says: str) -> None:
    """Broken, ambiguous, hostile and boundless YAML gets a reason and a line, never a guess."""
    with pytest.raises(UnreadableText) as caught:
        read_yaml(text)

    assert caught.value.line == line
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ('{"a": 1,\n}', 2, ""),
        ("", 1, "Expecting value"),
        ('{"a": 1}\n{"b": 1}', 2, "Extra data"),
        ('{"a": 1,\n"b": {"c": 1,\n"c": 2}}', 3, "duplicate key 'c'"),
        ('{"a": 1, "\\u0061": 2}', 1, "duplicate key 'a'"),
        ("[" * 100_000, 1, f"nested deeper than {MAX_DEPTH} levels"),
        ("[\n" * 40 + "]" * 40, 33, f"nested deeper than {MAX_DEPTH} levels"),
    ],
)
def test_bad_json_is_refused_at_its_line(text: str, line: int, says: str) -> None:
    """JSON is bounded as YAML is, and a repeated key is an error, not the last one winning."""
    with pytest.raises(UnreadableText) as caught:
        read_json(text)

    assert caught.value.line == line
    assert says in str(caught.value)


def test_endless_numbers_are_cheap() -> None:
    """A number with a million digits is read at once, as the infinity that every check refuses."""
    digits = "9" * (MAX_BYTES - 10)

    assert read_yaml(f"a: {digits}\n").data == {"a": float("inf")}
    assert read_json(f'{{"a": {digits}}}').data == {"a": float("inf")}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(codec="utf-8"), max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=15,
)


def _places(value: Any, here: tuple[str | int, ...] = ()) -> set[tuple[str | int, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return {here}.union(*(_places(item, (*here, key)) for key, item in items))


@given(JSON, st.sampled_from([None, 0, 2]))
def test_json_reads_as_itself_with_every_place_marked(value: object, indent: int | None) -> None:
    """Any JSON document reads as json.loads reads it, and every place in it has a line."""
    marked = read_json(json.dumps(value, indent=indent))

    assert marked.data == value
    assert marked.lines.keys() == _places(value)


def _line_or_refusal(read: Callable[[str], Marked], text: str) -> int:
    try:
        return read(text).lines[()]
    except UnreadableText as error:
        return error.line


@given(st.text(max_size=60))
@example("a: !<> x")
@example("%TAG ! x\n---\n!y z")
@example("&a")
@example("- - - ? - :")
@example('"\\x')
def test_any_text_is_data_or_a_refusal(text: str) -> None:
    """No text makes the readers raise anything but their own refusal."""
    assert _line_or_refusal(read_yaml, text) >= 1
    assert _line_or_refusal(read_json, text) >= 1


@given(st.text(alphabet=" \n:-?[]{},&*!|>'\"%#aé\t\x85", max_size=40))
def test_any_yaml_punctuation_is_data_or_a_refusal(text: str) -> None:
    """No arrangement of YAML's own characters makes the reader raise anything but its own refusal."""
    assert _line_or_refusal(read_yaml, text) >= 1


def test_file_problems_say_file_line_and_reason(tmp_path: Path) -> None:
    """What cannot be read is one line that names the place and begins as the contract has it."""
    yaml, jsn = tmp_path / "a.yaml", tmp_path / "a.json"
    yaml.write_text("a: 1\na: 2\n")
    jsn.write_text('{"a": 1\n')

    with pytest.raises(FileProblem, match=r"a\.yaml:2: Invalid YAML syntax: duplicate key 'a'$"):
        read_mapping(yaml)
    with pytest.raises(FileProblem, match=r"a\.json:2: Invalid JSON syntax: "):
        read_mapping(jsn)


def test_a_mapping_comes_with_its_lines(tmp_path: Path) -> None:
    """Configuration is read with the same care, and told where each key stands."""
    path = tmp_path / "loopgate.yaml"
    path.write_text("slack:\n  team: T1\npeople:\n  - id: dana\n")

    data, line_of = read_mapping(path)

    assert data == {"slack": {"team": "T1"}, "people": [{"id": "dana"}]}
    assert line_of(("people", 0, "id")) == 4
    assert line_of(("people", 0, "name")) == 4


def test_what_is_no_mapping_is_refused(tmp_path: Path) -> None:
    """A list or a bare text is no configuration and no loop."""
    path = tmp_path / "a.yaml"
    path.write_text("- a\n")

    with pytest.raises(FileProblem, match="must hold one mapping"):
        read_mapping(path)


def test_unreadable_files_are_refused(tmp_path: Path) -> None:
    """A missing file, a directory and a pipe that nobody writes to are refused at once."""
    pipe = tmp_path / "pipe.yaml"
    os.mkfifo(pipe)

    with pytest.raises(FileProblem, match="cannot be read: No such file"):
        read_mapping(tmp_path / "gone.yaml")
    for path in (pipe, tmp_path):
        with pytest.raises(FileProblem, match="is not a regular file"):
            read_mapping(path)


@pytest.mark.parametrize(
    ("content", "line", "says"),
    [
        (b"a: 1\nb: \xff\n", 2, "Invalid YAML syntax: not UTF-8 at byte 8"),
        ("a: 1".encode("utf-16"), 1, "not UTF-8"),
        (b"#" * (MAX_BYTES + 1), 1, f"larger than {MAX_BYTES} bytes"),
    ],
)
def test_content_is_bounded_utf8(content: bytes, line: int, says: str) -> None:
    """Too much, and what is not UTF-8, is refused before it is parsed."""
    with pytest.raises(FileProblem) as caught:
        read_marked(content, "a.yaml")

    assert caught.value.line == line
    assert says in str(caught.value)


def test_a_byte_order_mark_is_no_content() -> None:
    """Files saved by editors that add one read the same."""
    assert read_marked(b"\xef\xbb\xbfa: 1\n", "a.yaml").data == {"a": 1}

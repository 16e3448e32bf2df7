"""Any sound loop file means the same in both spellings and both formats, and survives being written."""

import json
from typing import Any

import pytest
from hypothesis import given
from unit.loops.definitions import in_older_spelling, sound_loops

from gateway.loopfiles import read_loop
from gateway.loopwriting import dump_json, dump_yaml
from loops.checking import check
from loops.definition import LoopDefinition


def defined(data: Any) -> LoopDefinition:
    """The definition in *data*, which has no errors."""
    checked = check(data)
    assert checked.definition is not None, [p for p in checked.problems if p.severity == "error"]
    return checked.definition


def as_json(data: Any) -> str:
    """*data* as JSON that YAML reads too: what YAML does not take as it is stands as an escape."""
    text = json.dumps(data, ensure_ascii=False)
    return "".join(c if c.isprintable() or c > "\uffff" else f"\\u{ord(c):04x}" for c in text)


@given(sound_loops())
def test_both_spellings_are_one_definition_with_one_digest(data: dict[str, Any]) -> None:
    """The older spelling is a spelling and nothing else."""
    newer, older = defined(data), defined(in_older_spelling(data))

    assert newer == older
    assert newer.digest == older.digest


@given(sound_loops())
def test_a_definition_survives_being_written(data: dict[str, Any]) -> None:
    """What is written as YAML or JSON is a sound file of the same definition, and writing it again changes nothing."""
    definition = defined(data)

    for name, write in (("x.yaml", dump_yaml), ("x.json", dump_json)):
        text = write(definition)
        file = read_loop(text.encode(), name)
        assert file.definition == definition
        assert file.definition.digest == definition.digest
        assert write(file.definition) == text


@given(sound_loops())
def test_both_formats_and_spellings_of_a_file_have_one_digest(data: dict[str, Any]) -> None:
    """A file somebody else wrote, in YAML or JSON, in either spelling, is pinned under one digest."""
    digests = set()
    for spelled in (data, in_older_spelling(data)):
        for name in ("x.json", "x.yaml"):  # JSON is YAML, too
            definition = read_loop(as_json(spelled).encode(), name).definition
            assert definition is not None
            digests.add(definition.digest)

    assert len(digests) == 1


@pytest.mark.parametrize("length", [79, 80, 100, 118, 120, 128, 200, 1_100])
def test_long_keys_and_texts_survive_being_written(length: int) -> None:
    """No key is folded where YAML could not read it back, however long a fact's label is."""
    words = ("word " * 300)[:length].strip()
    definition = defined(
        {
            "id": "x",
            "version": "1.0.0",
            "description": words,
            "initialState": "DONE",
            "states": [{"id": "DONE", "isTerminal": True}],
            "metadata": {words: words, "list": [{words: [words]}]},
        }
    )

    assert read_loop(dump_yaml(definition).encode(), "x.yaml").definition == definition


@given(sound_loops())
def test_the_stored_form_keeps_the_digest(data: dict[str, Any]) -> None:
    """A pinned definition read back from its JSON form is the same, under the same digest."""
    definition = defined(data)
    stored = LoopDefinition.model_validate_json(definition.model_dump_json(exclude_none=True))

    assert stored == definition
    assert stored.digest == definition.digest

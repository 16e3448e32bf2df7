"""The file schema: what editors are told is what the check says."""

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from unit.loopfiles.test_problems_in_files import CASES, SOUND, edited, marks
from unit.loops.definitions import in_older_spelling, sound_loops

from gateway.marked.yaml_text import read_yaml
from loops.checking import check
from loops.definition import LoopDefinition
from loops.file_schema import file_schema_json
from loops.problems import misfits

ROOT = Path(__file__).parents[3]
SHIPPED = ROOT / "loops" / "schema" / "loop.schema.json"
SCHEMA = json.loads(file_schema_json())
VALIDATOR = Draft202012Validator(SCHEMA)

#: What a schema can tell. The rest needs the whole graph, templates, or people.
TOLD = {"UNKNOWN_KEY", "DUPLICATE_KEY", "MISSING_KEY", "INVALID_VALUE", "EMPTY_ID", "INVALID_VERSION"}


def as_json(data: Any) -> Any:
    """*data* with lists for tuples, as a file has it."""
    return json.loads(json.dumps(data))


def test_the_shipped_schema_is_current() -> None:
    """After a change of the models: `loopgate check --schema > loops/schema/loop.schema.json`."""
    assert SHIPPED.read_text(encoding="utf-8") == file_schema_json()


def test_the_schema_is_a_schema() -> None:
    """It is valid JSON Schema 2020-12, and every reference in it leads somewhere."""
    Draft202012Validator.check_schema(SCHEMA)

    references = set(_references(SCHEMA))
    assert references
    assert references <= {f"#/$defs/{name}" for name in SCHEMA["$defs"]}
    assert set(SCHEMA["$defs"]) <= {reference.rpartition("/")[2] for reference in references}


def _references(part: Any) -> Any:
    if isinstance(part, dict):
        yield from (value for key, value in part.items() if key == "$ref")
        for value in part.values():
            yield from _references(value)
    elif isinstance(part, list):
        for value in part:
            yield from _references(value)


def test_every_key_of_a_loop_file_is_described() -> None:
    """Whoever hovers over a key reads what it is for."""
    parts = {**SCHEMA["$defs"], "the file": SCHEMA}
    models = {"GuardRule", "State", "Transition", "ApprovalPolicy", "Outcome", "EditRule", "the file"}
    bare = [
        f"{name}.{key}"
        for name in models
        for key, schema in parts[name]["properties"].items()
        if not schema.get("description")
    ]

    assert bare == []


@pytest.mark.parametrize("path", sorted((ROOT / "loops" / "library").rglob("*.yaml")), ids=lambda path: path.stem)
def test_the_library_names_the_schema_and_fits_it(path: Path) -> None:
    """Editors complete against the schema in the files we ship, and find nothing wrong in them."""
    text = path.read_text(encoding="utf-8")
    first = text.splitlines()[0]

    assert list(VALIDATOR.iter_errors(read_yaml(text).data)) == []
    named = first.removeprefix("# yaml-language-server: $schema=")
    assert (path.parent / named).resolve() == SHIPPED


@given(sound_loops())
def test_no_sound_file_is_refused(data: dict[str, Any]) -> None:
    """An editor never marks what the check accepts, in either spelling or as we write it."""
    written = LoopDefinition.model_validate(data).as_json()

    for spelled in (data, in_older_spelling(data), written):
        assert [error.message for error in VALIDATOR.iter_errors(as_json(spelled))] == []


def test_the_sound_file_of_the_problem_cases_fits() -> None:
    """What every case below starts from is accepted."""
    assert VALIDATOR.is_valid(read_yaml(SOUND).data)


@pytest.mark.parametrize("edits", CASES, ids=lambda edits: "+".join(mark[1] for mark in marks(edited(edits))))
def test_what_is_wrong_with_a_files_shape_is_seen(edits: tuple[tuple[str, str], ...]) -> None:
    """Each problem case that is about shape is refused, each that is not is accepted."""
    text = edited(edits)
    codes = {code for _, code, _, severity in marks(text) if severity == "error"}
    if "INVALID_YAML" in codes:
        return
    data = read_yaml(text).data
    is_shape = bool(list(misfits(LoopDefinition, data))) or bool(codes & TOLD)
    if codes & {"INVALID_GUARD_PARAMETERS", "INVALID_EDITABLE"}:
        # Shapes of parameters and rules are told; contradictions inside them are not.
        return
    if "states.1.approval" in {path for _, _, path, _ in marks(text)}:
        return

    assert VALIDATOR.is_valid(data) is not is_shape


@pytest.mark.parametrize(
    ("path", "key", "value"),
    [
        (("transitions", 0, "guards", 0, "parameters"), "threshold", 70),
        (("transitions", 0, "guards", 0, "parameters"), "treshold", 0.7),
        (("transitions", 0, "guards", 0), "parameters", {"threshold": "0.7"}),
        (("transitions", 0), "guards", [{"id": "evidence-required"}]),
        (("transitions", 0), "guards", [{"guardId": "cooldown", "parameters": {"cooldownMs": -1}}]),
        (("transitions", 0), "actors", ["robot"]),
        (("transitions", 0), "allowedActors", ["human"]),
        (("states", 1, "approval"), "expireAfter", ""),
        (("states", 1, "approval"), "expireAfter", "4 hours"),
        (("states", 1, "approval"), "editable", {"n": {"type": "int"}}),
        (("states", 1, "approval"), "editable", {"n": {"minimun": 1}}),
        (("states", 1, "approval"), "quorum", 0),
        ((), "id", " "),
        ((), "loopId", "again"),
        ((), "version", "١.0.0"),
    ],
)
def test_mistakes_are_marked_where_they_are_made(path: tuple[Any, ...], key: str, value: Any) -> None:
    """Guard parameters by the guard's id, durations, enums, both spellings at once: seen while typing."""
    data = copy.deepcopy(read_yaml(SOUND).data)
    here = data
    for step in path:
        here = here[step]
    here[key] = value

    assert not VALIDATOR.is_valid(data)
    assert check(data).definition is None


@given(st.data())
def test_damage_the_schema_sees_is_damage(data: st.DataObject) -> None:
    """Whatever the schema refuses, the check refuses too."""
    loop: Any = copy.deepcopy(read_yaml(SOUND).data)
    here: Any = loop
    while True:
        key = data.draw(st.sampled_from(sorted(here) if isinstance(here, dict) else range(len(here))))
        if not isinstance(here[key], (dict, list)) or not here[key] or data.draw(st.booleans()):
            break
        here = here[key]
    here[key] = data.draw(
        st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=3) | st.just([]) | st.just({})
    )

    if not VALIDATOR.is_valid(loop):
        assert check(loop).definition is None


def test_the_command_line_prints_it() -> None:
    """`loopgate check --schema` is how the shipped file is made."""
    printed = subprocess.run(
        [sys.executable, "-m", "gateway.cli", "check", "--schema"], cwd=ROOT, check=True, capture_output=True
    )

    assert printed.stdout.decode() == file_schema_json()


def test_the_command_line_draws_a_loop(tmp_path: Path) -> None:
    """`loopgate check --graph` prints a sound file as Mermaid, and of a broken one only what is wrong, with exit 1."""
    sound, broken = tmp_path / "sound.yaml", tmp_path / "broken.yaml"
    sound.write_text(SOUND)
    broken.write_text(SOUND.replace("initialState: WORKING", "initialState: WORKIN"))

    def draw(path: Path) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "gateway.cli", "check", "--graph", str(path)]
        return subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)

    drawn, refused = draw(sound), draw(broken)

    assert (drawn.returncode, drawn.stderr) == (0, "")
    assert drawn.stdout.splitlines()[4] == "flowchart TD"
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "error INVALID_INITIAL_STATE initialState" in refused.stderr

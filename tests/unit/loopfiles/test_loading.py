"""Loading several loop files at once, the shipped library, and writing definitions back."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.loopfiles import InvalidLoopFiles, load_directory, load_library, read_loop
from gateway.loopwriting import dump_json, dump_yaml
from loops.checking import check
from loops.definition import LoopDefinition
from loops.errors import LoopgateError

ROOT = Path(__file__).parents[3]
TEXT = st.text(st.characters(codec="utf-8"), max_size=20)


def a_file(path: Path, loop_id: str, **changes: object) -> Path:
    """A small sound loop file at *path*."""
    loop = {
        "id": loop_id,
        "version": "1.0.0",
        "initialState": "OPEN",
        "states": [{"id": "OPEN"}, {"id": "DONE", "isTerminal": True}],
        "transitions": [{"id": "finish", "from": "OPEN", "to": "DONE", "actors": ["human"]}],
    }
    path.write_text(json.dumps(loop | changes, indent=1))
    return path


def test_directories_and_files_load_together(tmp_path: Path) -> None:
    """Every loop file of a directory counts, by its ending; others and those further down do not; files as named."""
    (tmp_path / "d" / "deeper").mkdir(parents=True)
    a_file(tmp_path / "d" / "one.yaml", "one")
    a_file(tmp_path / "d" / "two.yml", "two")
    a_file(tmp_path / "d" / "three.json", "three")
    a_file(tmp_path / "d" / "notes.txt", "notes")
    a_file(tmp_path / "d" / "deeper" / "four.yaml", "four")
    five = a_file(tmp_path / "five.yaml", "five")

    loaded = load_directory(tmp_path / "d", five)

    assert set(loaded.all()) == {"one", "two", "three", "five"}
    assert loaded.get("one") == loaded.all()["one"]
    assert loaded.get("four") is None


def test_a_file_named_twice_is_read_once(tmp_path: Path) -> None:
    """A file and its directory, or a link to it, is one definition, not a clash."""
    one = a_file(tmp_path / "one.yaml", "one")
    (tmp_path / "link.yaml").symlink_to(one)

    assert set(load_directory(tmp_path, one, str(one)).all()) == {"one"}


def test_every_problem_of_every_file_is_listed(tmp_path: Path) -> None:
    """One error stops the load, and then everything is said at once, each with its file and line."""
    bad = a_file(tmp_path / "bad.yaml", "bad", version="1", tagz=[])
    worse = tmp_path / "worse.yaml"
    worse.write_text("id: [\n")
    a_file(tmp_path / "good.yaml", "good")

    with pytest.raises(InvalidLoopFiles) as caught:
        load_directory(tmp_path, tmp_path / "gone")

    assert isinstance(caught.value, LoopgateError)
    assert str(caught.value).splitlines() == [
        "Loop definition validation failed:",
        f"  {bad}:3: error INVALID_VERSION version: '1' is not a SemVer version; write it like 1.0.0",
        f"  {bad}:24: error UNKNOWN_KEY tagz: unknown key 'tagz'; did you mean 'tags'?",
        f"  {worse}:2: error INVALID_YAML: Invalid YAML syntax: expected the node content, but found '<stream end>'",
        f"  {tmp_path / 'gone'}:1: error UNREADABLE_FILE: cannot be read: No such file or directory",
    ]


def test_warnings_do_not_stop_a_load(tmp_path: Path) -> None:
    """What is merely unwise loads and is handed over for somebody to show."""
    guards = [{"id": "cooldown", "evaluatedBy": "external", "severity": "soft"}]
    transitions = [{"id": "finish", "from": "OPEN", "to": "DONE", "actors": ["human"], "guards": guards}]
    a_file(tmp_path / "one.json", "one", transitions=transitions)

    loaded = load_directory(tmp_path)

    assert set(loaded.all()) == {"one"}
    assert [found.problem.code for found in loaded.warnings] == ["GUARD_NOT_EVALUATED"]


def test_the_shipped_loops_are_free_of_warnings() -> None:
    """What we ship passes its own check without a word."""
    library = load_library()

    assert library.warnings == ()
    assert set(library.all()) == {"infrastructure.change", "purchase.approval"}


@pytest.mark.parametrize("loop_id", ["infrastructure.change", "purchase.approval"])
def test_the_shipped_loops_never_get_stuck_on_a_machine(loop_id: str) -> None:
    """A model or an integration that fails leads to a human or to an end, and silence refuses."""
    definition = load_library().all()[loop_id]

    for state in definition.states:
        if state.provider:
            fallback = definition.exit_named(state.id, state.provider.on_failure or "")
            assert fallback is not None
            assert definition.state(fallback.to).asks_humans
        if state.asks_humans:
            assert state.approval is not None
            silent = definition.exit_named(state.id, state.approval.on_expiry or "")
            assert silent is not None
            assert definition.state(silent.to).id == "REJECTED"
    for transition in definition.transitions:
        for call in transition.effects:
            failed = definition.exit_named(transition.to, call.on_failure or "")
            assert failed is not None
            assert definition.state(failed.to).is_error


@pytest.mark.parametrize("loop_id", ["infrastructure.change", "purchase.approval"])
def test_only_verified_people_approve_in_the_shipped_loops(loop_id: str) -> None:
    """Every approval and refusal in them is a human's alone and says so with a hard guard."""
    definition = load_library().all()[loop_id]
    decisions = [
        transition
        for state in definition.states
        if state.asks_humans
        for kind, transition in definition.human_exits(state.id)
        if kind != "other"
    ]

    assert decisions
    for transition in decisions:
        assert transition.actors == ("human",)
        assert [(rule.id, rule.severity) for rule in transition.guards] == [("human-only", "hard")]


@pytest.mark.parametrize("loop_id", ["infrastructure.change", "purchase.approval"])
def test_a_written_definition_reads_back_as_itself(loop_id: str) -> None:
    """YAML and JSON written from a definition are sound files of the same definition."""
    definition = load_library().all()[loop_id]

    for name, text in (("x.yaml", dump_yaml(definition)), ("x.json", dump_json(definition))):
        file = read_loop(text.encode(), name)
        assert file.problems == ()
        assert file.definition == definition
        assert file.definition.digest == definition.digest


@given(st.dictionaries(TEXT.filter(bool), TEXT, max_size=4), TEXT)
def test_any_text_survives_being_written(facts: dict[str, str], description: str) -> None:
    """Text that looks like a number, a truth value or YAML comes back as the text it was."""
    definition = LoopDefinition.model_validate(
        {
            "id": "x",
            "version": "1.0.0",
            "description": description,
            "initialState": "DONE",
            "states": [{"id": "DONE", "isTerminal": True}],
            "metadata": {"facts": facts, "words": ["yes", "1e3", "0x1f", "~", "null", ".inf", "1_0", "012", ""]},
        }
    )

    for name, text in (("x.yaml", dump_yaml(definition)), ("x.json", dump_json(definition))):
        assert read_loop(text.encode(), name).definition == definition


def test_the_stored_form_passes_the_check() -> None:
    """A definition's own JSON form, as pinned with an instance, is a sound loop file again."""
    for definition in load_library().all().values():
        assert check(definition.as_json()).definition == definition


def test_the_wheel_carries_the_library(tmp_path: Path) -> None:
    """Installed from a wheel, Loopgate still has its loops."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    shipped = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("loops/library/")}

    assert shipped == {str(path.relative_to(ROOT)) for path in (ROOT / "loops" / "library").rglob("*.yaml")}

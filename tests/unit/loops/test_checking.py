"""Checking as a pure function: data in, a definition or problems out. Every code is shown in tests/unit/loopfiles."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loops.checking import check
from loops.guards import Guard, NoParameters
from loops.problems import Problem
from loops.runtime_guards import RUNTIME_GUARDS

LOOP: dict[str, Any] = {
    "id": "test.loop",
    "version": "1.0.0",
    "initialState": "OPEN",
    "states": [{"id": "OPEN"}, {"id": "DONE", "isTerminal": True}],
    "transitions": [
        {
            "id": "finish",
            "from": "OPEN",
            "to": "DONE",
            "actors": ["human"],
            "guards": [{"id": "confidence-threshold", "severity": "hard", "parameters": {"threshold": 0.7}}],
        }
    ],
}


def a_loop(*path: str | int, **changes: Any) -> dict[str, Any]:
    """The smallest sound loop, with *changes* to the mapping at *path*; a change to None removes the key."""
    loop = copy.deepcopy(LOOP)
    here: Any = loop
    for step in path:
        here = here[step]
    for key, value in changes.items():
        here.pop(key, None) if value is None else here.__setitem__(key, value)
    return loop


def test_a_sound_loop_has_no_problems() -> None:
    """Nothing is said about a loop with nothing wrong."""
    checked = check(LOOP)

    assert checked.problems == ()
    assert checked.definition is not None
    assert checked.definition.id == "test.loop"


@pytest.mark.parametrize(
    ("loop", "path", "message"),
    [
        (a_loop("transitions", 0, guard=[]), "transitions.0.guard", "unknown key 'guard'; did you mean 'guards'?"),
        (a_loop(initial_state="OPEN"), "initial_state", "unknown key 'initial_state'; did you mean 'initialState'?"),
        (a_loop("states", 0, stateID="OPEN"), "states.0.stateID", "unknown key 'stateID'; did you mean 'stateId'?"),
        (a_loop("transitions", 0, from_="OPEN"), "transitions.0.from_", "unknown key 'from_'; did you mean 'from'?"),
        (a_loop(wobble=1), "wobble", "unknown key 'wobble'"),
        (
            a_loop("transitions", 0, "guards", 0, sverity="soft"),
            "transitions.0.guards.0.sverity",
            "unknown key 'sverity'; did you mean 'severity'?",
        ),
        (
            a_loop("states", 0, approval={"approvers": {"group": ["sre"]}}),
            "states.0.approval.approvers.group",
            "unknown key 'group'; did you mean 'groups'?",
        ),
        (
            a_loop("states", 0, approval={"escalate": [{"after": "1h", "chanel": "x"}]}),
            "states.0.approval.escalate.0.chanel",
            "unknown key 'chanel'; did you mean 'channel'?",
        ),
        (
            a_loop("states", 0, approval={"answers": {"aprove": "finish"}}),
            "states.0.approval.answers.aprove",
            "key 'aprove' is none of approve, reject; did you mean 'approve'?",
        ),
    ],
)
def test_a_key_nobody_knows_is_an_error_with_the_nearest_one(loop: dict[str, Any], path: str, message: str) -> None:
    """A typo never drops a rule in silence: the key is named, with what was probably meant."""
    checked = check(loop)

    assert checked.definition is None
    assert Problem("UNKNOWN_KEY", path, message) in checked.problems


@pytest.mark.parametrize(
    ("loop", "path", "message"),
    [
        (a_loop(version=1.0), "version", "must be text, not the number 1.0; put it in quotes"),
        (a_loop("states", 1, isTerminal="yes"), "states.1.isTerminal", "must be true or false, not 'yes'"),
        (a_loop("states", 1, isTerminal=1), "states.1.isTerminal", "must be true or false, not the number 1"),
        (a_loop(states={"OPEN": {}}), "states", "must be a list, not a mapping"),
        (a_loop(states=[]), "states", "must not be an empty list"),
        (a_loop(states=["OPEN"]), "states.0", "must be a mapping of keys, not 'OPEN'"),
        (a_loop("transitions", 0, guards="human-only"), "transitions.0.guards", "must be a list, not 'human-only'"),
        (a_loop("transitions", 0, actors=[]), "transitions.0.actors", "must not be an empty list"),
        (
            a_loop("transitions", 0, actors=["humans"]),
            "transitions.0.actors.0",
            "'humans' is none of human, automation, ai-agent, system; did you mean 'human'?",
        ),
        (
            a_loop("transitions", 0, "guards", 0, severity="warn"),
            "transitions.0.guards.0.severity",
            "'warn' is none of hard, soft",
        ),
        (
            a_loop("states", 0, approval={"quorum": True}),
            "states.0.approval.quorum",
            "must be a whole number, not true",
        ),
        (
            a_loop("states", 0, approval={"quorum": 0}),
            "states.0.approval.quorum",
            "must be greater than or equal to 1, not the number 0",
        ),
        (
            a_loop("states", 0, approval={"expireAfter": 30}),
            "states.0.approval.expireAfter",
            "must be a duration such as 30m or 4h, not the number 30",
        ),
        (
            a_loop("states", 0, approval={"expireAfter": "soon"}),
            "states.0.approval.expireAfter",
            "'soon' is not a duration; write it like 30m, 4h or 1h30m",
        ),
        (
            a_loop("states", 0, approval={"facts": {"Cost": 12}}),
            "states.0.approval.facts.Cost",
            "must be text, not the number 12; put it in quotes",
        ),
        (a_loop(metadata={"x": float("nan")}), "metadata.x", "nan is not a JSON number"),
        (a_loop(metadata={"x": [1, 2**60]}), "metadata.x.1", f"integer {2**60} is beyond 2^53-1; send it as text"),
    ],
)
def test_a_value_is_never_taken_for_another_type(loop: dict[str, Any], path: str, message: str) -> None:
    """Types are judged strictly and said in plain words: no text is a truth value, no truth value a number."""
    checked = check(loop)

    assert checked.definition is None
    assert [p for p in checked.problems if p.path == path] == [Problem("INVALID_VALUE", path, message)]


def test_unknown_keys_do_not_hide_other_problems() -> None:
    """One run tells everything: the rest of a file with a typo is judged too."""
    loop = a_loop("transitions", 0, guard=[], to="GONE")

    assert [problem.code for problem in check(loop).problems] == [
        "UNKNOWN_KEY",
        "INVALID_TRANSITION_STATE",
        "LOOP_NOT_COMPLETABLE",
        "UNREACHABLE_STATE",
    ]


def test_one_thing_said_in_both_spellings_is_an_error() -> None:
    """Whether `terminal` or `isTerminal` holds would be a guess, so it is refused."""
    (problem,) = check(a_loop("states", 1, terminal=False)).problems

    assert problem == Problem(
        "DUPLICATE_KEY",
        "states.1.terminal",
        "key 'terminal' says again what its other spelling says; keep one of the two",
    )


def test_paths_are_written_in_the_spelling_of_the_file() -> None:
    """A problem points at what stands in the file, not at our name for it."""
    guards = [{"guardId": "four-eye"}]
    loop = a_loop("transitions", 0, id=None, actors=None, transitionId="finish", allowedActors=["human"], guards=guards)

    (problem,) = check(loop).problems

    assert (problem.code, problem.path) == ("UNREGISTERED_GUARD", "transitions.0.guards.0.guardId")


def test_a_guard_that_is_registered_elsewhere_may_be_named() -> None:
    """Which guards exist is an argument: an installation may have more."""
    loop = a_loop("transitions", 0, guards=[{"id": "four-eyes"}])
    more = {**RUNTIME_GUARDS, "four-eyes": Guard(NoParameters, lambda *_: None)}

    assert check(loop).definition is None
    assert check(loop, guards=more).problems == ()


@pytest.mark.parametrize(
    ("parameters", "path", "message"),
    [
        ({"threshold": 70}, "threshold", "must be less than or equal to 1, not the number 70"),
        ({"threshold": "0.7"}, "threshold", "must be a number, not '0.7'"),
        ({"threshold": True}, "threshold", "must be a number, not true"),
        ({"treshold": 0.9}, "treshold", "unknown key 'treshold'; did you mean 'threshold'?"),
    ],
)
def test_a_guards_parameters_must_fit_it(parameters: dict[str, Any], path: str, message: str) -> None:
    """A threshold out of range or misspelt would be another threshold, so it is refused at load."""
    (problem,) = check(a_loop("transitions", 0, "guards", 0, parameters=parameters)).problems

    assert problem.code == "INVALID_GUARD_PARAMETERS"
    assert problem.path == f"transitions.0.guards.0.parameters.{path}"
    assert problem.message == f"guard 'confidence-threshold': {message}"


@pytest.mark.parametrize("version", ["1", "1.0", "v1.0.0", "1.0.0.0", "01.0.0", "1.0.0-", "1.0.0 beta", "١.0.0"])
def test_a_version_that_is_not_semver_is_refused(version: str) -> None:
    """Versions pin running instances, so they are compared by everybody alike."""
    (problem,) = check(a_loop(version=version)).problems

    assert (problem.code, problem.path) == ("INVALID_VERSION", "version")


@pytest.mark.parametrize("version", ["0.0.1", "1.0.0-rc.1", "1.0.0+build.7", "10.20.30-a-b.0"])
def test_every_semver_version_is_accepted(version: str) -> None:
    """Pre-releases and build numbers are versions too."""
    assert check(a_loop(version=version)).problems == ()


@pytest.mark.parametrize("name", ["a\u200bb", "a\x00b", "a\nb", "a\u202eb"])
def test_ids_have_no_characters_that_cannot_be_seen(name: str) -> None:
    """An id that looks like another one is refused."""
    (problem,) = check(a_loop("transitions", 0, id=name)).problems[:1]

    assert (problem.code, problem.path) == ("INVALID_VALUE", "transitions.0.id")


@pytest.mark.parametrize("data", [None, [], "x", 7])
def test_what_is_no_mapping_is_a_problem_not_an_error(data: Any) -> None:
    """Any data gets an answer."""
    assert check(data).problems == (
        Problem("INVALID_VALUE", "", "a loop definition is one mapping that begins with 'id'"),
    )


def test_bottomless_data_is_a_problem_not_an_error() -> None:
    """Nesting that would exhaust the stack is refused."""
    deep: dict[str, Any] = {}
    for _ in range(100_000):
        deep = {"a": deep}

    assert check(a_loop(metadata=deep)).problems == (Problem("INVALID_VALUE", "", "nested too deeply"),)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def damaged_loops(draw: st.DrawFn) -> Any:
    """The sound loop with anything at all put in some place of it."""
    loop: Any = copy.deepcopy(LOOP)
    here: Any = loop
    while True:
        key = draw(st.sampled_from(sorted(here) if isinstance(here, dict) else range(len(here))))
        if not isinstance(here[key], (dict, list)) or not here[key] or draw(st.booleans()):
            here[key] = draw(JSON)
            return loop
        here = here[key]


@given(damaged_loops())
def test_any_damage_gets_an_answer(loop: Any) -> None:
    """Whatever stands in a file, the check answers: with a definition, or with at least one error, never both."""
    checked = check(loop)

    assert (checked.definition is None) == any(p.severity == "error" for p in checked.problems)

"""Every problem a loop file can have, at its exact line: a sound file, one edit each, the line marked in the edit."""

import re
from pathlib import Path
from typing import get_args

import pytest

from gateway.loopfiles import InvalidLoopFiles, load_directory, read_loop, read_loop_file
from loops.problems import ProblemCode

SOUND = """\
id: test.loop
version: 1.0.0
initialState: WORKING
states:
  - id: WORKING
    provider:
      use: analyst
      instruction: Look at it.
      signals: [submit]
      onFailure: give_up
  - id: PENDING_HUMAN_REVIEW
    approval:
      approvers:
        groups: [sre]
      title: "{{ data.name }}"
      facts:
        Name: "{{ data.name }}"
      remindAfter: 30m
      escalate:
        - after: 1h
          channel: leads
      expireAfter: 4h
      onExpiry: expire
  - id: RUNNING
  - id: DONE
    isTerminal: true
  - id: REFUSED
    isTerminal: true
transitions:
  - id: submit
    from: WORKING
    to: PENDING_HUMAN_REVIEW
    actors: [ai-agent]
    guards:
      - id: confidence-threshold
        parameters:
          threshold: 0.7
  - id: give_up
    from: WORKING
    to: PENDING_HUMAN_REVIEW
    actors: [system]
  - id: approve
    from: PENDING_HUMAN_REVIEW
    to: RUNNING
    actors: [human]
    effects:
      - integration: deployer
        action: run
        parameters:
          name: "{{ data.name }}"
        onSuccess: finished
        onFailure: broke
  - id: reject
    from: PENDING_HUMAN_REVIEW
    to: REFUSED
    actors: [human]
  - id: expire
    from: PENDING_HUMAN_REVIEW
    to: REFUSED
    actors: [system]
  - id: finished
    from: RUNNING
    to: DONE
    actors: [automation]
  - id: broke
    from: RUNNING
    to: REFUSED
    actors: [automation]
outcome:
  valueUnit: done
  businessMetrics:
    - id: cycle_time_days
"""


def case(*edits: str) -> tuple[tuple[str, str], ...]:
    """Edits of the sound file: what stands there, what stands there instead, and so on in pairs."""
    return tuple(zip(edits[::2], edits[1::2], strict=True))


# `#! CODE path` marks a line on which exactly this must be found.
CASES = [
    case("initialState: WORKING", "initialState: WORKIN #! INVALID_INITIAL_STATE initialState"),
    case(
        "    to: DONE\n    actors: [automation]\n",
        "    to: DONE\n    actors: [automation]\n"
        "  - id: lost\n    from: RUNNING\n    actors: [human]\n"
        "    to: DONNE #! INVALID_TRANSITION_STATE transitions.6.to\n",
    ),
    case(
        "transitions:\n",
        "transitions:\n  - id: lost\n    from: NOWHERE #! INVALID_TRANSITION_STATE transitions.0.from\n"
        "    to: DONE\n    actors: [human]\n",
    ),
    case(
        "    guards:\n      - id: confidence-threshold\n",
        "    guards: #! DUPLICATE_GUARD_ID transitions.0.guards\n"
        "      - id: confidence-threshold\n      - id: confidence-threshold\n",
    ),
    case(
        "states:\n",
        "states: #! NO_TERMINAL_STATE states\n",
        "  - id: DONE\n    isTerminal: true\n  - id: REFUSED\n    isTerminal: true\n",
        "  - id: DONE #! DEAD_END_STATE states.3\n  - id: REFUSED #! DEAD_END_STATE states.4\n",
    ),
    case(
        "id: test.loop\n",
        "id: test.loop #! LOOP_NOT_COMPLETABLE\n",
        "    from: PENDING_HUMAN_REVIEW\n    to: REFUSED\n    actors: [human]\n",
        "    from: PENDING_HUMAN_REVIEW\n    to: WORKING\n    actors: [human]\n",
        "    from: PENDING_HUMAN_REVIEW\n    to: REFUSED\n    actors: [system]\n",
        "    from: PENDING_HUMAN_REVIEW\n    to: WORKING\n    actors: [system]\n",
        "    from: RUNNING\n    to: DONE\n",
        "    from: RUNNING\n    to: WORKING\n",
        "    from: RUNNING\n    to: REFUSED\n",
        "    from: RUNNING\n    to: WORKING\n",
        "  - id: DONE\n",
        "  - id: DONE #! UNREACHABLE_STATE states.3\n",
        "  - id: REFUSED\n",
        "  - id: REFUSED #! UNREACHABLE_STATE states.4\n",
    ),
    case(
        "  - id: finished\n    from: RUNNING\n    to: DONE\n",
        "  - id: again\n    from: RUNNING\n    to: WORKING\n    actors: [automation]\n"
        "    signal: go #! SIGNAL_CYCLE_DETECTED transitions.5.signal\n"
        "  - id: skip\n    from: WORKING\n    to: RUNNING\n    actors: [automation]\n"
        "    signal: go #! SIGNAL_CYCLE_DETECTED transitions.6.signal\n"
        "  - id: finished\n    from: RUNNING\n    to: DONE\n",
    ),
    case(
        "outcome:\n",
        "outcome: #! OUTCOME_METRICS_REQUIRED outcome.businessMetrics\n",
        "  businessMetrics:\n    - id: cycle_time_days\n",
        "",
    ),
    case(
        "    - id: cycle_time_days\n",
        "      []\n",
        "  businessMetrics:",
        "  businessMetrics: #! OUTCOME_METRICS_REQUIRED outcome.businessMetrics",
    ),
    # shape
    case("    guards:\n", "    guard: #! UNKNOWN_KEY transitions.0.guard\n"),
    case(
        "    isTerminal: true\n  - id: R",
        "    isTerminal: true\n    terminal: true #! DUPLICATE_KEY states.3.terminal\n  - id: R",
    ),
    case("  - id: finished\n    from: RUNNING\n", "  - id: finished #! MISSING_KEY transitions.5.from\n"),
    case("      signals: [submit]", "      signals: submit #! INVALID_VALUE states.0.provider.signals"),
    case('        Name: "{{ data.name }}"', "        Name: 7 #! INVALID_VALUE states.1.approval.facts.Name"),
    case("  valueUnit: done", "  valueUnit: .nan #! INVALID_VALUE outcome.valueUnit"),
    case("version: 1.0.0", "version: 1.0 #! INVALID_VALUE version"),
    case("      - integration: deployer", "      - integration: ' ' #! EMPTY_ID transitions.2.effects.0.integration"),
    case("    - id: cycle_time_days", "    - id: '' #! EMPTY_ID outcome.businessMetrics.0.id"),
    case("version: 1.0.0", "version: 1.0.0.0 #! INVALID_VERSION version"),
    # the graph
    case("  - id: RUNNING\n", "  - id: RUNNING\n  - id: RUNNING #! DUPLICATE_STATE_ID states.3.id\n"),
    case(
        "  - id: broke\n    from: RUNNING\n",
        "  - id: finished #! DUPLICATE_TRANSITION_ID transitions.6.id\n    signal: broke\n    from: RUNNING\n",
    ),
    case("  - id: broke\n", "  - id: submit #! DUPLICATE_TRANSITION_ID transitions.6.id warning\n    signal: broke\n"),
    case(
        "  - id: broke\n",
        "  - id: broken\n    signal: finished #! DUPLICATE_SIGNAL transitions.6.signal\n",
        "        onFailure: broke",
        "        onFailure: broken",
    ),
    case(
        "  - id: finished\n",
        "  - id: finished\n    signal: broke\n",
        "  - id: broke\n",
        "  - id: broke #! DUPLICATE_SIGNAL transitions.6.signal\n",
    ),
    case("  - id: DONE\n", "  - id: LONELY #! UNREACHABLE_STATE states.3\n    isTerminal: true\n  - id: DONE\n"),
    case(
        "  - id: DONE\n",
        "  - id: LONELY #! UNREACHABLE_STATE states.3 warning\n    isError: true\n    isTerminal: true\n  - id: DONE\n",
    ),
    case("  - id: REFUSED\n    isTerminal: true\n", "  - id: REFUSED #! DEAD_END_STATE states.4\n"),
    case(
        "  - id: REFUSED\n    isTerminal: true\n",
        "  - id: REFUSED #! DEAD_END_STATE states.4 warning\n    isError: true\n",
    ),
    case(
        "  - id: DONE\n",
        "  - id: STUCK #! DEAD_END_STATE states.3\n  - id: DONE\n",
        "  - id: finished\n",
        "  - id: stick\n    from: RUNNING\n    to: STUCK\n    actors: [human]\n"
        "  - id: spin\n    from: STUCK\n    to: STUCK\n    actors: [human]\n  - id: finished\n",
    ),
    case(
        "transitions:\n",
        "transitions:\n  - id: reopen\n    from: DONE #! EXIT_FROM_TERMINAL_STATE transitions.0.from\n"
        "    to: WORKING\n    actors: [human]\n",
    ),
    # guards
    case("      - id: confidence-threshold", "      - id: confidence #! UNREGISTERED_GUARD transitions.0.guards.0.id"),
    case(
        "          threshold: 0.7",
        "          threshold: 70 #! INVALID_GUARD_PARAMETERS transitions.0.guards.0.parameters.threshold",
    ),
    case(
        "          threshold: 0.7",
        "          treshold: 0.7 #! INVALID_GUARD_PARAMETERS transitions.0.guards.0.parameters.treshold",
    ),
    case(
        "      - id: confidence-threshold\n        parameters:\n          threshold: 0.7\n",
        "      - id: evidence-required\n"
        "        parameters: {} #! INVALID_GUARD_PARAMETERS transitions.0.guards.0.parameters.requiredFields\n",
    ),
    case(
        "      - id: confidence-threshold\n",
        "      - id: confidence-threshold #! GUARD_NOT_EVALUATED transitions.0.guards.0.id warning\n"
        "        evaluatedBy: external\n",
    ),
    # asking humans
    case('      title: "{{ data.name }}"', '      title: "{{ name }}" #! INVALID_TEMPLATE states.1.approval.title'),
    case(
        '        Name: "{{ data.name }}"',
        '        Name: "{{ data.name" #! INVALID_TEMPLATE states.1.approval.facts.Name',
    ),
    case(
        '          name: "{{ data.name }}"',
        '          name:\n            - "{{ env.HOME }}" #! INVALID_TEMPLATE transitions.2.effects.0.parameters.name.0',
    ),
    case(
        "  - id: RUNNING\n",
        "  - id: RUNNING\n    approval: {approvers: {groups: [sre]}} #! APPROVAL_NEVER_ASKED states.2.approval\n",
    ),
    case(
        "  - id: RUNNING\n",
        "  - id: PENDING_HUMAN_NOBODY #! NO_HUMAN_EXIT states.2\n    approval: {approvers: {groups: [sre]}}\n"
        "  - id: RUNNING\n",
        "  - id: finished\n",
        "  - id: ask\n    from: RUNNING\n    to: PENDING_HUMAN_NOBODY\n    actors: [automation]\n"
        "  - id: forget\n    from: PENDING_HUMAN_NOBODY\n    to: DONE\n    actors: [system]\n  - id: finished\n",
    ),
    case(
        "      approvers:\n        groups: [sre]\n",
        "      approvers: {} #! NO_APPROVERS states.1.approval.approvers\n",
    ),
    case(
        "  - id: RUNNING\n",
        "  - id: PENDING_HUMAN_WAIT #! NO_APPROVERS states.2.approval.approvers warning\n  - id: RUNNING\n",
        "  - id: finished\n",
        "  - id: wait\n    from: RUNNING\n    to: PENDING_HUMAN_WAIT\n    actors: [automation]\n"
        "  - id: go_on\n    from: PENDING_HUMAN_WAIT\n    to: DONE\n    actors: [human]\n  - id: finished\n",
    ),
    case(
        "      approvers:\n        groups: [sre]\n",
        "      stages:\n"
        "        - needs:\n"
        "            - {groups: [sre], quorum: 2}\n"
        "            - {name: lead} #! NO_APPROVERS states.1.approval.stages.0.needs.1\n",
    ),
    case(
        "      approvers:\n        groups: [sre]\n",
        "      stages:\n"
        "        - needs: [{groups: [sre]}]\n"
        "        - needs:\n"
        "            - users: [dana, sam]\n"
        "              quorum: 3 #! QUORUM_OUT_OF_REACH states.1.approval.stages.1.needs.0.quorum\n",
    ),
    case(
        "      approvers:\n        groups: [sre]\n",
        "      stages: #! QUORUM_OUT_OF_REACH states.1.approval.stages\n"
        "        - needs: [{users: [dana]}, {groups: [sre]}]\n"
        "        - needs: [{users: [dana]}]\n",
    ),
    case(
        "      approvers:\n        groups: [sre]\n",
        "      stages: #! QUORUM_WITHOUT_APPROVAL states.1.approval.stages\n"
        "        - needs: [{groups: [sre]}]\n"
        "        - needs: [{users: [dana]}]\n",
        "  - id: approve\n",
        "  - id: grant\n",
    ),
    case(
        "    approval:\n",
        "    approval: #! INVALID_VALUE states.1.approval\n",
        "        groups: [sre]\n",
        "        groups: [sre]\n      stages: [{needs: [{groups: [sre]}]}]\n",
    ),
    case(
        "      approvers:\n        groups: [sre]\n",
        "      stages:\n        - needs: [] #! INVALID_VALUE states.1.approval.stages.0.needs\n",
    ),
    *(
        case("      title:", f"      editable:\n{rules}\n      title:")
        for rules in (
            "        a..b: {type: string} #! INVALID_EDITABLE states.1.approval.editable.a..b",
            "        a: {type: string}\n        a.b: {type: string} #! INVALID_EDITABLE states.1.approval.editable.a.b",
            "        n: {type: int} #! INVALID_EDITABLE states.1.approval.editable.n.type",
            "        n: {typ: integer} #! INVALID_EDITABLE states.1.approval.editable.n.typ",
            "        n:\n          type: integer\n          minimum: '1' #! INVALID_EDITABLE "
            "states.1.approval.editable.n.minimum",
            "        n:\n          type: integer\n          minimum: 5\n"
            "          maximum: 4 #! INVALID_EDITABLE states.1.approval.editable.n.maximum",
            "        n:\n          type: boolean\n          minimum: 5 #! INVALID_EDITABLE "
            "states.1.approval.editable.n.minimum",
            "        n:\n          type: integer\n          maxLength: 5 #! INVALID_EDITABLE "
            "states.1.approval.editable.n.maxLength",
            "        n:\n          maxLength: 5\n          minLength: 6 #! INVALID_EDITABLE "
            "states.1.approval.editable.n.minLength",
            "        n:\n          pattern: (a+)+$ #! INVALID_EDITABLE states.1.approval.editable.n.pattern",
            "        n:\n          enum: [] #! INVALID_EDITABLE states.1.approval.editable.n.enum",
            "        n:\n          type: integer\n          maximum: 4\n          enum:\n            - 4\n"
            "            - 5 #! INVALID_EDITABLE states.1.approval.editable.n.enum.1\n"
            "            - true #! INVALID_EDITABLE states.1.approval.editable.n.enum.2\n"
            "            - 1.5 #! INVALID_EDITABLE states.1.approval.editable.n.enum.3",
        )
    ),
    # parked transitions
    case(
        "    to: DONE\n    actors: [automation]\n",
        "    to: DONE\n    actors: [human, system]\n"
        "    approval: {approvers: {groups: [sre]}} #! APPROVAL_NEVER_ASKED transitions.5.approval\n",
        "        onSuccess: finished\n",
        "",
    ),
    case(
        "    to: RUNNING\n    actors: [human]\n",
        "    to: RUNNING\n"
        "    approval: {approvers: {groups: [sre]}} #! APPROVAL_NEVER_ASKED transitions.2.approval\n"
        "    actors: [human, automation] #! APPROVAL_BYPASS transitions.2.actors warning\n",
    ),
    case(
        "    to: DONE\n    actors: [automation]\n",
        "    to: DONE\n    actors: [automation, system]\n    approval:\n"
        "      approvers: {users: [dana]}\n"
        "      quorum: 2 #! QUORUM_OUT_OF_REACH transitions.5.approval.quorum\n"
        '      title: "{{ nowhere }}" #! INVALID_TEMPLATE transitions.5.approval.title\n'
        "      answers: {approve: finished} #! UNKNOWN_ANSWER transitions.5.approval.answers\n"
        "      expireAfter: 1h\n"
        "      onExpiry: finished #! INVALID_ON_EXPIRY transitions.5.approval.onExpiry\n",
    ),
    case(
        "    to: DONE\n    actors: [automation]\n",
        "    to: DONE\n    actors: [automation]\n    approval:\n"
        "      approvers: {} #! NO_APPROVERS transitions.5.approval.approvers\n",
    ),
    case(
        "        groups: [sre]\n",
        "        users: [dana, dana]\n      quorum: 2 #! QUORUM_OUT_OF_REACH states.1.approval.quorum\n",
    ),
    case(
        "        groups: [sre]\n",
        "        groups: [sre]\n      quorum: 2 #! QUORUM_WITHOUT_APPROVAL states.1.approval.quorum\n",
        "  - id: approve\n",
        "  - id: grant\n",
    ),
    case(
        "      title:",
        "      answers:\n        approve: accept #! UNKNOWN_ANSWER states.1.approval.answers.approve\n      title:",
    ),
    case(
        "    approval:\n",
        "    approval: #! AMBIGUOUS_ANSWERS states.1.approval.answers\n",
        "  - id: reject\n",
        "  - id: approve_later\n",
    ),
    case(
        "    approval:\n",
        "    approval: #! AMBIGUOUS_ANSWERS states.1.approval.answers warning\n",
        "  - id: reject\n",
        "  - id: reject_now\n    from: PENDING_HUMAN_REVIEW\n    to: REFUSED\n    actors: [human]\n  - id: reject\n",
    ),
    case(
        "  - id: reject\n",
        "  - id: patch_and_go\n    from: PENDING_HUMAN_REVIEW\n    to: RUNNING\n    actors: [human]\n"
        "    effects: #! ANSWER_NOT_OFFERED transitions.3.effects\n"
        "      - {integration: deployer, action: patch, onFailure: broke}\n  - id: reject\n",
    ),
    case(
        "    from: PENDING_HUMAN_REVIEW\n    to: REFUSED\n    actors: [human]",
        "    from: PENDING_HUMAN_REVIEW\n    to: REFUSED\n"
        "    actors: [human, ai-agent] #! AI_MAY_DECIDE transitions.3.actors",
    ),
    case(
        "    to: RUNNING\n    actors: [human]",
        "    to: RUNNING\n    actors: [human, automation] #! APPROVAL_BYPASS transitions.2.actors warning",
    ),
    case("      onExpiry: expire", "      onExpiry: reject #! INVALID_ON_EXPIRY states.1.approval.onExpiry"),
    case(
        "      expireAfter: 4h\n      onExpiry: expire",
        "      onExpiry: expire #! ON_EXPIRY_WITHOUT_TIME states.1.approval.onExpiry warning",
    ),
    case("      expireAfter: 4h", "      expireAfter: 1h #! TIMES_OUT_OF_ORDER states.1.approval.expireAfter"),
    case(
        "        - after: 1h\n",
        "        - after: 20m #! TIMES_OUT_OF_ORDER states.1.approval.escalate.0.after\n",
    ),
    case(
        "      expireAfter: 4h",
        "        - {after: 3h, groups: [leads]}\n"
        "        - {after: 2h, groups: [leads]} #! TIMES_OUT_OF_ORDER states.1.approval.escalate.2.after\n"
        "      expireAfter: 4h",
    ),
    case(
        "        - after: 1h\n          channel: leads\n",
        "        - after: 1h #! EMPTY_ESCALATION states.1.approval.escalate.0\n",
    ),
    case(
        "      expireAfter: 4h",
        "      expireAfter: 4h\n      hours: {zone: UTC}\n"
        "      calendar: office #! HOURS_TWICE states.1.approval.calendar",
    ),
    case(
        "          channel: leads\n",
        "          channel: leads\n          need: Money #! ESCALATION_NEED states.1.approval.escalate.0.need\n",
    ),
    # providers and effects
    case(
        "    approval:\n",
        "    provider: #! PROVIDER_NEVER_ASKED states.1.provider\n      use: analyst\n      instruction: Decide.\n"
        "      signals: [approve] #! INVALID_PROVIDER_SIGNAL states.1.provider.signals.0\n"
        "      onFailure: expire\n    approval:\n",
    ),
    case(
        "      signals: [submit]",
        "      signals: [give_up] #! INVALID_PROVIDER_SIGNAL states.0.provider.signals.0",
    ),
    case("      onFailure: give_up", "      onFailure: submit #! INVALID_RESULT_SIGNAL states.0.provider.onFailure"),
    case(
        "        onSuccess: finished",
        "        onSuccess: approve #! INVALID_RESULT_SIGNAL transitions.2.effects.0.onSuccess",
    ),
    case(
        "        onFailure: broke",
        "        onFailure: brok #! INVALID_RESULT_SIGNAL transitions.2.effects.0.onFailure",
    ),
    case(
        "    provider:\n",
        "    provider: #! NO_FAILURE_PATH states.0.provider.onFailure warning\n",
        "      onFailure: give_up\n",
        "",
    ),
    case(
        "      - integration: deployer\n",
        "      - integration: audit #! NO_FAILURE_PATH transitions.2.effects.0.onFailure warning\n"
        "        action: note\n"
        "      - integration: deployer\n",
    ),
    # reading
    case("version: 1.0.0\n", "version: 1.0.0\nid: again #! INVALID_YAML\n"),
]

_MARK = re.compile(r"#! ([A-Z_]+)(?: ([a-zA-Z]\S*))?(?: (warning))?")


def edited(edits: tuple[tuple[str, str], ...]) -> str:
    text = SOUND
    for old, new in edits:
        assert text.count(old) == 1, f"{old!r} does not stand exactly once in the sound file"
        text = text.replace(old, new)
    return text


def marks(text: str) -> list[tuple[int, str, str, str]]:
    return sorted(
        (number, code, path, severity or "error")
        for number, line in enumerate(text.splitlines(), start=1)
        for code, path, severity in _MARK.findall(line)
    )


def test_the_sound_file_has_no_problems() -> None:
    """What every case below starts from is free of errors and warnings."""
    file = read_loop(SOUND.encode(), "sound.yaml")

    assert file.problems == ()
    assert file.definition is not None


@pytest.mark.parametrize("edits", CASES, ids=lambda edits: "+".join(m[1] for m in marks(edited(edits))))
def test_each_problem_is_found_at_its_line(edits: tuple[tuple[str, str], ...]) -> None:
    """What the edit broke is found, with code, path, severity and line; nothing else is; errors keep the file out."""
    text = edited(edits)
    file = read_loop(text.encode(), "loops/change.yaml")
    expected = marks(text)

    found = sorted((f.line, f.problem.code, f.problem.path, f.problem.severity) for f in file.problems)

    assert found == expected
    assert (file.definition is None) == any(severity == "error" for *_, severity in expected)


def test_every_code_has_a_case() -> None:
    """No problem can be added without a file that shows it; the few that need other files are shown below."""
    shown = {mark[1] for edits in CASES for mark in marks(edited(edits))}

    assert shown | {"INVALID_JSON", "UNREADABLE_FILE", "DUPLICATE_LOOP_ID"} == set(get_args(ProblemCode))


def test_a_problem_reads_as_one_line() -> None:
    """File, line, severity, code, path, then what to do: a line an editor can jump to."""
    text = SOUND.replace("      - id: confidence-threshold", "      - id: confidence-treshold")

    (found,) = read_loop(text.encode(), "loops/change.yaml").problems

    assert str(found) == (
        "loops/change.yaml:35: error UNREGISTERED_GUARD transitions.0.guards.0.id: transition 'submit' names guard "
        "'confidence-treshold', which is not registered; did you mean 'confidence-threshold'?"
    )


def test_bad_json_is_found_at_its_line() -> None:
    """A JSON loop file is named by its own syntax."""
    (found,) = read_loop(b'{"id": "x",\n"version" "1.0.0"}', "x.json").problems

    assert str(found) == "x.json:2: error INVALID_JSON: Invalid JSON syntax: Expecting ':' delimiter"


def test_problems_in_json_have_lines_too() -> None:
    """A JSON loop file is checked as a YAML one is."""
    (found,) = read_loop(
        b'{"id": "x", "version": "1.0.0", "initialState": "A",\n'
        b'"states": [{"id": "A", "isTerminal": true}],\n"transition": []}',
        "x.json",
    ).problems

    assert str(found) == "x.json:3: error UNKNOWN_KEY transition: unknown key 'transition'; did you mean 'transitions'?"


def test_a_missing_file_is_a_problem(tmp_path: Path) -> None:
    """Reading never raises: a file that is not there is a problem like any other."""
    (found,) = read_loop_file(tmp_path / "gone.yaml").problems

    assert found.problem.code == "UNREADABLE_FILE"
    assert str(found).endswith("gone.yaml:1: error UNREADABLE_FILE: cannot be read: No such file or directory")


def test_one_loop_in_two_files_is_an_error_naming_both(tmp_path: Path) -> None:
    """Which of two definitions of one id holds would be a guess."""
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text(SOUND)

    with pytest.raises(InvalidLoopFiles) as caught:
        load_directory(tmp_path)

    (found,) = caught.value.problems
    assert (found.problem.code, found.line) == ("DUPLICATE_LOOP_ID", 1)
    assert found.problem.message == (
        f"loop 'test.loop' is defined in {tmp_path / 'a.yaml'} and in {tmp_path / 'b.yaml'}; rename one"
    )

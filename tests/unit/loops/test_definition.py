"""Loop definitions: one meaning in either spelling, pinned by content."""

import copy
from typing import Any

import pytest
from builders import CHANGE
from pydantic import ValidationError

from loops.definition import LoopDefinition

NEWER: dict[str, Any] = {
    "id": "test.loop",
    "version": "1.0.0",
    "initialState": "OPEN",
    "states": [{"id": "OPEN"}, {"id": "PENDING_HUMAN_X"}, {"id": "DONE", "isTerminal": True}],
    "transitions": [
        {
            "id": "ask",
            "from": "OPEN",
            "to": "PENDING_HUMAN_X",
            "actors": ["automation"],
            "guards": [{"id": "cooldown"}],
        },
        {"id": "approve_it", "from": "PENDING_HUMAN_X", "to": "DONE", "actors": ["human"]},
        {"id": "no", "signal": "reject", "from": "PENDING_HUMAN_X", "to": "DONE", "actors": ["human"]},
        {"id": "later", "from": "PENDING_HUMAN_X", "to": "OPEN", "actors": ["human", "system"]},
    ],
}

OLDER: dict[str, Any] = {
    "loopId": "test.loop",
    "version": "1.0.0",
    "initialState": "OPEN",
    "states": [{"stateId": "OPEN"}, {"stateId": "PENDING_HUMAN_X"}, {"stateId": "DONE", "terminal": True}],
    "transitions": [
        {
            "transitionId": "ask",
            "from": "OPEN",
            "to": "PENDING_HUMAN_X",
            "allowedActors": ["webhook"],
            "guards": [{"guardId": "cooldown"}],
        },
        {"transitionId": "approve_it", "from": "PENDING_HUMAN_X", "to": "DONE", "allowedActors": ["human"]},
        {"transitionId": "no", "signal": "reject", "from": "PENDING_HUMAN_X", "to": "DONE", "allowedActors": ["human"]},
        {"transitionId": "later", "from": "PENDING_HUMAN_X", "to": "OPEN", "allowedActors": ["human", "system"]},
    ],
}


def a_definition(**approval: Any) -> LoopDefinition:
    """The loop above, with an approval policy where one is given."""
    data = copy.deepcopy(NEWER)
    if approval:
        data["states"][1]["approval"] = approval
    return LoopDefinition.model_validate(data)


def test_both_spellings_are_one_definition() -> None:
    """The older spelling reads as the same definition, with the same digest."""
    newer, older = LoopDefinition.model_validate(NEWER), LoopDefinition.model_validate(OLDER)

    assert newer == older
    assert newer.digest == older.digest


def test_missing_names_default_to_ids() -> None:
    """A loop's name, a state's label and a transition's signal are its id where the file says nothing."""
    definition = LoopDefinition.model_validate(OLDER)

    assert definition.name == "test.loop"
    assert definition.state("OPEN").label == "OPEN"
    assert definition.transitions[0].signal == "ask"


@pytest.mark.parametrize("signal", ["", " ", 0, False])
def test_an_empty_signal_is_not_a_missing_one(signal: object) -> None:
    """What was written is judged as written; only an absent signal becomes the id."""
    data = copy.deepcopy(NEWER)
    data["transitions"][0]["signal"] = signal

    with pytest.raises(ValidationError):
        LoopDefinition.model_validate(data)


def test_the_written_form_reads_back_as_itself() -> None:
    """The normalised JSON form is camelCase in the newer spelling and keeps the digest."""
    definition = a_definition(quorum=2, expireAfter="4h", onExpiry="later")
    written = definition.as_json()

    assert LoopDefinition.model_validate(written) == definition
    assert LoopDefinition.model_validate(written).digest == definition.digest
    assert written["states"][2]["isTerminal"] is True
    assert written["states"][1]["approval"]["expireAfter"] == "4h"
    assert written["transitions"][0]["from"] == "OPEN"


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d["transitions"][0]["guards"].clear(),
        lambda d: d["transitions"][0]["guards"][0].update(severity="soft"),
        lambda d: d["transitions"][1]["actors"].append("system"),
        lambda d: d["states"][1].update(approval={"quorum": 2}),
        lambda d: d.update(version="1.0.1"),
        lambda d: d["transitions"].reverse(),
    ],
)
def test_the_digest_covers_every_rule(change: Any) -> None:
    """Any change to what is permitted is another definition."""
    data = copy.deepcopy(NEWER)
    change(data)

    assert LoopDefinition.model_validate(data).digest != LoopDefinition.model_validate(NEWER).digest


def test_a_transition_is_found_by_id_before_signal() -> None:
    """Out of a state a transition may be named by its id or by its signal; another state's names mean nothing."""
    definition = a_definition()

    assert definition.exit_named("PENDING_HUMAN_X", "no") == definition.transitions[2]
    assert definition.exit_named("PENDING_HUMAN_X", "reject") == definition.transitions[2]
    assert definition.exit_named("OPEN", "reject") is None
    assert definition.exit_named("NOWHERE", "ask") is None


def test_answers_are_known_by_their_names() -> None:
    """An id or signal that begins with approve or reject is that answer; other human exits are answers of their own."""
    kinds = {transition.id: kind for kind, transition in a_definition().human_exits("PENDING_HUMAN_X")}

    assert kinds == {"approve_it": "approve", "no": "reject", "later": "other"}


def test_the_policy_says_which_answer_is_which() -> None:
    """Where the policy names the answers, names that merely look like them do not count."""
    definition = a_definition(answers={"approve": "no", "reject": "later"})
    kinds = {transition.id: kind for kind, transition in definition.human_exits("PENDING_HUMAN_X")}

    assert kinds == {"approve_it": "other", "no": "approve", "later": "reject"}


@pytest.mark.parametrize(("state_id", "asks"), [("OPEN", False), ("PENDING_HUMAN_X", True), ("DONE", False)])
def test_only_pending_human_states_ask_humans(state_id: str, asks: bool) -> None:
    """The state's id decides whether humans are asked, with or without a policy."""
    assert a_definition().state(state_id).asks_humans is asks


def test_a_field_added_later_changes_no_digest() -> None:
    """Digests are made over what was written, so that an optional field of a later version leaves them as they are."""
    loop = LoopDefinition.model_validate(CHANGE)
    spelled_out = LoopDefinition.model_validate(loop.as_json())

    assert "tags" in loop.as_json()
    assert "tags" not in loop.as_digested()
    assert spelled_out.digest == loop.digest

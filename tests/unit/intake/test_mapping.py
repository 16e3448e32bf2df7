"""What a source's rules may say, and what a delivery means by them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.intake.config import SourceConfig
from gateway.intake.mapping import Ignored, Problems, SignalCommand, StartCommand, interpret
from loops.canonical import canonical_json


def a_source(*rules: dict[str, Any], **changes: Any) -> SourceConfig:
    known = {
        "verifier": "standard-webhooks",
        "secretEnv": "S",
        "actor": {"serviceId": "desk"},
        "rules": list(rules) or [a_rule()],
    }
    return SourceConfig.model_validate(known | changes)


def a_rule(when: dict[str, Any] | None = None, **start: Any) -> dict[str, Any]:
    return {"when": when or {}, "start": {"loop": "a.loop", "aggregateId": "A-1"} | start}


def data_of(source: SourceConfig, body: dict[str, Any], headers: dict[str, str] | None = None) -> Any:
    meaning = interpret(source, body, headers or {})
    assert isinstance(meaning, StartCommand), meaning
    return meaning.data


def test_first_rule_that_fits_counts() -> None:
    """Rules are read in the order of the file."""
    source = a_source(a_rule({"type": "b"}, loop="second"), a_rule({"type": "a"}, loop="first"), a_rule(loop="any"))

    assert interpret(source, {"type": "a"}, {}).loop_id == "first"
    assert interpret(source, {"type": "c"}, {}).loop_id == "any"


@pytest.mark.parametrize(
    ("when", "fits"),
    [
        ({"n": 1}, True),
        ({"n": True}, False),
        ({"n": "1"}, False),
        ({"deep.er": ["a", {"b": None}]}, True),
        ({"deep.er": ["a"]}, False),
        ({"body.n": 1}, True),
        ({"headers.x-event": "push"}, True),
        ({"headers.x-event": "pull"}, False),
        ({"gone": None}, True),
        ({"gone": ""}, False),
        ({"n": 1, "gone": 2}, False),
        ({}, True),
    ],
)
def test_every_value_of_when_must_be_the_same_json(when: dict[str, Any], fits: bool) -> None:
    """1 is not true and not "1"; what is not there is null."""
    body = {"n": 1, "deep": {"er": ["a", {"b": None}]}}
    meaning = interpret(a_source(a_rule(when)), body, {"x-event": "push"})

    assert isinstance(meaning, StartCommand) is fits
    assert isinstance(meaning, Ignored) is not fits


def test_values_keep_their_types_and_texts_are_rendered() -> None:
    """A path or a lone hole is the value itself; a text around holes is text."""
    source = a_source(
        a_rule(
            data={
                "path": "d.list",
                "hole": "{{ body.d.flag }}",
                "text": "n={{ body.d.n }}, from {{ headers.x-event }}",
                "fixed": {"const": {"a": [1, None]}},
                "event": "headers.x-event",
                "all": "body",
            }
        )
    )
    body = {"d": {"list": [1, 2], "flag": False, "n": 0}}

    assert data_of(source, body, {"x-event": "push"}) == {
        "path": [1, 2],
        "hole": False,
        "text": "n=0, from push",
        "fixed": {"a": [1, None]},
        "event": "push",
        "all": body,
    }


def test_optional_fields_are_left_out() -> None:
    """A field that ends in a question mark may be missing, and is named without the mark."""
    source = a_source(a_rule(data={"a?": "a", "b?": "{{ body.b }} and {{ body.c }}", "d?": "d", "e?": {"const": 1}}))

    assert data_of(source, {"a": 1, "b": 2, "d": None}) == {"a": 1, "e": 1}


def test_whole_object_becomes_the_data() -> None:
    """A system that already sends what the loop wants is taken whole."""
    source = a_source(a_rule(whole="payload"))

    assert data_of(source, {"payload": {"a": {"b": 1}}}) == {"a": {"b": 1}}
    assert interpret(source, {"payload": [1]}, {}) == Problems({"payload": "must be an object"})
    assert isinstance(interpret(source, {}, {}), Problems)


def test_signal_carries_evidence() -> None:
    """A signal rule names signal, instance and evidence."""
    source = a_source({"signal": {"name": "done", "aggregateId": "{{ body.id }}", "evidence": {"by": "who"}}})
    meaning = interpret(source, {"id": "A-1", "who": "kim"}, {})

    assert isinstance(meaning, SignalCommand)
    assert (meaning.signal, meaning.aggregate_id, meaning.evidence) == ("done", "A-1", {"by": "kim"})


def test_text_in_a_payload_is_not_a_template() -> None:
    """What a sender writes is never evaluated."""
    source = a_source(a_rule(aggregateId="{{ body.id }}", data={"note": "Note: {{ body.note }}", "raw": "note"}))
    body = {"id": "{{ headers.authorization }}", "note": "{{ headers.authorization }}"}
    meaning = interpret(source, body, {"authorization": "Bearer x"})

    assert isinstance(meaning, StartCommand)
    assert "Bearer" not in str(meaning)


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"secretEnv": None}, "secretEnv"),
        ({"secretEnv": "not a name"}, "secretEnv"),
        ({"secret": "whsec_x"}, "secret"),
        ({"verifier": "none"}, "verifier"),
        ({"toleranceS": 301}, "toleranceS"),
        ({"toleranceS": 0}, "toleranceS"),
        ({"bodyLimit": 0}, "bodyLimit"),
        ({"bodyLimit": 10**9}, "bodyLimit"),
        ({"tenant": "a:b"}, "tenant"),
        ({"tenant": "a\n"}, "tenant"),
        ({"actor": {}}, "serviceId"),
        ({"actor": {"serviceId": "s", "onBehalfOf": "{{ x }}"}}, "not a dotted path"),
        ({"rules": []}, "rules"),
        ({"rules": [{"when": {}}]}, "either start, signal or cancel"),
        ({"rules": [a_rule() | {"signal": {"name": "s", "aggregateId": "a"}}]}, "either start, signal or cancel"),
        ({"rules": [a_rule(aggregateId="")]}, "aggregateId"),
        ({"rules": [a_rule(aggregateId="{{ data.id }}")]}, "under body or headers"),
        ({"rules": [a_rule(aggregateId="{{ body }}")]}, "under body or headers"),
        ({"rules": [a_rule(aggregateId="{{ body.a() }}")]}, "under body or headers"),
        ({"rules": [a_rule(aggregateId="{{ body.a")]}, "without the other end"),
        ({"rules": [a_rule(data={"a": "some words"})]}, "not a dotted path"),
        ({"rules": [a_rule(data={"a": {"cost": 1}})]}, "const"),
        ({"rules": [a_rule(data={"a": {"const": float("nan")}})]}, "not JSON"),
        ({"rules": [a_rule(data={"a": "b"}, whole="c")]}, "not both"),
        ({"rules": [a_rule(dta={})]}, "dta"),
        ({"rules": [a_rule({"a b": 1})]}, "not a dotted path"),
        ({"rules": [a_rule({"a": float("inf")})]}, "not JSON"),
        (
            {"rules": [{"signal": {"name": "s", "aggregateId": "a", "evidence": {"channel": "x"}}}]},
            "is not a source's to give",
        ),
        (
            {"rules": [{"signal": {"name": "s", "aggregateId": "a", "evidence": {"_softGuardWarnings?": "x"}}}]},
            "is not a source's to give",
        ),
    ],
)
def test_rule_that_cannot_work_is_refused_at_start(changes: dict[str, Any], where: str) -> None:
    """A mistake in the file is found when it is read, not by the first delivery."""
    with pytest.raises(ValidationError, match=where.replace("(", r"\(")):
        a_source(**changes)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text(st.characters(codec="utf-8"), max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=12,
)
SOURCE = a_source(
    a_rule({"a": True}, aggregateId="x-{{ body.b }}-{{ body.c.a }}", whole="c"),
    a_rule({}, aggregateId="{{ body.a }}", data={"a": "a.a", "b?": "b.b", "c": "{{ body.a }}{{ body.b }}"}),
    actor={"serviceId": "desk", "onBehalfOf": "b"},
)


@given(st.dictionaries(st.sampled_from("abc"), JSON, max_size=3))
def test_any_payload_maps_to_something_usable(body: dict[str, Any]) -> None:
    """Whatever a payload holds, a command that comes of it is canonical and names things within bounds."""
    meaning = interpret(SOURCE, body, {})

    if isinstance(meaning, StartCommand):
        assert 1 <= len(meaning.aggregate_id) <= 200
        assert meaning.aggregate_id.isprintable()
        assert meaning.actor.on_behalf_of
        canonical_json(meaning.data)
    else:
        assert isinstance(meaning, Problems)
        assert meaning.fields
    assert interpret(SOURCE, body, {}) == meaning

"""Graphs: a loop drawn as Mermaid, with nothing in it that a loop file could add to the drawing."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.loops.definitions import sound_loops

from gateway.loopfiles import load_library
from loops.definition import LoopDefinition
from loops.graph import LINE_MAX, mermaid

LOOP: dict[str, Any] = {
    "id": "test.pay",
    "version": "1.2.0",
    "name": "Pay",
    "initialState": "ASSESSING",
    "states": [
        {
            "id": "ASSESSING",
            "label": "Assessing",
            "provider": {"use": "analyst", "instruction": "", "signals": ["ask"]},
        },
        {
            "id": "PENDING_HUMAN_REVIEW",
            "approval": {
                "stages": [{"needs": [{"groups": ["sre"], "quorum": 2}]}, {"needs": [{"users": ["dana"]}]}],
                "expireAfter": "90m",
                "onExpiry": "expire",
            },
        },
        {"id": "PAID", "isTerminal": True},
        {"id": "LOST", "isTerminal": True, "isError": True},
    ],
    "transitions": [
        {
            "id": "ask",
            "from": "ASSESSING",
            "to": "PENDING_HUMAN_REVIEW",
            "actors": ["ai-agent", "automation"],
            "guards": [{"id": "confidence-threshold"}, {"id": "cooldown", "severity": "soft"}],
            "approval": {"approvers": {"groups": ["leads"]}},
        },
        {
            "id": "approve_it",
            "signal": "approve",
            "from": "PENDING_HUMAN_REVIEW",
            "to": "PAID",
            "actors": ["human"],
            "effects": [{"integration": "erp", "action": "pay"}],
        },
        {"id": "expire", "from": "PENDING_HUMAN_REVIEW", "to": "LOST", "actors": ["system"]},
    ],
}


def test_a_loop_is_drawn_with_all_that_governs_it() -> None:
    """Signals, actors, guards, who approves, until when, and what runs: a reviewer needs no other page."""
    drawn = mermaid(LoopDefinition.model_validate(LOOP))

    assert drawn.split("  classDef")[0] == (
        "---\n"
        'title: "Pay 1.2.0"\n'
        "config: {flowchart: {nodeSpacing: 80, rankSpacing: 90, curve: monotoneY}}\n"
        "---\n"
        "flowchart TD\n"
        "  start(( )):::start\n"
        '  s0["Assessing<br/>ASSESSING<br/>asks analyst"]:::asked\n'
        '  s1{{"PENDING_HUMAN_REVIEW<br/>approved by 2 of sre, then 1 of dana<br/>within 1h30m"}}:::human\n'
        '  s2(["PAID"]):::done\n'
        '  s3(["LOST"]):::error\n'
        "  start --> s0\n"
        '  s0 -->|"ask<br/>ai-agent, automation<br/>if confidence-threshold, (cooldown)<br/>approved by 1 of leads"'
        "| s1\n"
        '  s1 -->|"approve<br/>as approve_it<br/>human<br/>runs erp#58; pay"| s2\n'
        '  s1 -.->|"expire<br/>system"| s3\n'
    )


def test_every_style_that_is_used_is_defined() -> None:
    """The shipped loops draw with every class they name."""
    for definition in load_library().all().values():
        drawn = mermaid(definition)

        assert set(re.findall(r":::(\w+)", drawn)) <= set(re.findall(r"classDef (\w+)", drawn))


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        ('"]; click s0 "javascript:x"', "#34;#93;#59; click s0 #34;javascript#58;x#34;"),
        ("<script>", "#60;script#62;"),
        ("#quot;", "#35;quot#59;"),
        ("`**bold**`", "#96;#42;#42;bold#42;#42;#96;"),
        ("1. list", "1#46; list"),
        ("- list", "#45; list"),
        ("12) list", "12#41; list"),
        ("fa:fa-user", "fa#58;#8203;fa-user"),
        ("$$x$$", "#36;#8203;#36;x#36;#8203;#36;"),
        ("%%{init: {}}%%", "#37;#37;#123;init#58; #123;#125;#125;#37;#37;"),
        ("a\u202eb\x00", "a#65533;b#65533;"),
        ("Freigabe für Zürich", "Freigabe für Zürich"),
        ("x" * 100, "x" * (LINE_MAX - 1) + "#8230;"),
    ],
)
def test_text_of_a_loop_file_is_drawn_as_text(text: str, drawn: str) -> None:
    """No label ends its quotes, becomes markup, a list, an icon, a formula or a directive."""
    loop = {**LOOP, "states": [{**LOOP["states"][0], "label": text}, *LOOP["states"][1:]]}

    assert f'  s0["{drawn}<br/>ASSESSING<br/>asks analyst"]:::asked\n' in mermaid(LoopDefinition.model_validate(loop))


def test_a_title_stays_in_its_line() -> None:
    """The name of a loop cannot end the header it stands in."""
    name = 'x"\n---\nflowchart: #'

    header = mermaid(LoopDefinition.model_validate({**LOOP, "name": name})).splitlines()[:4]

    assert header[0] == header[3] == "---"
    assert json.loads(header[1].removeprefix("title: ")) == f"{name} 1.2.0"


@given(sound_loops(), st.text(max_size=30))
def test_any_loop_draws_one_line_for_each_part(data: dict[str, Any], name: str) -> None:
    """Whatever its texts, a drawing has the states and transitions of its definition and nothing else."""
    definition = LoopDefinition.model_validate({**data, "name": name})

    lines = mermaid(definition).split("\n")

    assert sum(":::" in line for line in lines[4:]) == len(definition.states) + 1
    arrows = [line for line in lines if re.fullmatch(r'  s\d+ (-->|-\.->)\|"[^"]*"\| s\d+', line)]
    assert len(arrows) == len(definition.transitions)
    for line in lines[4:]:
        assert re.fullmatch(r"[^<>`$%\\]*", line.replace("<br/>", "").replace("-->", "").replace("-.->", ""))

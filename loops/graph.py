"""Graphs: a loop definition drawn as a Mermaid flowchart, for people who decide whether its rules are right."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence

from loops.definition import LoopDefinition, State, Transition
from loops.durations import format_duration
from loops.policy import ApprovalPolicy

#: Characters of one line of a label; what is longer is cut visibly, or a diagram is wider than any page.
LINE_MAX = 60

#: What stands for itself in a quoted label. Everything else is written as an entity: no text of a loop file can end a
#: label, begin markup or Markdown, or add to the diagram.
#: Source: mermaid.js.org, syntax/flowchart (special characters that break syntax; entity codes).
_PLAIN = re.compile(r"[A-Za-z0-9 _.,()-]")
#: An icon and a formula, which Mermaid makes of decoded text: a space of no width between keeps them text.
_MADE_OF_TEXT = re.compile(r"(?<=\$)(?=\$)|(?<=:)(?=fa-)")
_NO_WIDTH = "\u200b"
#: At the beginning of a label Mermaid takes these for a Markdown list.
_LIST = re.compile(r"(\s*)([0-9]+)?([.)*+-])")

_STYLES = {
    "human": "fill:#fff3cd,stroke:#b58105,stroke-width:2px,color:#1f2328",
    "asked": "fill:#e7eefe,stroke:#3b5bdb,color:#1f2328",
    "plain": "fill:#f6f8fa,stroke:#8c959f,color:#1f2328",
    "done": "fill:#dff3e4,stroke:#2b8a3e,color:#1f2328",
    "error": "fill:#fde2e1,stroke:#c92a2a,color:#1f2328",
    "start": "fill:#1f2328,stroke:#1f2328,color:#1f2328",
}


def mermaid(definition: LoopDefinition) -> str:
    """
    Return *definition*, one that passed the check, as a Mermaid flowchart.

    States that ask humans are hexagons, terminal ones have round ends, errors are red. A transition is labelled with
    its signal, the actors that may take it, its guards (soft ones in brackets), who must approve it where it is
    parked, and what it runs. Those that only the system takes are dotted.
    """
    names = {state.id: f"s{index}" for index, state in enumerate(definition.states)}
    lines = [
        "---",
        f"title: {json.dumps(f'{definition.name} {definition.version}')}",
        "config: {flowchart: {nodeSpacing: 80, rankSpacing: 90, curve: monotoneY}}",
        "---",
        "flowchart TD",
        "  start(( )):::start",
        *(f"  {names[state.id]}{_box(state)}:::{_style(state)}" for state in definition.states),
        f"  start --> {names[definition.initial_state]}",
        *(_arrow(transition, names[transition.from_], names[transition.to]) for transition in definition.transitions),
        *(f"  classDef {style} {css}" for style, css in _STYLES.items()),
    ]
    return "\n".join(lines) + "\n"


def _box(state: State) -> str:
    lines = [state.label or state.id]
    if state.id != state.label:
        lines.append(state.id)
    if state.asks_humans:
        lines += _asking(state.approval or ApprovalPolicy())
    elif state.provider:
        lines.append(f"asks {state.provider.use}")
    text = _label(lines)
    if state.asks_humans:
        return f"{{{{{text}}}}}"
    return f"([{text}])" if state.is_terminal else f"[{text}]"


def _style(state: State) -> str:
    if state.is_error:
        return "error"
    if state.asks_humans:
        return "human"
    if state.is_terminal:
        return "done"
    return "asked" if state.provider else "plain"


def _arrow(transition: Transition, start: str, end: str) -> str:
    lines = [transition.signal]
    if transition.id != transition.signal:
        lines.append(f"as {transition.id}")
    lines.append(", ".join(transition.actors))
    if transition.guards:
        guards = [rule.id if rule.severity == "hard" else f"({rule.id})" for rule in transition.guards]
        lines += _wrapped(guards, "if ")
    if transition.approval:
        lines += _asking(transition.approval)
    lines += [f"runs {call.integration}: {call.action}" for call in transition.effects]
    line = "-.->" if transition.actors == ("system",) else "-->"
    return f"  {start} {line}|{_label(lines)}| {end}"


def _asking(policy: ApprovalPolicy) -> Iterator[str]:
    yield from _wrapped(policy.named().split(", "), "approved by ")
    if policy.expire_after:
        yield f"within {format_duration(policy.expire_after)}"


def _wrapped(words: Iterable[str], start: str) -> Iterator[str]:
    """Yield *words* with commas between them, in lines that are not cut unless one word is too long."""
    line = start
    for word in words:
        if line == start:
            line += word
        elif len(line) + len(word) > LINE_MAX - 3:
            yield f"{line},"
            line = word
        else:
            line = f"{line}, {word}"
    yield line


def _label(lines: Sequence[str]) -> str:
    return '"' + "<br/>".join(_escaped(line) for line in lines) + '"'


def _escaped(line: str) -> str:
    if len(line) > LINE_MAX:
        line = line[: LINE_MAX - 1] + "…"
    line = _MADE_OF_TEXT.sub(_NO_WIDTH, "".join(_visible(character) for character in line))
    found = _LIST.match(line)
    listed = found.start(3) if found else -1
    return "".join(
        character if _PLAIN.match(character) and place != listed else _entity(character)
        for place, character in enumerate(line)
    )


def _visible(character: str) -> str:
    return character if character.isprintable() else "\ufffd"


def _entity(character: str) -> str:
    return character if character.isalpha() else f"#{ord(character)};"

"""Loop definitions to test with: any at all that pass the check, in either spelling, as plain data."""

from typing import Any

from hypothesis import strategies as st

#: Text that YAML, JSON and humans read in different ways.
AWKWARD = [
    "yes",
    "1e3",
    "0x1f",
    "~",
    "null",
    ".inf",
    "1_0",
    "012",
    "1:30",
    "- x",
    "a: b",
    "#",
    "é\u2028",
    "'",
    '"',
    "\t",
]
WORDS = st.text("abcdef-._ é", min_size=1, max_size=8).filter(str.strip)
TEXT = st.sampled_from(AWKWARD) | st.text(st.characters(codec="utf-8"), max_size=12)
NUMBERS = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
NAMES = st.lists(st.text("abcxyz", min_size=1, max_size=5), min_size=1, max_size=3, unique=True)
SPANS = st.sampled_from(["90s", "1m30s", "5d", "120h", "1h30m"])

GUARDS = [
    {"id": "human-only"},
    {"id": "confidence-threshold", "parameters": {"threshold": 0.5}},
    {"id": "confidence-threshold", "parameters": {"threshold": 1}, "severity": "soft"},
    {"id": "evidence-required", "parameters": {"requiredFields": ["a.b", "c"]}},
    {"id": "cooldown", "parameters": {"cooldownMs": 60_000}},
    {"id": "credit-check", "evaluatedBy": "external", "parameters": {"anything": [1, {"x": None}]}},
    {"id": "house-rule", "evaluatedBy": "external", "failureMessage": "No."},
]
EDITABLE = [
    {"type": "integer", "minimum": 1, "maximum": 20},
    {"type": "number", "enum": [1, 2.5]},
    {"type": "string", "maxLength": 40, "pattern": "^[a-z]+$"},
    {"type": "boolean"},
    {},
]

#: A key's older spelling, and whether it is that of a list of mappings.
OLDER = {
    "": {"id": "loopId"},
    "states": {"id": "stateId", "isTerminal": "terminal"},
    "transitions": {"id": "transitionId", "actors": "allowedActors"},
    "guards": {"id": "guardId"},
}


@st.composite
def policies(draw: st.DrawFn, on_expiry: str | None) -> dict[str, Any]:
    """An approval policy that somebody can satisfy."""
    policy: dict[str, Any] = {}
    joined: dict[str, Any] = {"groups": ["leads"], "onCall": "primary"}
    if draw(st.booleans()):
        policy |= {"approvers": {"groups": draw(NAMES)}, "quorum": draw(st.integers(1, 5))}
    else:
        need = st.fixed_dictionaries(
            {"groups": NAMES}, optional={"name": WORDS, "users": NAMES, "quorum": st.integers(1, 4)}
        )
        stage = st.fixed_dictionaries({"needs": st.lists(need, min_size=1, max_size=3)}, optional={"name": WORDS})
        policy["stages"] = draw(st.lists(stage, min_size=1, max_size=3))
        name = policy["stages"][0]["needs"][0].get("name")
        joined = {**joined, "need": name} if name and name.strip() else {"channel": "y"}
    policy |= draw(
        st.fixed_dictionaries(
            {},
            optional={
                "channel": WORDS,
                "separation": st.lists(st.sampled_from(["requester", "submitter"]), unique=True),
                "title": st.just("{{ data.name }}: {{ evidence.x }}") | WORDS,
                "facts": st.dictionaries(TEXT, WORDS | st.just("{{ requester.id }}"), max_size=3),
                "reason": st.just({"approve": "none", "reject": "optional"}),
                "editable": st.dictionaries(st.sampled_from(["a", "b.c", "d"]), st.sampled_from(EDITABLE)),
                "remindAfter": st.just("60s"),
                "reminders": st.integers(1, 20),
                "escalate": st.just([{"after": "2m", **joined}, {"after": "180s", "channel": "x"}]),
                "hours": st.just({"zone": "Europe/Vienna", "days": ["mon-fri"], "holidays": ["12-25"]}),
                "reassign": st.sampled_from(["no", "approvers", "anyone"]),
            },
        )
    )
    if draw(st.booleans()):
        policy["expireAfter"] = draw(st.sampled_from(["4m", "1h30m", "5d", "120h"]))
        if on_expiry:
            policy["onExpiry"] = on_expiry
    return policy


@st.composite
def sound_loops(draw: st.DrawFn) -> dict[str, Any]:
    """Plain data of a loop file without errors, in the newer spelling: a line of states with ways out of each."""
    count = draw(st.integers(1, 4))
    names = [f"S{n} {draw(st.sampled_from(['', 'x', 'é', '#1']))}".strip() for n in range(count)]
    guards = st.lists(st.sampled_from(GUARDS), max_size=3, unique_by=lambda rule: rule["id"])
    labels = st.fixed_dictionaries({}, optional={"label": TEXT.filter(bool), "description": TEXT})
    states: list[dict[str, Any]] = []
    transitions: list[dict[str, Any]] = []
    for index, name in enumerate(names):
        onward = names[index + 1] if index + 1 < count else "DONE"
        state: dict[str, Any] = {"id": name, **draw(labels)}
        move: dict[str, Any] = {"id": f"go_{index}", "from": name, "to": onward, "guards": draw(guards), **draw(labels)}
        kind = draw(st.sampled_from(["plain", "asks", "human", "parked"]))
        give_up = {"id": f"give_up_{index}", "from": name, "to": "FAILED", "actors": ["system"]}
        if kind == "human":
            state["id"] = move["from"] = give_up["from"] = f"PENDING_HUMAN_{index}"
            if index:
                for earlier in transitions:
                    earlier["to"] = state["id"] if earlier["to"] == name else earlier["to"]
            names[index] = state["id"]
            state["approval"] = draw(policies(give_up["id"]))
            move |= {"signal": f"approve_{index}", "actors": ["human"]}
            move["effects"] = [
                {"integration": "erp", "action": "pay", "parameters": draw(st.dictionaries(WORDS, WORDS))}
            ]
        elif kind == "asks":
            state["provider"] = {
                "use": draw(WORDS),
                "instruction": draw(TEXT),
                "signals": [move["id"]],
                "onFailure": give_up["id"],
            }
            move["actors"] = ["ai-agent", "automation"]
        else:
            move["actors"] = draw(st.sampled_from([["human", "automation"], ["webhook"], ["automation", "ai-agent"]]))
            if kind == "parked":
                move["approval"] = draw(policies(give_up["id"]))
        states.append(state)
        transitions += [move, give_up]
    states += [{"id": "DONE", "isTerminal": True}, {"id": "FAILED", "isTerminal": True, "isError": True}]
    extra = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "name": TEXT,
                "description": TEXT,
                "domain": TEXT,
                "tags": st.lists(TEXT, max_size=3),
                "metadata": st.dictionaries(TEXT, JSON, max_size=3),
                "spawnableLoops": JSON,
                "participants": JSON,
                "outcome": st.just({"valueUnit": "x", "businessMetrics": [{"id": "m", "improvableByAI": True}]}),
            },
        )
    )
    head = {"id": f"test.{draw(WORDS)}", "version": draw(st.sampled_from(["1.0.0", "0.1.0-rc.1+b"]))}
    return {**head, "initialState": states[0]["id"], "states": states, "transitions": transitions, **extra}


def in_older_spelling(value: Any, inside: str = "") -> Any:
    """Return a loop file's data with every key in its older spelling, where there is one."""
    if isinstance(value, list):
        return [in_older_spelling(item, inside) for item in value]
    if not isinstance(value, dict) or inside not in OLDER:
        return value
    return {
        OLDER[inside].get(key, key): in_older_spelling(item, key) if key in OLDER else item
        for key, item in value.items()
    }

"""
Worlds: a loop with whatever its author, an agent or a webhook may write, and a request in it with any history.

The real engine on the in-memory store makes every state, so no face is shown that could not come about. What is drawn
is a spec: `Spec.build` plays it. One seed decides which text stands where; drawing each on its own would take minutes.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from random import Random
from typing import Any, Literal

from builders import TENANT, House, a_house, a_person, an_answer, ci, person
from hypothesis import strategies as st
from unit.slack.nasty import nasty_text

from loops.actors import AiAgent
from loops.approvals import ApprovalRequest, HumanAsk
from loops.definition import LoopDefinition

LOOP, AGGREGATE = "any.change", "CHG-7"

#: How much there is of everything: one of each, what is usual, all that the engine takes.
Size = Literal["bare", "usual", "huge"]

CLICKED = {"slackTeamId": "T1", "slackUserId": "UDANA", "slackChannelId": "C1", "slackMessageTs": "1.2"}

#: What an editable value may be, and what it is now.
EDITABLE: dict[str, tuple[dict[str, Any], Any]] = {
    "replicas": ({"type": "integer", "minimum": 1, "maximum": 500}, 12),
    "ratio": ({"type": "number", "minimum": -0.5}, 0.1),
    "dry": ({"type": "boolean"}, False),
    "mode": ({"type": "string", "enum": ["fast", "*slow*", "<!channel>"]}, "fast"),
    "note": ({"type": "string", "minLength": 1, "maxLength": 3_000}, None),
    "long": ({"type": "string"}, None),
}


@dataclass(frozen=True)
class World:
    """A house in which one request has come to stand somehow."""

    house: House
    request: ApprovalRequest


@dataclass(frozen=True)
class Spec:
    """What a world is built from; equal specs give equal worlds."""

    seed: int
    size: Size
    pool: tuple[str, ...]
    history: tuple[str, ...]
    is_parked: bool = False
    #: One approval is enough, and anybody's counts; parts may be handed over.
    is_simple: bool = False
    #: What runs reports back and moves the loop.
    reports: bool = True
    #: How many more of its kind wait beside it, so that several may be approved at once.
    beside: int = 1
    dice: Random = field(init=False, repr=False, compare=False)

    async def build(self) -> World:
        """Play it."""
        spec = replace(self)
        object.__setattr__(spec, "dice", Random(self.seed))
        return await spec._play()

    # Texts

    def text(self, longest: int = 3) -> str:
        """Some of the pool; in a huge world a lot of it, but all of a world's data is at most 256 kB."""
        times = {"bare": 0, "usual": 1, "huge": 8}[self.size]
        return "".join(self.dice.choices(self.pool, k=self.dice.randint(0, longest * times)))[: 200 * longest]

    def name(self, longest: int = 100) -> str:
        """A text that is never empty."""
        return f"n{self.text()}"[:longest]

    def many(self, most: int) -> int:
        """A number of things."""
        return {"bare": 0, "usual": min(2, most), "huge": most}[self.size]

    # The loop

    def definition(self) -> LoopDefinition:
        """Return the loop: its author wrote every text in it."""
        runs = [
            {
                "integration": f"deployer-{number}",
                "action": f"roll-{number}-{'o' * 60}",
                "parameters": {"service": "{{ data.service }}", "all": "{{ data.blob }}", self.name(40): self.text()},
                **({"onSuccess": "done", "onFailure": "failed"} if self.reports else {}),
            }
            for number in range(1 + self.many(8))
        ]
        others = [
            {"id": f"other_{number}", "from": "PENDING_HUMAN_APPROVAL", "to": "REJECTED", "actors": ["human"]}
            | ({"label": self.name(300)} if number % 2 else {})
            for number in range(self.many(30))
        ]
        policy = self.policy()
        to = {"from": "PENDING_HUMAN_APPROVAL", "to": "ROLLING_OUT"}
        parked = {
            "id": "roll_out",
            "from": "ANALYZING",
            "to": "ROLLING_OUT",
            "label": self.name(),
            "actors": ["ai-agent"],
        }
        return LoopDefinition.model_validate(
            {
                "id": LOOP,
                "version": "1.0.0",
                "name": self.name(),
                "description": self.text(30),
                "initialState": "ANALYZING",
                "states": [
                    {"id": "ANALYZING"},
                    {"id": "PENDING_HUMAN_APPROVAL", "approval": policy},
                    {"id": "ROLLING_OUT"},
                    {"id": "COMPLETE", "isTerminal": True},
                    {"id": "REJECTED", "isTerminal": True},
                    {"id": "FAILED", "isTerminal": True, "isError": True},
                ],
                "transitions": [
                    {
                        "id": "submit",
                        "from": "ANALYZING",
                        "to": "PENDING_HUMAN_APPROVAL",
                        "actors": ["ai-agent"],
                        "guards": [
                            {"id": "confidence-threshold", "severity": "soft", "parameters": {"threshold": 0.99}},
                            {"id": "evidence-required", "severity": "soft", "parameters": {"requiredFields": ["gone"]}},
                        ],
                    },
                    {"id": "approve", **to, "label": self.name(200), "actors": ["human"], "effects": runs},
                    {"id": "reject", "from": to["from"], "to": "REJECTED", "actors": ["human"]},
                    {"id": "move_on", "from": to["from"], "to": "COMPLETE", "actors": ["automation"]},
                    {"id": "expire", "from": to["from"], "to": "REJECTED", "actors": ["system"]},
                    {"id": "done", "from": "ROLLING_OUT", "to": "COMPLETE", "actors": ["automation"]},
                    {"id": "failed", "from": "ROLLING_OUT", "to": "FAILED", "actors": ["automation"]},
                    *others,
                    *(
                        [parked | {"approval": {k: v for k, v in policy.items() if k != "onExpiry"}}]
                        if self.is_parked
                        else ()
                    ),
                ],
            }
        )

    def policy(self) -> dict[str, Any]:
        """Return an approval policy."""
        choice = self.dice.choice
        policy: dict[str, Any] = {
            "channel": "sre-approvals",
            "title": choice(
                (None, "{{ data.service }}", f"{{{{ data.service }}}} {self.text(10)}".replace("\x00", ""))
            ),
            "facts": {f"{number} {self.name(60)}": self.fact() for number in range(self.many(200))},
            "reason": {"approve": choice(("none", "optional", "required")), "reject": choice(("optional", "required"))},
            "reassign": choice(("no", "approvers", "anyone")),
            "risk": choice(("low", "high")),
            "expireAfter": "4h",
            "onExpiry": "expire",
            "separation": choice(([], ["requester"], ["requester", "submitter"])),
        }
        if self.is_simple or self.dice.random() < 0.5:
            policy["editable"] = {path: rule for path, (rule, _) in EDITABLE.items()}
            policy["editable"] |= {f"more.{number}": {"type": "string"} for number in range(self.many(120))}
        if self.is_simple:
            return policy | {
                "approvers": {"groups": ["sre"], "users": ["kim"]},
                "separation": [],
                "reassign": "approvers",
                "reason": {"approve": "optional", "reject": "required"},
            }
        if self.dice.random() < 0.4:
            return policy | {"stages": self.stages()}
        return policy | {"approvers": {"groups": ["sre"], "users": ["kim"]}, "quorum": choice((1, 1, 2, 50))}

    def fact(self) -> str:
        """Return a fact's template; few are of the large value."""
        return self.dice.choice(("{{ data.service }}", "{{ data.long }}") * 8 + ("x", "{{ data.blob }}"))

    def stages(self) -> list[dict[str, Any]]:
        """Return stages with needs of every kind."""

        def need(number: int) -> dict[str, Any]:
            named = {"name": self.name(200)} if self.dice.random() < 0.5 else {}
            return {"groups": ["sre"] if number == 0 else ["finance"], "quorum": 1 + number % 2, **named}

        return [{"needs": [need(n) for n in range(1 + self.many(9))]} for _ in range(1 + self.many(9))]

    # What happens

    async def _play(self) -> World:
        house = a_house(self.definition())
        for person_id in ("dana", "sam", "robin", "kim"):
            known = house.people.known[person_id]
            house.people.known[person_id] = replace(known, name=f"{person_id} {self.name()}"[:200])
        house.people.known["lee"] = a_person("lee")
        data = {path: self.text(30)[:3_000] or "x" if value is None else value for path, (_, value) in EDITABLE.items()}
        data |= {
            "service": self.text(20),
            "blob": self.blob(),
            "more": {str(n): self.text() for n in range(self.many(120))},
        }
        request = await self._propose(house, AGGREGATE, data)
        for number in range(self.beside):
            await self._propose(house, f"CHG-{8 + number}", data)
        for step in self.history:
            await STEPS[step](self, house, request.request_id)
        return World(house, await _request(house, request.request_id))

    async def _propose(self, house: House, aggregate: str, data: dict[str, Any]) -> ApprovalRequest:
        start = await house.engine.start(
            tenant=TENANT, loop_id=LOOP, aggregate_id=aggregate, data=data, actor=ci("robin")
        )
        assert start.instance is not None, start
        outcome = await house.engine.transition(
            tenant=TENANT,
            aggregate_id=aggregate,
            transition="roll_out" if self.is_parked else "submit",
            actor=AiAgent(
                id="vendor:model", model_id=self.name(), provider=self.name(), confidence=0.3, on_behalf_of="robin"
            ),
            evidence={"confidence": 0.3, "reasoning": self.text(200), self.name(): {"deep": self.text(9)}},
        )
        assert outcome.request is not None, outcome
        return outcome.request

    def blob(self) -> Any:
        """Something deep, and in a huge world 5 kB long; every run and many facts take it along."""
        deep: Any = self.text()
        for _ in range(self.many(14)):
            deep = {self.name(10): [deep, self.text(1)]}
        return {"deep": deep, "long": "word " * self.many(1_000)}


async def _request(house: House, request_id: str) -> ApprovalRequest:
    found = await house.store.load_request(TENANT, request_id)
    assert found is not None
    assert found.request is not None
    return found.request


def _answering(transition: str, by: str | None) -> Callable[[Spec, House, str], Awaitable[None]]:
    async def step(spec: Spec, house: House, request_id: str) -> None:
        request = await _request(house, request_id)
        meant = next((each.transition_id for each in request.answers if each.kind == transition), transition)
        reason = spec.name(2_900) if spec.dice.random() < 0.8 else None
        await house.engine.answer(an_answer(request, meant, by, reason=reason), tenant=TENANT)

    return step


async def _enough(spec: Spec, house: House, request_id: str) -> None:
    """Everybody who may approves; where it takes more than there are, it stays open."""
    for by in ("dana", "sam", "kim", "robin"):
        await _answering("approve", by)(spec, house, request_id)


async def _edit(spec: Spec, house: House, request_id: str) -> None:
    request = await _request(house, request_id)
    approving = next(each.transition_id for each in request.answers if each.kind == "approve")
    edits = {"replicas": spec.dice.randint(1, 500), "long": spec.name(1_900), "dry": True}
    await house.engine.answer(an_answer(request, approving, "sam", edits=edits, reason="r"), tenant=TENANT)


async def _ask(spec: Spec, house: House, request_id: str) -> None:
    key = f"k{spec.dice.random()}"
    asking = HumanAsk(request_id=request_id, by=person("dana"), question=spec.name(2_900), channel=CLICKED, key=key)
    await house.engine.consult(asking, tenant=TENANT)


async def _inform(spec: Spec, house: House, request_id: str) -> None:
    for question in (await _request(house, request_id)).questions:
        await house.engine.inform(
            tenant=TENANT, request_id=request_id, question_id=question.question_id, text=spec.name(2_900), actor=ci()
        )


async def _hand_over(spec: Spec, house: House, request_id: str) -> None:
    key, reason = f"k{spec.dice.random()}", spec.name(2_900)
    handing = HumanAsk(
        request_id=request_id, by=person("dana"), to_person="kim", reason=reason, channel=CLICKED, key=key
    )
    await house.engine.consult(handing, tenant=TENANT)


async def _leave_group(spec: Spec, house: House, request_id: str) -> None:
    house.people.known["dana"] = replace(house.people.known["dana"], groups=frozenset())


async def _expire(spec: Spec, house: House, request_id: str) -> None:
    house.clock.move(timedelta(hours=5))
    for deadline in await house.store.due(house.clock.now()):  # type: ignore[attr-defined]
        await house.engine.fall_due(deadline)


async def _withdraw(spec: Spec, house: House, request_id: str) -> None:
    await house.engine.withdraw(
        tenant=TENANT, request_id=request_id, actor=person("robin"), reason=spec.text(9) or None
    )


async def _cancel(spec: Spec, house: House, request_id: str) -> None:
    await house.engine.cancel(tenant=TENANT, aggregate_id=AGGREGATE, actor=person("robin"), reason=spec.name(999))


async def _suspend(spec: Spec, house: House, request_id: str) -> None:
    await house.engine.suspend(tenant=TENANT, aggregate_id=AGGREGATE, actor=ci(), reason=spec.name(999))


async def _resume(spec: Spec, house: House, request_id: str) -> None:
    await house.engine.resume(tenant=TENANT, aggregate_id=AGGREGATE, actor=ci())


async def _fail(spec: Spec, house: House, request_id: str) -> None:
    await house.engine.fail(tenant=TENANT, aggregate_id=AGGREGATE, actor=ci(), code="c", message=spec.name(999))


async def _move_on(spec: Spec, house: House, request_id: str) -> None:
    await house.engine.signal(tenant=TENANT, aggregate_id=AGGREGATE, signal="move_on", actor=ci(), evidence={})


def _settling(*, succeeded: bool) -> Callable[[Spec, House, str], Awaitable[None]]:
    async def step(spec: Spec, house: House, request_id: str) -> None:
        house.clock.move(timedelta(minutes=1))
        instance_id = (await _request(house, request_id)).instance_id
        for effect in await house.effects(instance_id, "integration.run"):
            claim = await house.store.claim(effect.effect_id, lease=timedelta(minutes=1))  # type: ignore[attr-defined]
            if claim:
                detail = {"error": spec.text(90), "message": spec.text(9), "id": spec.name()}
                await house.engine.settle(effect, claim.fence, succeeded=succeeded, detail=detail)
                return

    return step


#: What may happen to a request. Those that come too late, or from the wrong person, become refusals on the ledger.
STEPS: dict[str, Callable[[Spec, House, str], Awaitable[None]]] = {
    "dana approves": _answering("approve", "dana"),
    "sam approves": _answering("approve", "sam"),
    "kim approves": _answering("approve", "kim"),
    "robin approves": _answering("approve", "robin"),
    "somebody unknown approves": _answering("approve", None),
    "somebody approves": _enough,
    "dana rejects": _answering("reject", "dana"),
    "dana answers otherwise": _answering("other", "dana"),
    "sam edits": _edit,
    "dana asks": _ask,
    "CI answers": _inform,
    "dana hands over": _hand_over,
    "dana leaves her group": _leave_group,
    "time runs out": _expire,
    "robin withdraws": _withdraw,
    "robin cancels": _cancel,
    "CI suspends": _suspend,
    "CI resumes": _resume,
    "CI gives up": _fail,
    "CI moves on": _move_on,
    "it ran": _settling(succeeded=True),
    "it failed": _settling(succeeded=False),
}


def specs(**fixed: Any) -> st.SearchStrategy[Spec]:
    """Return a strategy for worlds; *fixed* are fields that do not vary."""
    drawn: dict[str, st.SearchStrategy[Any]] = {
        "seed": st.integers(0, 2**32),
        "size": st.sampled_from(("bare", "usual", "usual", "huge")),
        "pool": st.lists(nasty_text(), min_size=1, max_size=5).map(lambda texts: tuple(_written(t) for t in texts)),
        "history": st.lists(st.sampled_from(sorted(STEPS)), max_size=8).map(tuple),
        "is_parked": st.booleans(),
        "is_simple": st.booleans(),
        "reports": st.booleans(),
        "beside": st.integers(0, 2),
    }
    return st.builds(Spec, **{name: st.just(fixed[name]) if name in fixed else each for name, each in drawn.items()})


def _written(text: str) -> str:
    # A loop file with half a template in it is refused before anybody is asked.
    return text.replace("{", "(").replace("}", ")")

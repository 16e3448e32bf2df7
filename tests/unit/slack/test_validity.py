"""
All that is said to Slack, whatever a request holds and whatever became of it: taken, complete, and in nobody's name.

Worlds (`worlds`) are made by the real engine; a visitor (`visitor`) presses everything in them; four judges (`taken`)
look at every call and every ack. What a face, window or button added later needs here: a history in `FACES` for a face;
nothing for a button or window, unless no visitor reaches it, which the tests below say by its name.
"""

import asyncio
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pkgutil import walk_packages
from typing import Any, get_args

import pytest
from builders import TENANT
from hypothesis import HealthCheck, Phase, given, settings
from unit.slack.nasty import NASTY
from unit.slack.subjects import mrkdwn_texts, said
from unit.slack.taken import assert_everything_taken
from unit.slack.visitor import WORDS, Visitor
from unit.slack.worlds import Size, Spec, specs

import channels.slack
from channels.slack.card import render
from channels.slack.details import details_view, document
from channels.slack.faces import OPEN, Face, face_of
from channels.slack.mrkdwn import seen
from channels.slack.shown import Shown
from loops.ports import Loaded

#: How each face comes about, where one approval is enough; of a parked transition nothing runs.
FACES: dict[Face, tuple[str, ...]] = {
    "waiting": (),
    "needs_information": ("dana asks", "CI answers", "dana asks"),
    "suspended": ("dana asks", "CI suspends"),
    "approved": ("dana approves",),
    "executing": ("dana approves",),
    "handed_over": ("dana approves",),
    "executed": ("dana approves", "it ran"),
    "execution_failed": ("dana approves", "it failed"),
    "rejected": ("dana rejects",),
    "decided": ("dana answers otherwise",),
    "expired": ("dana asks", "time runs out"),
    "superseded": ("dana hands over", "CI moves on"),
    "cancelled": ("robin cancels",),
    "withdrawn": ("robin withdraws",),
}


def examples(count: int) -> settings:
    """So many examples, as they come: a spec says all of a world; to make it smaller takes longer than to read it."""
    phases = (Phase.explicit, Phase.reuse, Phase.generate)
    return settings(deadline=None, max_examples=count, phases=phases, suppress_health_check=list(HealthCheck))


async def visited(spec: Spec) -> Visitor:
    """Return whoever pressed everything in *spec*'s world, before and after it was decided."""
    visitor = Visitor(await spec.build())
    await visitor.read()
    await visitor.look_around("UDANA", words=WORDS)
    for user in ("UGHOST", "UROBIN"):
        await visitor.look_around(user)
    for user in ("UKIM", "UGHOST", "UDANA", "UROBIN"):
        await visitor.press(user, decides=False)
    # Either closes the request; the other then comes too late.
    if spec.seed % 2:
        await visitor.submit()
    for user in ("UGHOST", "USAM", "UDANA", "UKIM"):
        await visitor.press(user, decides=True)
    await visitor.submit()
    await visitor.read()
    return visitor


async def built(spec: Spec) -> Loaded:
    """Return the request of *spec*'s world."""
    world = await spec.build()
    found = await world.house.store.load_request(TENANT, world.request.request_id)
    assert found is not None
    return found


@dataclass(frozen=True)
class Walk:
    """What was come across in one world."""

    windows: frozenset[str]
    actions: frozenset[str]
    patterns: tuple[str, ...]


@cache
def walk(face: Face, size: Size = "huge", beside: int = 1) -> Walk:
    """Visit a world that has *face*, with every nasty text somewhere; fail unless all of it is sound."""
    spec = Spec(
        seed=list(FACES).index(face),
        size=size,
        beside=beside,
        pool=NASTY,
        history=FACES[face],
        is_parked=face == "approved",
        is_simple=True,
        reports=face not in {"handed_over", "execution_failed"},
    )
    subject = asyncio.run(built(spec))
    assert subject.request is not None
    assert face_of(subject, subject.request) == face
    visitor = asyncio.run(visited(spec))
    assert_sound(visitor)
    return Walk(
        windows=frozenset(view["callback_id"] for view in _views(visitor) if "callback_id" in view),
        actions=frozenset(action for _, _, action, _ in visitor.pressed),
        patterns=tuple(_patterns(visitor)),
    )


def assert_sound(visitor: Visitor) -> None:
    """Fail unless Slack takes all that was said, every delivery was answered, and no text acts for anybody."""
    assert_everything_taken(visitor.said, visitor.answers)
    assert set(visitor.statuses) == {200}
    for each in (*(call["args"] for call in visitor.said), *(json.loads(text) for text in visitor.answers if text)):
        for text in mrkdwn_texts(each):
            assert "<" not in text
            assert not re.search(r"@(channel|here|everyone)\b", text, re.IGNORECASE)


def modules() -> Iterator[Any]:
    """Yield every module of Slack's channel."""
    for found in walk_packages(channels.slack.__path__, "channels.slack."):
        yield import_module(found.name)


@pytest.mark.parametrize("face", get_args(Face))
def test_every_face_with_everything_on_it(face: Face) -> None:
    """In each face there is, full, everything pressed by everybody: Slack takes all of it."""
    assert walk(face).actions


def test_no_window_goes_unvisited() -> None:
    """Every callback id we have is among those the visitor saw; a new window nobody reaches is named here."""
    ours = {value for module in modules() for name, value in vars(module).items() if name.endswith("_VIEW")}

    assert set().union(*(walk(face).windows for face in FACES)) == ours


def test_no_action_goes_unvisited() -> None:
    """Every action a listener is there for is pressed somewhere; a new one that is not is named here."""
    # With many that wait, the Home tab has pages.
    walks = [*(walk(face) for face in FACES), walk("waiting", "bare", 30)]
    pressed = set().union(*(each.actions for each in walks))
    patterns = [pattern for pattern in walk("waiting").patterns if pattern != ".*"]

    assert patterns
    assert [each for each in patterns if not any(re.search(each, action) for action in pressed)] == []


@given(specs())
@examples(6)
def test_whatever_comes_about_is_taken(spec: Spec) -> None:
    """Any texts anywhere, any policy, any history: Slack takes all that anybody can see or press."""
    assert_sound(asyncio.run(visited(spec)))


@given(specs())
@examples(20)
def test_nothing_is_cut_in_silence(spec: Spec) -> None:
    """Details hold every text of a request in full; the card names their size and the digest of what is agreed to."""
    subject = asyncio.run(built(spec))
    request = subject.request
    assert request is not None
    text = document(subject)
    proposal, end = json.JSONDecoder().raw_decode(text)
    held = {*_leaves(proposal), *_leaves(json.loads(text[end:]))}
    # What stands at its default is left out of what the digest is made over, and so of the document.
    whole = request.as_json() | {"proposal": request.proposal.as_digested()}
    wanted = {*_leaves(_without_bookkeeping(whole)), *_leaves(subject.instance.evidence.get("integration"))}
    card, window = render(subject), details_view(subject, Shown.of(request))

    assert wanted <= held
    assert f"{request.digest.partition(':')[2][:12]}" in said(card.blocks)
    assert re.search(r"parameters [\d,]+ bytes?, complete under Details", said(card.blocks))
    assert request.digest in said(window["blocks"])
    for told in mrkdwn_texts(card.blocks):
        _assert_cuts_are_said(told, said(card.blocks))


@given(specs(history=(), size="huge"))
@examples(10)
def test_what_a_model_wrote_stands_in_quotes(spec: Spec) -> None:
    """Every line a model wrote is marked as a quote, below a line of ours that says whose words these are."""
    subject = asyncio.run(built(spec))
    request = subject.request
    assert request is not None
    assert face_of(subject, request) in OPEN
    blocks = [text for text in mrkdwn_texts(render(subject).blocks) if text.startswith("🤖")]

    (block,) = blocks
    head, written, *lines = block.split("\n")
    assert head.startswith("🤖 *AI recommendation:*")
    assert written.endswith("Quoted, not verified:")
    if lines[-1].endswith("under Details_"):
        assert re.fullmatch(r"_[\d,]+ more characters? under Details_", lines.pop())
    assert lines
    assert all(line.startswith("> ") for line in lines)
    reasoning = str(subject.instance.evidence.get("reasoning", ""))
    assert len(seen(reasoning)) < 50 or sum(map(len, lines)) > 50


def _views(visitor: Visitor) -> Iterator[dict[str, Any]]:
    for call in visitor.said:
        if "view" in call["args"]:
            yield call["args"]["view"]
    for text in filter(None, visitor.answers):
        if "view" in (answer := json.loads(text)):
            yield answer["view"]


def _patterns(visitor: Visitor) -> Iterator[str]:
    """Yield what each listener for actions matches, from the app as it is made."""
    for listener in visitor.bolt._async_listeners:
        for matcher in listener.matchers:
            for cell in matcher.func.__closure__ or ():
                if getattr(cell.cell_contents, "__qualname__", "").startswith("action."):
                    yield from _closed_over(cell.cell_contents)


def _closed_over(function: Any) -> Iterator[str]:
    for cell in getattr(function, "__closure__", None) or ():
        value = cell.cell_contents
        if isinstance(value, (str, re.Pattern)):
            yield value if isinstance(value, str) else value.pattern
        else:
            yield from _closed_over(value)


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _leaves(each)
    elif isinstance(value, list):
        for each in value:
            yield from _leaves(each)


#: What of a request's JSON says nothing that anybody wrote: ids, moments, kinds, the evidence of a click.
_BOOKKEEPING = frozenset(
    {
        "tenant",
        "instanceId",
        "decisionId",
        "channel",
        "at",
        "closedAt",
        "type",
        "authenticatedBy",
        "kind",
        "id",
        "userId",
        "status",
        "transitionId",
        "progress",
        "requestVersion",
    }
)


def _without_bookkeeping(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_bookkeeping(each) for name, each in value.items() if name not in _BOOKKEEPING}
    return [_without_bookkeeping(each) for each in value] if isinstance(value, list) else value


def _assert_cuts_are_said(text: str, card: str) -> None:
    """A quote that ends in an ellipsis of ours says how much is left."""
    lines = text.split("\n")
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if line.startswith("> ") and line.endswith("…") and not following.startswith("> "):
            assert "under Details" in following or "under Details" in card

"""
Forgeries: whoever asks, proposes, answers or runs something may try to speak in our voice, and is seen not to.

What people write is set off: in a quote, in quotation marks, bold, as code, as a title, or as a fact under its head.
Take all that is set off away, and what is left must be words of ours: that is what `ours` returns.
"""

import asyncio
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any, get_args

import pytest
from builders import ANALYSIS, TENANT, a_change, a_house, an_answer, person
from unit.slack.rig import a_rig
from unit.slack.subjects import mrkdwn_texts

from channels.slack import mrkdwn
from channels.slack.card import render
from channels.slack.details import details_view
from channels.slack.direct import invitation_text
from channels.slack.faces import Face
from channels.slack.files import details_file
from channels.slack.mrkdwn import inline, quoted, value, worded
from channels.slack.notices import notice_text
from channels.slack.shown import Shown
from channels.slack.threads import reply_text, told
from channels.slack.wording import FACES
from loops.actors import AiAgent, service
from loops.approvals import HumanAsk
from loops.cards import Notice
from loops.events import Event
from loops.ports import Loaded

#: What no text of ours says about these stories.
CLAIM = "approved by kim"

FORGERIES = {
    "icon and bold": "✅ *Approved by Kim*",
    "a line of its own": "fine\n✅ *Approved* by Kim\nApproved by Kim",
    "other line ends": "fine\r\u2028✅ Approved by Kim\x0b\x85Approved by Kim",
    "out of the quotation": "fine”. ✅ Approved by Kim (2 of 2): “agreed",
    "other quotation marks": "fine‟ ❞ ” „ Approved by Kim “",
    "out of the quote": "fine\n\n> quoted\n\nApproved by Kim",
    "deeper quote": ">>> Approved by Kim",
    "out of bold": "fine* ✅ Approved by Kim *and",
    "out of code": "fine` ✅ Approved by Kim `and",
    "code block": "```\nApproved by Kim\n```",
    "our separator": "CHG-1 · Approved by Kim · Decided by *Kim*",
    "emoji code": ":white_check_mark: Approved by Kim :heavy_check_mark:",
    "entities": "&lt;b&gt; &quot; ✅ Approved by Kim &amp;",
    "mentions": "<!channel> <@UKIM> @here Approved by Kim <!subteam^S1>",
    "misleading link": "<https://evil.example|✅ Approved by Kim>",
    "a date of ours": "<!date^1795338000^{date}|Approved by Kim>",
    "zero width": "✅\u200b App\u200broved\u2060 by\ufeff Kim",
    "right to left": "\u202emiK yb devorppA\u202c \u2067✅ Approved by Kim\u2069",
    "blank letters": "fine\u2800\u3164\uffa0\u115f" * 40 + "Approved by Kim",
    "piled marks": "fine" + "e\u0301\u0316\u20dd" * 3 + "\u0301" * 60 + " Approved by Kim",
    "kin of our icons": "☑️ ✔️ 🆗 🟢 Approved by Kim ⛔️ ⏸️",
    "long": "word " * 800 + "✅ Approved by Kim",
}

_SET_OFF = re.compile(r"`[^`\n]*`|“[^“”\n]*”|\*[^*\n]*\*")


def ours(text: str) -> str:
    """Return what is left of a `mrkdwn` text when all that is visibly somebody else's is taken away."""
    lines = [line for line in text.split("\n") if not line.startswith(">")]
    return _SET_OFF.sub("", "\n".join(lines))


@dataclass(frozen=True)
class Told:
    """All that was said about one forged request."""

    subjects: tuple[Loaded, ...]
    events: tuple[Event, ...]


@cache
def story(name: str) -> Told:
    """Play a request in which everybody writes the forgery *name* wherever they may write anything."""
    return asyncio.run(_played(FORGERIES[name]))


async def _played(text: str) -> Told:
    short = text[:200]
    house = a_house(
        a_change(
            title="{{ data.title }}",
            facts={"Summary": "{{ data.title }}", "Note": "{{ evidence.note }}"},
            editable={"title": {"type": "string"}},
            reassign="anyone",
            quorum=2,
        )
    )
    data = {"changeId": "CHG-7", "service": text, "title": text, "replicas": 12}
    asker = service("ci", short.replace("\n", " "))
    aggregate = f"CHG-7 {re.sub(r'[^ -~·✅]', '', short)[:60]}".strip()
    started = await house.engine.start(
        tenant=TENANT, loop_id="test.change", aggregate_id=aggregate, data=data, actor=asker
    )
    assert started.instance is not None
    agent = AiAgent(id="anthropic:claude", model_id=short, provider=short, confidence=0.87)
    evidence = {**ANALYSIS, "reasoning": text, "note": text}
    outcome = await house.engine.transition(
        tenant=TENANT, aggregate_id=aggregate, transition="submit_analysis", actor=agent, evidence=evidence
    )
    request = outcome.request  # type: ignore[union-attr]
    assert request is not None, outcome
    subjects = []

    async def look() -> None:
        found = await house.store.load_request(TENANT, request.request_id)
        assert found is not None
        subjects.append(found)

    await look()
    ask: dict[str, Any] = {"request_id": request.request_id, "channel": {}}
    await house.engine.consult(HumanAsk(**ask, by=person("dana"), question=text[:2_000], key="1"), tenant=TENANT)
    await look()
    (question,) = subjects[-1].request.questions  # type: ignore[union-attr]
    await house.engine.inform(
        tenant=TENANT,
        request_id=request.request_id,
        question_id=question.question_id,
        text=text[:2_000],
        actor=asker,
    )
    handed = HumanAsk(**ask, by=person("robin"), to_person="kim", reason=text[:2_000], key="2")
    await house.engine.consult(handed, tenant=TENANT)
    edits = {"title": f"more {text}"[:1_900]}
    by_dana = an_answer(request, "approve", "dana", reason=text[:2_000], edits=edits)
    await house.engine.answer(by_dana, tenant=TENANT)
    await look()
    now = subjects[-1].request
    assert now is not None
    assert now.version == 2
    await house.engine.answer(an_answer(now, "approve", "sam", reason=text[:2_000]), tenant=TENANT)
    await look()
    assert subjects[-1].instance.state == "ROLLING_OUT"
    await house.settle(subjects[-1].instance.instance_id, error=text)
    await look()
    house.clock.move(timedelta(minutes=1))
    await house.engine.cancel(tenant=TENANT, aggregate_id=aggregate, actor=person("dana"), reason=text)
    events = await house.store.events(TENANT, subjects[-1].instance.instance_id)
    return Told(tuple(subjects), tuple(events))


def said_of(found: Told) -> Iterator[str]:
    """Yield every text of `mrkdwn` that is said of it; facts in their own block aside."""
    for subject in found.subjects:
        request = subject.request
        assert request is not None
        message = render(subject)
        yield message.text
        blocks = [block for block in message.blocks if "fields" not in block]
        yield from mrkdwn_texts(blocks)
        yield from mrkdwn_texts(details_view(subject, Shown.of(request))["blocks"][:2])
        yield details_file(subject, "ef_1").comment
        yield invitation_text(subject, "sam", "https://slack.example/card", [request.title])
        for code in ("already_decided", "guard_failed", "not_an_approver", "file_not_sent"):
            notice = Notice(code=code, message="no", request_id=request.request_id, address={"slackUserId": "U1"})
            yield notice_text(notice, subject, team_id="T1")
        for event in found.events:
            yield told(event)
            yield reply_text(event, subject)


@pytest.mark.parametrize("name", FORGERIES)
def test_nobody_speaks_in_our_voice(name: str) -> None:
    """Whatever is written wherever one may write, outside quotes, bold, code and titles stand words of ours alone."""
    for text in said_of(story(name)):
        left = ours(text)
        assert CLAIM not in left.casefold(), text
        assert "miK yb" not in left, text


@pytest.mark.parametrize("name", FORGERIES)
def test_nobody_pings_links_or_hides_anything(name: str) -> None:
    """No mention, no link but to the card, no group; no hidden, reordering or piled-up character anywhere."""
    for text in said_of(story(name)):
        links = set(re.findall(r"<([^>]*)>", text))
        assert all(link.startswith(("!date^", "https://slack.example/card|")) for link in links), text
        assert not re.search(r"@(channel|here|everyone)\b", text, re.IGNORECASE)
        assert not set(text) & set("\u200b\u2060\ufeff\u202e\u202c\u2067\u2069\u2800\u3164\uffa0\u115f\u2028\x0b\x85")
        assert "\u0301" * 4 not in text
        # In code, Slack leaves emoji codes as they are.
        assert ":white_check_mark:" not in re.sub("`[^`]*`", "", text)


@pytest.mark.parametrize("name", FORGERIES)
def test_titles_and_facts_carry_none_of_our_signs(name: str) -> None:
    """What cannot be put in quotation marks says nothing in colour about how a request stands."""
    for subject in story(name).subjects:
        header, *_ = (block for block in render(subject).blocks if block["type"] == "header")
        texts = [field["text"] for block in render(subject).blocks for field in block.get("fields", ())]
        for text in (header["text"]["text"], *texts):
            assert not set(text) & set("✅☑✔⛔⏳⏸🆗🟢"), text


@pytest.mark.parametrize("name", ["a line of its own", "out of the quotation", "our separator"])
async def test_nobody_speaks_in_our_voice_on_home_or_to_a_command(name: str) -> None:
    """Lists, answers to the command and windows hold to the same."""
    text = FORGERIES[name]
    async with a_rig(a_house(a_change(title=text, facts={text[:70]: text}))) as rig:
        await rig.house.propose("CHG-8")
        await rig.act("home", "UDANA")
        shown = (await rig.sandbox.get("/sandbox/home", params={"user": "UDANA"})).json()["view"]
        texts = list(mrkdwn_texts(shown["blocks"]))
        for typed in ("pending", "show CHG-7", "history CHG-7", "who CHG-7"):
            answer = await rig.act("command", "UDANA", channel="C1", text=f"/loops {typed}")
            texts += [json.loads(answer["body"])["text"]]
        several = next(
            (block, element)
            for block in shown["blocks"]
            if block["type"] == "actions"
            for element in block["elements"]
            if element.get("text", {"text": ""})["text"].startswith("Approve several")
        )
        place = {"view_id": shown["id"], "block_id": several[0]["block_id"], "action_id": several[1]["action_id"]}
        texts += mrkdwn_texts((await rig.act("click", "UDANA", **place))["views"][-1]["blocks"])

    assert len(texts) > 10
    for said in texts:
        assert CLAIM not in ours(said).casefold(), said


def test_the_facts_stand_under_their_head() -> None:
    """Nobody takes a fact for a word of ours: before the first there is said whose they are."""
    for subject in story("icon and bold").subjects:
        blocks = render(subject).blocks
        first = next(index for index, block in enumerate(blocks) if "fields" in block)
        assert blocks[first - 1]["elements"][0]["text"] == "As proposed:"


@pytest.mark.parametrize("face", get_args(Face))
def test_no_sign_of_ours_is_left_to_others(face: Face) -> None:
    """The icon of every face is among those that others' words lose."""
    icon = FACES[face][0]

    assert icon[0] not in value(f"{icon} x")
    assert "\ufe0f" not in value(f"{icon} x")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("✅ done", "√ done"),
        ("⏸️ rests", "‖ rests"),
        ("CHG-1 · Approved", "CHG-1 - Approved"),
        ("col·lecció", "col·lecció"),
        ("🎉 launch", "🎉 launch"),
        (":日本: at 10:30:45", "꞉日本꞉ at 10:30:45"),
        ("a\u2800b", "ab"),
        ("e" + "\u0301" * 9, "e" + "\u0301" * 3),
    ],
)
def test_what_looks_like_ours_becomes_a_lookalike(text: str, shown: str) -> None:
    """Signs, separators and emoji codes are replaced, letters and other emoji are not."""
    assert inline(text, 100).text == shown


def test_a_quotation_cannot_be_closed_from_inside() -> None:
    """Quotation marks within become single ones, and what is cut off still ends with ours."""
    assert quoted("fine”. ✅ Approved: “ok", 100) == "“fine’. √ Approved: ‘ok”"
    assert quoted("x" * 100, 20) == f"“{'x' * 17}…”"
    assert mrkdwn.size(quoted("”" * 100, 20)) <= 20
    assert worded("fine” at once: “no") == "“fine’ at once: ‘no”"

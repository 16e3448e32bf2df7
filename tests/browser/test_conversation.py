"""The rest of the conversation on the sandbox's page: edits, quorum, several at once, old cards, retry, the command."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from browser.patient_stack import PatientStack
from playwright.sync_api import Browser, Locator, Page, expect
from ruamel.yaml import YAML
from stack import CHANNEL, Stack

pytestmark = pytest.mark.browser

SlackAs = Callable[[str], Page]

#: A release that two of three must approve, that may be changed, and of whose failure no signal tells.
RELEASE: dict[str, Any] = {
    "id": "team.release",
    "version": "1.0.0",
    "name": "Release",
    "initialState": "PENDING_HUMAN_APPROVAL",
    "states": [
        {
            "id": "PENDING_HUMAN_APPROVAL",
            "approval": {
                "channel": "sre-approvals",
                "approvers": {"users": ["dana", "sam", "robin"]},
                "quorum": 2,
                "title": "Release {{ data.service }}",
                "facts": {"Replicas": "{{ data.replicas }}"},
                "editable": {"replicas": {"type": "integer", "minimum": 1, "maximum": 20}},
                "risk": "high",
                "notify": {"users": ["robin"]},
            },
        },
        {"id": "RELEASING", "label": "Releasing"},
        {"id": "DONE", "isTerminal": True},
        {"id": "REJECTED", "isTerminal": True},
    ],
    "transitions": [
        {
            "id": "approve",
            "from": "PENDING_HUMAN_APPROVAL",
            "to": "RELEASING",
            "actors": ["human"],
            "effects": [{"integration": "deployer", "action": "release", "onSuccess": "released"}],
        },
        {"id": "reject", "from": "PENDING_HUMAN_APPROVAL", "to": "REJECTED", "actors": ["human"]},
        {"id": "released", "from": "RELEASING", "to": "DONE", "actors": ["automation"]},
    ],
}

#: Lets a page stop following what happens, as a client does whose connection sleeps.
SLEEPER = """
    const Feed = EventSource;
    window.feeds = [];
    window.EventSource = class extends Feed { constructor(url) { super(url); feeds.push(this); } };
"""


class ReleaseStack(PatientStack):
    """A stack that knows the release, too."""

    def _write_configuration(self) -> None:
        super()._write_configuration()
        yaml, path = YAML(typ="safe"), self.home / "loopgate.yaml"
        configuration = yaml.load(path.read_text())
        with path.open("w") as file:
            yaml.dump({**configuration, "loops": ["library", "release.yaml"]}, file)
        (self.home / "release.yaml").write_text(json.dumps(RELEASE))


@pytest.fixture(scope="module")
def stack(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack with the release loop, for this module."""
    with ReleaseStack(tmp_path_factory.mktemp("stack")) as running:
        yield running


def typed(page: Page, text: str) -> None:
    """Type *text* into the channel's message box and send it."""
    box = page.get_by_test_id("composer")
    box.fill(text)
    box.press("Escape")
    box.press("Enter")


def whispered(page: Page, words: str) -> Locator:
    """Return what only the person on *page* sees and that says *words*."""
    return page.get_by_role("article").filter(has_text="Only visible to you").filter(has_text=words)


def released(stack: Stack, page: Page, name: str, replicas: int = 4) -> dict[str, Any]:
    """Have the person on *page* start a release by command; return its card."""
    typed(page, f"/loops start team.release id={name} service={name} replicas={replicas}")
    expect(whispered(page, f"Started team.release on {name}")).to_be_visible()
    return stack.card(name)


def card_on(page: Page, card: dict[str, Any]) -> Locator:
    """Return the message on *page* that *card* is."""
    return page.get_by_test_id(f"message-{card['ts']}")


def press(inside: Page | Locator, button: str) -> None:
    """Press the button called exactly *button*."""
    inside.get_by_role("button", name=button, exact=True).first.click()


def approve(page: Page, card: dict[str, Any]) -> None:
    """Press Approve on a risky card, and say yes to the question that follows."""
    press(card_on(page, card), "Approve")
    asked = page.get_by_test_id("confirm")
    expect(asked).to_contain_text("deployer: release")
    press(asked, "Approve")


def home_of(page: Page) -> Locator:
    """Open the app's Home tab on *page*."""
    page.get_by_test_id("channel-home").click()
    return page.get_by_test_id("home")


def decisions(stack: Stack, name: str) -> list[tuple[str, str]]:
    """Return who decided what about *name*, and who was refused."""
    events = [event for event in stack.audited(name) if event["type"].startswith("approval.decision")]
    return [
        (event["type"].rpartition(".")[2], (event["data"].get("decision") or event["data"])["by"]["id"])
        for event in events
    ]


def test_two_of_three_people_approve_a_release(stack: Stack, slack_as: SlackAs) -> None:
    """One of two is on everybody's card with a name; the same person counts once; the second completes it."""
    card = released(stack, slack_as("kim"), "REL-QUORUM")
    dana, sam, robin = (slack_as(who) for who in ("dana", "sam", "robin"))
    approve(dana, card)
    for page in (dana, sam, robin):
        expect(card_on(page, card)).to_contain_text("1 of 2 approvals")
        expect(card_on(page, card)).to_contain_text("Approved so far by Dana Ops")
    approve(dana, card)
    expect(whispered(dana, "each person counts once")).to_be_visible()
    approve(sam, card)
    expect(card_on(robin, card)).to_contain_text("Approved and executed")
    expect(card_on(robin, card)).to_contain_text("Approved by Dana Ops")
    expect(card_on(robin, card)).to_contain_text("Sam Lee")

    assert decisions(stack, "REL-QUORUM") == [("recorded", "dana"), ("refused", "dana"), ("recorded", "sam")]


def test_edit_and_approve_makes_a_new_version_for_everybody(stack: Stack, slack_as: SlackAs) -> None:
    """What an approver changes is held to its bounds, shown old and new, voids the vote before it, and is what runs."""
    card = released(stack, slack_as("kim"), "REL-EDIT")
    dana, sam = slack_as("dana"), slack_as("sam")
    approve(dana, card)
    expect(card_on(sam, card)).to_contain_text("1 of 2 approvals")
    press(card_on(sam, card), "Edit and approve")
    modal = sam.get_by_test_id("modal")
    expect(modal).to_contain_text("Dana Ops")
    box = modal.get_by_label("replicas")
    expect(box).to_have_value("4")
    box.fill("40")
    modal.get_by_test_id("modal-submit").click()
    expect(modal.get_by_test_id("error-loopgate.edit.0")).to_be_visible()
    box.fill("8")
    modal.get_by_test_id("modal-submit").click()
    expect(modal).to_have_count(0)
    expect(card_on(dana, card)).to_contain_text("replicas: 4 → 8")
    expect(card_on(dana, card)).to_contain_text("Votes on an earlier version")
    expect(card_on(dana, card)).to_contain_text("1 of 2 approvals")
    approve(dana, card)
    expect(card_on(dana, card)).to_contain_text("Approved and executed")
    [call] = [each for each in stack.calls()["received"] if each["data"]["aggregateId"] == "REL-EDIT"]

    assert call["data"]["parameters"]["replicas"] == 8


def test_several_are_approved_from_home_in_one_window(stack: Stack, slack_as: SlackAs) -> None:
    """Home lists what waits for me; one window approves those selected, says what became of each, and Home follows."""
    kim = slack_as("kim")
    cards = [released(stack, kim, f"REL-BULK{number}") for number in (1, 2, 3)]
    dana = slack_as("dana")
    home = home_of(dana)
    expect(home).to_contain_text("Waiting for you: 3")
    home.get_by_role("button", name=re.compile("^Approve several")).click()
    modal = dana.get_by_test_id("modal")
    for number in (1, 2, 3):
        expect(modal).to_contain_text(f"{number}. Release REL-BULK{4 - number}")
    modal.get_by_role("checkbox", name="3. Release REL-BULK1").uncheck()
    modal.get_by_test_id("modal-submit").click()
    expect(modal).to_contain_text("Release REL-BULK2: your approval counts")
    press(modal, "Close")
    expect(home).to_contain_text("Waiting for you: 1")
    released(stack, kim, "REL-BULK4")
    expect(home).to_contain_text("Waiting for you: 2")
    for card in cards[1:]:
        stack.card(card["blocks"][0]["text"]["text"], saying="1 of 2 approvals")

    assert [decisions(stack, f"REL-BULK{number}") for number in (1, 2, 3)] == [
        [],
        [("recorded", "dana")],
        [("recorded", "dana")],
    ]


def test_a_click_on_an_old_card_is_answered_usefully_also_after_a_restart(stack: Stack, slack_as: SlackAs) -> None:
    """Somebody whose page slept through the decision learns what was decided, by whom, from a gateway just started."""
    card = released(stack, slack_as("kim"), "REL-OLD")
    asleep = slack_as("robin")
    asleep.add_init_script(SLEEPER)
    asleep.reload()
    expect(card_on(asleep, card)).to_contain_text("0 of 2 approvals")
    asleep.evaluate("feeds.forEach((feed) => feed.close())")
    awake = slack_as("dana")
    press(card_on(awake, card), "Reject")
    awake.get_by_test_id("modal").get_by_label("Reason").fill("Not before the sale ends")
    awake.get_by_test_id("modal-submit").click()
    expect(card_on(awake, card)).to_contain_text("Rejected")
    stack.gateways.pop().stop()
    stack.start_gateway()
    stack.await_gateway()
    approve(asleep, card)
    robin = slack_as("robin")

    expect(whispered(robin, "Already rejected by Dana Ops")).to_be_visible()
    assert decisions(stack, "REL-OLD") == [("recorded", "dana"), ("refused", "robin")]


def test_loops_show_says_how_a_request_stands_to_one_person(stack: Stack, slack_as: SlackAs) -> None:
    """The command answers privately, finds by a part of the id, and names what waits."""
    released(stack, slack_as("kim"), "REL-SHOW", 7)
    dana, sam = slack_as("dana"), slack_as("sam")
    typed(dana, "/loops show rel-sho")
    answer = whispered(dana, "Approval needed: “Release REL-SHOW")

    expect(answer).to_contain_text("team.release 1.0.0, in PENDING_HUMAN_APPROVAL")
    expect(answer).to_contain_text("Replicas: 7")
    expect(answer).to_contain_text("/loops history REL-SHOW")
    expect(whispered(sam, "REL-SHOW")).to_have_count(0)


def test_what_failed_is_retried_from_its_card_and_robin_was_asked_directly(stack: Stack, slack_as: SlackAs) -> None:
    """A refusal by the system of record shows on the card at once; Retry, asked twice, carries it out."""
    card = released(stack, slack_as("kim"), "REL-RETRY")
    robin = slack_as("robin")
    robin.get_by_test_id("channel-home").click()
    robin.get_by_role("tab", name="Messages").click()
    asked = robin.get_by_role("article").filter(has_text="Approval needed: “Release REL-RETRY")
    expect(asked.get_by_role("link", name="Open its card")).to_have_attribute(
        "href", re.compile("/archives/" + CHANNEL)
    )
    dana, sam = slack_as("dana"), slack_as("sam")
    approve(dana, card)
    expect(card_on(sam, card)).to_contain_text("1 of 2 approvals")
    stack.http.post(f"{stack.receiver}/faults", json={"status": 422, "count": 1})
    approve(sam, card)
    expect(card_on(sam, card)).to_contain_text("Approved, but execution failed")
    expect(card_on(sam, card)).to_contain_text("deployer: release failed")
    press(card_on(sam, card), "Retry")
    confirm = sam.get_by_test_id("confirm")
    expect(confirm).to_contain_text("deployer: release")
    press(confirm, "Retry")
    expect(card_on(sam, card)).to_contain_text("Approved and executed")
    types = [event["type"] for event in stack.audited("REL-RETRY")]

    assert [each for each in types if each.startswith("effect.")] == [
        "effect.failed",
        "effect.retried",
        "effect.succeeded",
    ]

"""People decide on the sandbox's page, in a real browser: what they click, what they see, what comes of it."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect
from stack import CHANGE, CHANNEL, STRANGER, Stack, slack_id

pytestmark = pytest.mark.browser

SlackAs = Callable[[str], Page]

#: Everything shown on a page has changed, as by another person's click; nothing is drawn yet.
CHANGED = """
    async () => {
        const { store } = await import("/static/store.js");
        for (const list of store.messages.values()) for (const one of list) one.text += " ";
        for (const stack of Object.values(store.views)) for (const view of stack) view.hash += "+";
    }
"""

#: The page is told to draw, and has had the frames to do it.
DRAWN = """
    async () => {
        document.dispatchEvent(new Event("visibilitychange"));
        for (let frame = 0; frame < 3; frame += 1) await new Promise(requestAnimationFrame);
    }
"""

#: The next answer to a path is kept from the page until it is let in.
LATE = """
    (path) => {
        const fetch = window.fetch;
        window.fetch = async (...asked) => {
            const answer = await fetch(...asked);
            if (asked[0] === path && !window.letIn) await new Promise((letIn) => { window.letIn = letIn; });
            return answer;
        };
    }
"""


def card_on(page: Page, card: dict[str, Any]) -> Locator:
    """Return the message on *page* that *card* is."""
    return page.get_by_test_id(f"message-{card['ts']}")


def press(inside: Page | Locator, button: str) -> None:
    """Press the button called exactly *button*; the first where a page has it at the top and at the bottom."""
    inside.get_by_role("button", name=button, exact=True).first.click()


def propose_much(stack: Stack, change: str) -> dict[str, Any]:
    """Propose a *change* with some 50 kB of parameters; return them."""
    parameters = {f"rule{number:04}": f"allow <10.0.{number % 256}.0/24> & *log* `{number}`" for number in range(1_500)}
    data = {**CHANGE, "changeId": change, "requestedBy": "lee", "parameters": parameters}
    answer = stack.deliver({"type": "change.proposed", "data": data})
    assert answer.status_code == 202, answer.text
    return parameters


def decisions(stack: Stack, change: str) -> list[dict[str, Any]]:
    """Return the ledger's decisions about *change*, recorded and refused."""
    return [event for event in stack.audited(change) if event["type"].startswith("approval.decision")]


def test_approve_is_one_click_and_the_card_ends_executed_under_the_name_of_who_decided(
    stack: Stack, slack_as: SlackAs
) -> None:
    """One click approves; everybody's card says so without a reload, offers no answer any more, and it ran once."""
    card = stack.propose("BROWSER-1")
    dana, sam = slack_as("dana"), slack_as("sam")
    expect(card_on(sam, card)).to_contain_text("Waiting for approval")
    press(card_on(dana, card), "Approve")
    for page in (dana, sam):
        shown = card_on(page, card)
        expect(shown).to_contain_text("Approved and executed")
        expect(shown).to_contain_text("Decided by Dana Ops")
        expect(shown.get_by_role("button", name="Approve", exact=True)).to_have_count(0)
    calls = [call for call in stack.calls()["received"] if call["data"]["aggregateId"] == "BROWSER-1"]

    assert len(calls) == 1
    assert [event["type"] for event in decisions(stack, "BROWSER-1")] == ["approval.decision.recorded"]


@pytest.mark.parametrize("device", ["mouse", "keyboard"])
def test_a_button_held_while_its_card_changes_is_clicked_all_the_same(
    stack: Stack, slack_as: SlackAs, device: str
) -> None:
    """The page replaces nothing that is being pressed; it draws what changed once that is let go."""
    card = stack.propose(f"BROWSER-HELD-{device}")
    page = slack_as("dana")
    button = card_on(page, card).get_by_role("button", name="Details", exact=True)
    button.hover()
    button.focus()
    down, up = {
        "mouse": (page.mouse.down, page.mouse.up),
        "keyboard": (lambda: page.keyboard.down("Space"), lambda: page.keyboard.up("Space")),
    }[device]
    down()
    before = button.element_handle()
    assert before is not None
    page.evaluate(CHANGED)
    page.evaluate(DRAWN)
    assert before.evaluate("element => element.isConnected")
    up()

    expect(page.get_by_test_id("modal")).to_contain_text("Everything an approver agrees to")
    page.evaluate(DRAWN)
    assert not before.evaluate("element => element.isConnected")


def test_the_end_of_the_channel_stays_in_view_until_one_scrolls_up(stack: Stack, slack_as: SlackAs) -> None:
    """A card taller than the page shows its buttons; who reads further up is not taken away, and told what is new."""
    first = stack.propose("BROWSER-END-1")
    page = slack_as("dana")
    page.set_viewport_size({"width": 1280, "height": 480})
    messages, news = page.get_by_test_id("messages"), page.get_by_test_id("news")
    approve = card_on(page, first).get_by_role("button", name="Approve", exact=True)
    title = card_on(page, first).get_by_role("heading")

    def stays() -> None:
        before = card_on(page, first).bounding_box()
        page.evaluate(DRAWN)
        page.evaluate(CHANGED)
        page.evaluate(DRAWN)
        assert card_on(page, first).bounding_box() == before

    expect(approve).to_be_in_viewport(ratio=1)
    expect(title).not_to_be_in_viewport()
    stays()
    expect(approve).to_be_in_viewport(ratio=1)
    approve.focus()
    messages.evaluate("list => { list.scrollTop -= 20; }")
    stays()
    title.evaluate("element => element.scrollIntoView()")
    stays()
    expect(approve).not_to_be_in_viewport()
    expect(approve).to_be_focused()
    expect(news).to_be_hidden()
    second = stack.propose("BROWSER-END-2")
    expect(news).to_be_visible()
    expect(title).to_be_in_viewport()
    news.click()

    expect(news).to_be_hidden()
    expect(card_on(page, second).get_by_role("button", name="Approve", exact=True)).to_be_in_viewport(ratio=1)


def test_an_open_menu_outlives_a_redraw_and_gives_the_focus_back(stack: Stack, slack_as: SlackAs) -> None:
    """Whoever leaves the menu of a card that changed meanwhile is at its button again."""
    card = stack.propose("BROWSER-MENU")
    page = slack_as("dana")
    more = card_on(page, card).get_by_role("button", name="More options")
    more.click()
    page.evaluate(CHANGED)
    page.evaluate(DRAWN)
    expect(page.get_by_role("menu")).to_be_visible()
    page.keyboard.press("Escape")

    expect(page.get_by_role("menu")).to_have_count(0)
    expect(more).to_be_focused()


def test_a_modal_that_changed_while_one_typed_is_submitted_by_one_click(stack: Stack, slack_as: SlackAs) -> None:
    """Leaving a field for the button redraws nothing, and what was typed stays, with the caret in its place."""
    card = stack.propose("BROWSER-TYPED")
    page = slack_as("sam")
    press(card_on(page, card), "Reject")
    modal = page.get_by_test_id("modal")
    field = modal.get_by_label("Reason")
    field.fill("Not before sale ends")
    field.evaluate("element => element.setSelectionRange(11, 15)")
    page.evaluate(CHANGED)
    page.evaluate(DRAWN)
    page.keyboard.type("the sale")
    expect(field).to_have_value("Not before the sale ends")
    page.evaluate(CHANGED)
    modal.get_by_test_id("modal-submit").click()

    expect(modal).to_have_count(0)
    expect(card_on(page, card)).to_contain_text("Not before the sale ends")


def test_what_answers_a_submission_shows_when_it_can_be_submitted_again(stack: Stack, slack_as: SlackAs) -> None:
    """However late the answer is behind the feed: until it is there Submit is busy, and then no press is swallowed."""
    card = stack.propose("BROWSER-LATE")
    page = slack_as("sam")
    press(card_on(page, card), "Reject")
    modal = page.get_by_test_id("modal")
    page.evaluate(LATE, "/sandbox/act/submit")
    field, submit = modal.get_by_label("Reason"), modal.get_by_test_id("modal-submit")
    field.fill("")
    submit.click()
    page.wait_for_function(
        "async (user) => Object.keys((await import('/static/store.js')).store.views[user][0].errors).length > 0",
        arg=slack_id("sam"),
    )
    page.wait_for_function("() => Boolean(window.letIn)")
    page.evaluate(DRAWN)
    wrong = modal.get_by_test_id("error-loopgate.reason")
    expect(wrong).to_be_hidden()
    expect(submit).to_be_disabled()
    page.evaluate("letIn()")
    expect(wrong).to_contain_text("required field")
    field.fill("Not before the sale ends")
    submit.click()

    expect(modal).to_have_count(0)
    expect(card_on(page, card)).to_contain_text("Not before the sale ends")


def test_a_button_that_stays_can_be_pressed_again_once_its_press_is_answered(stack: Stack, slack_as: SlackAs) -> None:
    """However late the answer is behind what it brings: until it is there the button is disabled, and says so."""
    propose_much(stack, "BROWSER-AGAIN")
    page = slack_as("sam")
    press(card_on(page, stack.card("BROWSER-AGAIN")), "Details")
    modal = page.get_by_test_id("modal")
    expect(modal).to_contain_text("Page 1 of")
    page.evaluate(LATE, "/sandbox/act/click")
    press(modal, "Next →")
    expect(modal).to_contain_text("Page 2 of")
    page.wait_for_function("() => Boolean(window.letIn)")
    onwards = modal.get_by_role("button", name="Next →", exact=True).first
    expect(onwards).to_be_disabled()
    page.evaluate("letIn()")
    onwards.click()

    expect(modal).to_contain_text("Page 3 of")


def test_what_was_begun_in_the_message_box_is_there_when_one_comes_back(stack: Stack, slack_as: SlackAs) -> None:
    """A look at another place loses no word."""
    page = slack_as("sam")
    page.get_by_test_id("composer").fill("Not before the")
    page.get_by_test_id("channel-home").click()
    expect(page.get_by_test_id("composer")).to_have_count(0)
    page.get_by_test_id(f"channel-{CHANNEL}").click()

    expect(page.get_by_test_id("composer")).to_have_value("Not before the")


def test_reject_asks_for_a_reason_which_the_card_then_shows(stack: Stack, slack_as: SlackAs) -> None:
    """Reject opens a modal; with a reason it ends the loop, the card says who and why, and nothing runs."""
    card = stack.propose("BROWSER-2")
    page = slack_as("sam")
    press(card_on(page, card), "Reject")
    modal = page.get_by_test_id("modal")
    modal.get_by_label("Reason").fill("Not before the sale ends")
    modal.get_by_test_id("modal-submit").click()
    shown = card_on(page, card)

    expect(modal).to_have_count(0)
    expect(shown).to_contain_text("Rejected")
    expect(shown).to_contain_text("Decided by Sam Lee")
    expect(shown).to_contain_text("Not before the sale ends")
    assert not [call for call in stack.calls()["received"] if call["data"]["aggregateId"] == "BROWSER-2"]


@pytest.mark.parametrize(
    ("typed", "told"),
    [pytest.param("", "required field", id="by Slack"), pytest.param("  \n  ", "Please say why", id="by Loopgate")],
)
def test_a_rejection_without_a_reason_is_sent_back(stack: Stack, slack_as: SlackAs, typed: str, told: str) -> None:
    """Nothing, or nothing but white space: the modal stays open and says what it needs; nothing is decided."""
    change = f"BROWSER-3-{len(typed)}"
    card = stack.propose(change)
    page = slack_as("sam")
    press(card_on(page, card), "Reject")
    modal = page.get_by_test_id("modal")
    modal.get_by_label("Reason").fill(typed)
    modal.get_by_test_id("modal-submit").click()

    expect(modal.get_by_test_id("error-loopgate.reason")).to_contain_text(told)
    assert "approval.decision.recorded" not in [event["type"] for event in stack.audited(change)]


@pytest.mark.parametrize("way_out", ["Cancel", "Close", "Escape"])
def test_closing_the_reason_modal_decides_nothing(stack: Stack, slack_as: SlackAs, way_out: str) -> None:
    """Whoever leaves the modal, however far they had typed, has not answered: the card waits and can be approved."""
    change = f"BROWSER-4-{way_out}"
    card = stack.propose(change)
    page = slack_as("dana")
    press(card_on(page, card), "Reject")
    modal = page.get_by_test_id("modal")
    modal.get_by_label("Reason").fill("On second thoughts")
    if way_out == "Escape":
        page.keyboard.press("Escape")
    else:
        press(modal, way_out)
    expect(modal).to_have_count(0)
    decided = decisions(stack, change)
    expect(card_on(page, card)).to_contain_text("Waiting for approval")
    press(card_on(page, card), "Approve")
    expect(card_on(page, card)).to_contain_text("Approved and executed")

    assert decided == []


def test_a_stranger_is_refused_privately_and_told_what_to_do(stack: Stack, slack_as: SlackAs) -> None:
    """Somebody whom the configuration does not map sees why, alone; everybody else's card goes on waiting."""
    card = stack.propose("BROWSER-5")
    dana, alex = slack_as("dana"), slack_as(STRANGER)
    press(card_on(alex, card), "Approve")
    told = alex.get_by_role("article").filter(has_text=f"Slack user {STRANGER}")
    expect(told).to_contain_text("Only visible to you")
    expect(told).to_contain_text("loopgate.yaml")
    for page in (alex, dana):
        expect(card_on(page, card)).to_contain_text("Waiting for approval")
    expect(dana.get_by_role("article").filter(has_text="Only visible to you")).to_have_count(0)

    assert [event["type"] for event in decisions(stack, "BROWSER-5")] == ["approval.decision.refused"]


def test_the_person_behind_the_agent_is_refused_and_somebody_else_may_decide(stack: Stack, slack_as: SlackAs) -> None:
    """On one page, acting as one person and then another: the first is refused, the second approves."""
    change = "BROWSER-6"
    card = stack.propose(change, requested_by="robin")
    page = slack_as("robin")
    press(card_on(page, card), "Approve")
    expect(page.get_by_role("article").filter(has_text="Only visible to you")).to_contain_text("somebody else must")
    page.get_by_test_id("act-as").click()
    page.get_by_test_id(f"act-as-{slack_id('dana')}").click()
    expect(page.get_by_role("article").filter(has_text="Only visible to you")).to_have_count(0)
    press(card_on(page, card), "Approve")
    expect(card_on(page, card)).to_contain_text("Decided by Dana Ops")

    assert [event["type"] for event in decisions(stack, change)] == [
        "approval.decision.refused",
        "approval.decision.recorded",
    ]


def test_details_page_through_everything_however_long(stack: Stack, slack_as: SlackAs) -> None:
    """The pages of Details, read one after the other, hold every parameter that was proposed, to the last character."""
    parameters = propose_much(stack, "BROWSER-7")
    card = stack.card("BROWSER-7")
    page = slack_as("kim")
    press(card_on(page, card), "Details")
    modal = page.get_by_test_id("modal")
    expect(modal).to_contain_text(re.compile(r"Page 1 of \d+"))
    count = int(re.findall(r"Page 1 of (\d+)", modal.inner_text())[0])
    texts = []
    for number in range(1, count + 1):
        expect(modal).to_contain_text(f"Page {number} of {count}")
        texts += [text.removeprefix("\n").removesuffix("\n") for text in modal.locator("pre").all_text_contents()]
        if number < count:
            press(modal, "Next →")
    proposal, _ = json.JSONDecoder().raw_decode("".join(texts))
    press(modal, "← Previous")
    expect(modal).to_contain_text(f"Page {count - 1} of {count}")

    assert count > 2
    assert proposal["parameters"]["parameters"] == parameters

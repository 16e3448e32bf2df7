"""Block Kit lint: each limit of Slack's refuses one past it, and names the place."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.slack_sandbox.sandbox_driver import a_button, a_modal, mrkdwn, plain

from channels.slack_sandbox.blockkit.surfaces import checked_message_blocks, checked_view
from channels.slack_sandbox.form import initial_state
from channels.slack_sandbox.refusal import SlackRefusal

Json = dict[str, Any]


def section(**fields: Any) -> Json:
    return {"type": "section", **fields}


def actions(*elements: Json) -> Json:
    return {"type": "actions", "elements": list(elements)}


def option(value: str = "v", text: str = "t", **more: Any) -> Json:
    return {"text": plain(text), "value": value, **more}


def options(count: int) -> list[Json]:
    return [option(f"v{n}") for n in range(count)]


def confirm(**changes: Any) -> Json:
    return {"title": plain("t"), "text": mrkdwn("x"), "confirm": plain("y"), "deny": plain("n"), **changes}


def field(**element: Any) -> Json:
    return {"type": "input", "label": plain("l"), "element": {"type": "plain_text_input", **element}}


FINE = [
    [section(text=mrkdwn("x" * 3_000))],
    [section(fields=[mrkdwn("x" * 1_000)] * 10)],
    [{"type": "header", "text": plain("x" * 150)}],
    [{"type": "context", "elements": [mrkdwn("x")] * 10}],
    [actions(*(a_button(f"a{n}") for n in range(25)))],
    [actions(a_button(text=plain("x" * 75), value="v" * 2_000, url="u" * 3_000, style="primary", confirm=confirm()))],
    [section(text=mrkdwn("x"), accessory={"type": "static_select", "options": options(100)})],
    [actions({"type": "overflow", "options": options(5)})],
    [actions({"type": "checkboxes", "options": options(10), "initial_options": [option("v1")]})],
    [actions({"type": "radio_buttons", "options": options(10)}), {"type": "divider"}],
    [{"type": "image", "image_url": "https://example.com/x.png", "alt_text": "x"}],
    [{"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": []}]}],
    [{"type": "divider"}] * 50,
]


@pytest.mark.parametrize("blocks", FINE)
def test_what_slack_takes_passes(blocks: list[Json]) -> None:
    """At the limit nothing is refused."""
    assert len(checked_message_blocks(blocks)) == len(blocks)


REFUSED = [
    ([{"type": "divider"}] * 51, "/blocks", "no more than 50 items"),
    ([{"type": "carousel"}], "/blocks/0/type", "unsupported type: carousel"),
    ([{}], "/blocks/0", "missing required field: type"),
    (["x"], "/blocks/0", "must be an object"),
    ([section()], "/blocks/0", "either `text` or `fields`"),
    ([section(text=mrkdwn(""))], "/blocks/0/text/text", "more than 0 characters"),
    ([section(text=mrkdwn("x" * 3_001))], "/blocks/0/text/text", "less than 3001 characters"),
    ([section(fields=[mrkdwn("x")] * 11)], "/blocks/0/fields", "no more than 10 items"),
    ([section(fields=[mrkdwn("x" * 2_001)])], "/blocks/0/fields/0/text", "less than 2001 characters"),
    ([section(text="bare")], "/blocks/0/text", "must be an object"),
    ([section(text=mrkdwn("x"), colour="red")], "/blocks/0", "colour"),
    ([{"type": "header", "text": plain("x" * 151)}], "/blocks/0/text/text", "less than 151 characters"),
    ([{"type": "header", "text": mrkdwn("x")}], "/blocks/0/text/type", "plain_text"),
    ([{"type": "context", "elements": [mrkdwn("x")] * 11}], "/blocks/0/elements", "no more than 10 items"),
    ([{"type": "context", "elements": [a_button()]}], "/blocks/0/elements/0/type", "unsupported type: button"),
    ([actions()], "/blocks/0/elements", "no fewer than 1 items"),
    ([actions(*(a_button(f"a{n}") for n in range(26)))], "/blocks/0/elements", "no more than 25 items"),
    ([actions(a_button(), a_button())], "/blocks/0/elements/1/action_id", "unique"),
    ([actions({"type": "plain_text_input"})], "/blocks/0/elements/0/type", "unsupported type"),
    ([actions(a_button(text=plain("x" * 76)))], "/blocks/0/elements/0/text/text", "less than 76 characters"),
    ([actions(a_button(text=mrkdwn("x")))], "/blocks/0/elements/0/text/type", "plain_text"),
    ([actions(a_button(value="x" * 2_001))], "/blocks/0/elements/0/value", "less than 2001 characters"),
    ([actions(a_button(url="x" * 3_001))], "/blocks/0/elements/0/url", "less than 3001 characters"),
    ([actions(a_button(style="default"))], "/blocks/0/elements/0/style", "primary, danger"),
    ([actions(a_button("x" * 256))], "/blocks/0/elements/0/action_id", "less than 256 characters"),
    (
        [actions(a_button(confirm=confirm(title=plain("x" * 101))))],
        "/blocks/0/elements/0/confirm/title/text",
        "less than 101 characters",
    ),
    (
        [actions(a_button(confirm=confirm(text=mrkdwn("x" * 301))))],
        "/blocks/0/elements/0/confirm/text/text",
        "less than 301 characters",
    ),
    (
        [actions(a_button(confirm=confirm(deny=plain("x" * 31))))],
        "/blocks/0/elements/0/confirm/deny/text",
        "less than 31 characters",
    ),
    ([actions({"type": "static_select", "options": options(101)})], "/blocks/0/elements/0/options", "100 items"),
    ([actions({"type": "static_select"})], "/blocks/0/elements/0", "exactly one of"),
    ([actions({"type": "overflow", "options": options(6)})], "/blocks/0/elements/0/options", "5 items"),
    ([actions({"type": "checkboxes", "options": options(11)})], "/blocks/0/elements/0/options", "10 items"),
    ([actions({"type": "radio_buttons", "options": options(11)})], "/blocks/0/elements/0/options", "10 items"),
    (
        [actions({"type": "overflow", "options": [option(text="x" * 76)]})],
        "/blocks/0/elements/0/options/0/text/text",
        "less than 76 characters",
    ),
    (
        [actions({"type": "overflow", "options": [option("x" * 151)]})],
        "/blocks/0/elements/0/options/0/value",
        "less than 151 characters",
    ),
    (
        [actions({"type": "overflow", "options": [option(description=plain("x" * 76))]})],
        "/blocks/0/elements/0/options/0/description/text",
        "less than 76 characters",
    ),
    (
        [actions({"type": "radio_buttons", "options": options(2), "initial_option": option("other")})],
        "/blocks/0/elements/0/initial_option",
        "must match an option",
    ),
    ([{"type": "divider", "block_id": "x" * 256}], "/blocks/0/block_id", "less than 256 characters"),
    ([{"type": "divider", "block_id": "a"}] * 2, "/blocks/1/block_id", "must be unique"),
    ([field() | {"label": plain("x" * 2_001)}], "/blocks/0/label/text", "less than 2001 characters"),
    ([field() | {"hint": plain("x" * 2_001)}], "/blocks/0/hint/text", "less than 2001 characters"),
    ([field(placeholder=plain("x" * 151))], "/blocks/0/element/placeholder/text", "less than 151 characters"),
    ([field(max_length=3_001)], "/blocks/0/element/max_length", "3000"),
    ([{"type": "input", "label": plain("l"), "element": a_button()}], "/blocks/0/element/type", "unsupported type"),
    ([{"type": "image", "image_url": "https://example.com/x.png"}], "/blocks/0", "alt_text"),
]


@pytest.mark.parametrize(("blocks", "path", "wrong"), REFUSED)
def test_one_past_a_limit_is_refused_with_its_path(blocks: list[Json], path: str, wrong: str) -> None:
    """invalid_blocks carries a message that names the place and what is wrong there."""
    with pytest.raises(SlackRefusal) as caught:
        checked_message_blocks(blocks)

    assert caught.value.error == "invalid_blocks"
    assert any(m.endswith(f"[json-pointer:{path}]") and wrong in m for m in caught.value.messages), (
        caught.value.messages
    )


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["", "plain_text", "section", "button", "x" * 80]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "text", "elements", "options", "element", "value"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) inside *value*."""
    for key, inner in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key
        if isinstance(inner, dict | list):
            yield from places(inner)


@given(blocks=st.sampled_from(FINE), junk=JUNK, data=st.data())
def test_any_json_in_any_place_is_accepted_or_refused(blocks: list[Json], junk: Any, data: st.DataObject) -> None:
    """However broken a block is, the lint answers; it never fails itself."""
    broken = json.loads(json.dumps(blocks[:3]))
    container, key = data.draw(st.sampled_from(list(places(broken))))
    container[key] = junk

    with contextlib.suppress(SlackRefusal):
        initial_state(checked_message_blocks(broken))
    with contextlib.suppress(SlackRefusal):
        checked_view({"type": "modal", "title": junk, "blocks": broken, "private_metadata": junk}, "modal")


def test_too_much_text_in_all_blocks_together_is_refused() -> None:
    """The sum of all block text has a limit of its own."""
    with pytest.raises(SlackRefusal, match="msg_blocks_too_long"):
        checked_message_blocks([section(text=mrkdwn("x" * 2_700))] * 5)


VIEWS = [
    (a_modal(title=plain("x" * 25)), "/view/title/text", "less than 25 characters"),
    (a_modal(submit=plain("x" * 25)), "/view/submit/text", "less than 25 characters"),
    (a_modal(close=plain("x" * 25)), "/view/close/text", "less than 25 characters"),
    (a_modal(submit=None), "/view", "submit"),
    (a_modal(private_metadata="x" * 3_001), "/view/private_metadata", "less than 3001 characters"),
    (a_modal(callback_id="x" * 256), "/view/callback_id", "less than 256 characters"),
    (a_modal(external_id="x" * 256), "/view/external_id", "less than 256 characters"),
    (a_modal(blocks=[{"type": "divider"}] * 101), "/view/blocks", "no more than 100 items"),
    (a_modal(type="dialog"), "/view/type", "modal"),
    (a_modal(notify_on_close="yes"), "/view/notify_on_close", "boolean"),
]


@pytest.mark.parametrize(("view", "path", "wrong"), VIEWS)
def test_modal_past_a_limit_is_refused_with_its_path(view: Json, path: str, wrong: str) -> None:
    """invalid_arguments carries a message that names the place in the view."""
    with pytest.raises(SlackRefusal) as caught:
        checked_view(view, "modal")

    assert caught.value.error == "invalid_arguments"
    assert any(m.endswith(f"[json-pointer:{path}]") and wrong in m for m in caught.value.messages), (
        caught.value.messages
    )


def test_view_beyond_250_kb_is_too_large() -> None:
    """The whole view, as JSON, has a limit of its own."""
    blocks = [section(text=mrkdwn("x" * 3_000), block_id=f"b{n}") for n in range(90)]

    with pytest.raises(SlackRefusal, match="view_too_large"):
        checked_view(a_modal(blocks=blocks), "modal")


def test_home_takes_a_hundred_blocks() -> None:
    """A Home tab and a modal take 100 blocks, a message 50."""
    view = checked_view({"type": "home", "blocks": [{"type": "divider"}] * 100}, "home")

    assert len(view["blocks"]) == 100

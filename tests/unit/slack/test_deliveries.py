"""Deliveries are read as Slack wrote them, whatever stands in them."""

import json
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.slack.deliveries import BadDelivery, Click, Command, Submission, read, understood

FORM, JSON = "application/x-www-form-urlencoded", "application/json; charset=utf-8"
COMMAND = {"command": "/loops", "user_id": "U1", "team_id": "T1"}

#: What Slack could send: texts of whole characters.
TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(text=TEXT, encoded=st.sampled_from([quote, quote_plus]))
def test_a_command_says_what_was_typed(text: str, encoded: type) -> None:
    """Every character comes out of the form as it went in, whichever of the two ways a space was written."""
    body = urlencode({**COMMAND, "text": text}, quote_via=encoded).encode()

    read_back = read(FORM, body)

    assert isinstance(read_back, Command)
    assert read_back.text == text


def test_every_byte_may_be_quoted_or_not() -> None:
    """Upper or lower case, needlessly quoted or bare, with signs that mean something elsewhere: the same text."""
    body = b"command=%2floops&user_id=U%31&team_id=T1&text=a_b+c=d%3Dd%0d%0A.%25+%2B%e2%82%ac \xe2\x82\xac\n"

    read_back = read(FORM, body)

    assert isinstance(read_back, Command)
    assert (read_back.user_id, read_back.text) == ("U1", "a_b c=d=d\r\n.% +€ €\n")


@pytest.mark.parametrize("value", ["%", "%2", "%G0", "100%", "%%20", "%\n20", "%u20AC", "=%3"])
def test_a_form_that_is_not_encoded_is_refused(value: str) -> None:
    """A percent sign without two hex digits is nothing Slack writes."""
    with pytest.raises(BadDelivery, match="invalid_body"):
        read(FORM, urlencode(COMMAND).encode() + f"&text={value}".encode())


@given(value=TEXT, beside=st.recursive(TEXT | st.integers() | st.none(), st.lists, max_leaves=9))
def test_an_interaction_is_the_same_over_http_and_socket_mode(value: str, beside: object) -> None:
    """What is read out of a form equals what is understood of a frame, and what nobody reads does no harm."""
    sent = {
        "type": "block_actions",
        "user": {"id": "U1"},
        "actions": [{"action_id": "a", "value": value}],
        "message": {"blocks": beside},
    }

    read_back = read(FORM, urlencode({"payload": json.dumps(sent)}).encode())

    assert isinstance(read_back, Click)
    assert read_back == understood(sent)
    assert read(JSON, json.dumps(sent).encode()) == read_back


def test_the_last_of_two_fields_counts() -> None:
    """A field sent twice is the later one, and one without a value is empty."""
    sent = {"type": "view_submission", "user": {"id": "U1"}, "view": {"id": "V1"}}
    body = b"payload=%7B&ssl_check&" + urlencode({"payload": json.dumps(sent)}).encode()

    assert isinstance(read(FORM, body), Submission)

"""What looks like a secret is neither stored nor shown nor sent."""

import copy
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from loops.redaction import RedactionRules, redact, redact_text

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJkYW5hIn0.c2lnbmF0dXJlLWJ5dGVz"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA\n-----END RSA PRIVATE KEY-----"


@pytest.mark.parametrize(
    "key",
    [
        "password",
        "db_password",
        "dbPassword",
        "API_KEY",
        "x-api-key",
        "apikey",
        "apiKey",
        "Authorization",
        "client_secret",
        "githubToken",
        "token",
        "private_key",
        "PrivateKey",
        "aws_secret_access_key",
        "connectionString",
        "sessionId",
        "cookie",
    ],
)
def test_value_under_a_secret_looking_key_is_taken_out(key: str) -> None:
    """Whatever stands under a key that says secret is replaced, in any spelling of the key."""
    found = redact({"deep": [{key: "hunter2"}]})

    assert "hunter2" not in str(found.value)
    assert found.paths == (f"$.deep[0].{key}",)


@pytest.mark.parametrize(
    "key", ["token_count", "maxTokens", "secretary", "keyboard", "passenger", "monkey", "primary_key"]
)
def test_innocent_keys_stay(key: str) -> None:
    """A key that only sounds like a secret keeps its value, or a model could not assess the change."""
    assert redact({key: "42"}).value == {key: "42"}


def test_flags_under_secret_keys_stay() -> None:
    """Whether a password is required is a fact, not a password."""
    assert redact({"password_required": True, "token": None}).value == {"password_required": True, "token": None}


def test_containers_under_secret_keys_go_whole() -> None:
    """A secret's parts go with it."""
    assert redact({"credentials": {"user": "dana", "pass": "x"}}).value == {"credentials": "[redacted:credentials]"}


@pytest.mark.parametrize(
    ("text", "what", "secret"),
    [
        ("key AKIAIOSFODNN7EXAMPLE here", "aws-access-key", "AKIAIOSFODNN7EXAMPLE"),
        ("curl -H 'authorization: Bearer abcdef1234567890'", "authorization", "abcdef1234567890"),
        (f"cert:\n{PEM}\nend", "private-key", "MIIEowIBAAKCAQEA"),
        ("-----BEGIN PRIVATE KEY-----\ncut off in the mid", "private-key", "cut off"),
        ("slack xoxb-1234567890-abcdef", "slack-token", "xoxb-1234567890"),
        (f"jwt {JWT}", "jwt", JWT),
        ("card 4111 1111 1111 1111 please", "card-number", "4111"),
        ("card 5500-0000-0000-0004", "card-number", "5500"),
        ("ghp_abcdefghijklmnopqrstuvwxyz0123456789", "github-token", "abcdefghij"),
        ("sk-ant-api03-abcdefghijklmnopqrstuvwx", "api-key", "abcdefghij"),
        ("sk_live_abcdefghijklmnopqrstuvwx", "api-key", "abcdefghij"),
        ("postgres://app:hunter2@db/orders", "url-credentials", "hunter2"),
        ("run with DB_PASSWORD=hunter2 set", "assignment", "hunter2"),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "webhook-secret", "MfKQ9"),
        ("le_0123456789abcdef0123456789abcdef", "api-key", "0123456789"),
    ],
)
def test_known_forms_of_credentials_are_taken_out_of_texts(text: str, what: str, secret: str) -> None:
    """A credential inside a sentence is replaced, the sentence stays."""
    found = redact({"note": text})

    assert secret not in found.value["note"]
    assert f"[redacted:{what}]" in found.value["note"]
    assert found.paths == ("$.note",)


@pytest.mark.parametrize(
    "text",
    [
        "4111 1111 1111 1112",  # Luhn fails
        "order 1732270000000",  # milliseconds since 1970
        "basic understanding of bearer bonds",
        "raise replicas from 4 to 8 on checkout",
        "2026-11-22T10:00:00Z",
        "https://example.com/a:b@c",
    ],
)
def test_ordinary_texts_stay(text: str) -> None:
    """Text without a credential is unchanged."""
    assert redact_text(text) == text


def test_card_number_as_a_number_is_taken_out() -> None:
    """A card number is one without quotes, too."""
    assert redact({"n": 4111111111111111}).value == {"n": "[redacted:card-number]"}


def test_configured_keys_are_hidden() -> None:
    """An installation adds names of its own, without regard to case and separators."""
    found = redact({"Cost-Centre": "4711", "site": "B"}, RedactionRules(keys=("cost_centre",)))

    assert found.value == {"Cost-Centre": "[redacted:configured]", "site": "B"}


def test_keys_that_are_secrets_are_hidden_and_none_is_lost() -> None:
    """A credential used as a key goes, and two such entries stay two."""
    found = redact({"AKIAIOSFODNN7EXAMPLE": 1, "AKIAIOSFODNN7EXAMPL2": 2})

    assert found.value == {"[redacted:aws-access-key]": 1, "[redacted:aws-access-key]#2": 2}


#: One of every form.
SECRETS = [
    "AKIAIOSFODNN7EXAMPLE",
    "Bearer abcdef1234567890",
    "xoxb-1234567890-abcdef",
    JWT,
    "4111 1111 1111 1111",
    "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
    "sk-ant-api03-abcdefghijklmnopqrstuvwx",
    "postgres://app:hunter2@db",
    "a://:x@",
    "API-KEY: hunter2",
    "DB_PASSWORD=hunter2",
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "le_0123456789abcdef0123456789abcdef",
    "AIzaSyA-1234567890abcdefghijklmnopqrstu",
    "-----BEGIN PRIVATE KEY-----x-----END PRIVATE KEY-----",
]

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=15,
)


def test_configured_forms_are_taken_out() -> None:
    """An installation adds forms of its own, short ones too, under the name they are replaced with."""
    rules = RedactionRules(patterns={"badge-number": "(?:^|[^0-9])B[0-9]{3}"})

    found = redact({"note": "badge B123 here", "short": "B123", "x": "B12"}, rules)

    assert found.value == {"note": "badge[redacted:badge-number] here", "short": "[redacted:badge-number]", "x": "B12"}
    assert found.paths == ("$.note", "$.short")


def test_keys_may_be_kept() -> None:
    """A name that only says secret in other houses keeps its value, but not the credentials inside it."""
    rules = RedactionRules(keep=("secretName",))

    found = redact({"secret_name": "db", "secretName": "AKIAIOSFODNN7EXAMPLE", "secret": "x"}, rules)

    assert found.value == {
        "secret_name": "db",
        "secretName": "[redacted:aws-access-key]",
        "secret": "[redacted:secret]",
    }
    assert found.paths == ("$.secretName", "$.secret")


@pytest.mark.parametrize(
    ("patterns", "says"),
    [
        ({"x": "(a+)+$"}, "could take too long"),
        ({"x": "a+b"}, "could take too long"),
        ({"x": "a?"}, "matches nothing at all"),
        ({"x": "(?i)secret"}, "only plain groups"),
        ({"Not A Name": "secret[0-9]"}, "is no name for a form"),
    ],
)
def test_rules_that_could_stall_or_hide_everything_are_refused(patterns: dict[str, str], says: str) -> None:
    """A configured pattern can neither be made slow by a hostile text nor match everywhere."""
    with pytest.raises(ValidationError, match=says):
        RedactionRules(patterns=patterns)


def test_what_has_no_secret_is_returned_itself() -> None:
    """Nothing is copied where nothing is taken out."""
    value = {"a": [1, "text", {"b": None}], "url": "https://example.com", "mail": "dana@example.com"}

    found = redact(value)

    assert found.value is value
    assert found.paths == ()


def test_paths_begin_where_the_caller_says() -> None:
    """An event names what was taken out as people write it."""
    assert redact({"a": {"token": "x"}}, where="evidence").paths == ("evidence.a.token",)


def test_numbers_of_any_size_are_looked_at() -> None:
    """A number too long to be anything is left alone, and costs nothing."""
    value = {"n": 10**5000, "x": float("inf"), "y": float("nan"), "neg": -4111111111111111, "f": 4111111111111111.0}

    assert redact(value).paths == ("$.f",)


@pytest.mark.parametrize("number", ["378282246310005", "30569309025904", "6011111111111117", "3530111333300000"])
def test_every_length_of_card_is_known(number: str) -> None:
    """Cards have 13 to 19 digits, written together or in groups."""
    assert redact([f"pay {number} now"]).paths == ("$[0]",)
    assert redact([f"{number[:4]} {number[4:8]} {number[8:]}"]).paths == ("$[0]",)


@given(JSON)
def test_a_secret_beside_it_changes_nothing_for_a_value(value: object) -> None:
    """The quick look finds whatever the thorough one finds."""
    alone, beside = redact(value), redact([value, "AKIAIOSFODNN7EXAMPLE"])

    assert beside.value[0] == alone.value
    assert len(beside.paths) == len(alone.paths) + 1


@given(JSON, st.sampled_from(SECRETS), st.text(" \n,", max_size=2), st.lists(st.sampled_from(["k", 0]), max_size=4))
def test_a_credential_is_found_wherever_it_stands(value: object, secret: str, space: str, path: list[object]) -> None:
    """No depth, neighbour or surrounding text hides a credential."""
    inner: object = f"see{space or ' '}{secret}{space}"
    for step in path:
        inner = {"k": inner, "other": value} if step == "k" else [inner, value]

    assert secret not in str(redact(inner).value)


@given(JSON)
def test_redaction_leaves_its_argument_alone(value: object) -> None:
    """The original is the record and must not change."""
    before = copy.deepcopy(value)
    redact(value)

    assert value == before


@given(JSON)
def test_redacting_twice_changes_nothing_more(value: object) -> None:
    """What was taken out is out: a second pass finds nothing in the texts of the first."""
    once = redact(value).value

    again = redact(once)

    assert again.value == once
    assert again.paths == ()


def test_linear_time_also_holds_for_values() -> None:
    """A value of many texts costs no more than its size."""

    def cost(count: int) -> float:
        value = {"texts": ["Bearer a 4 eyJa. sk- token"] * count, "k": {str(n): "x" for n in range(count)}}
        started = time.thread_time()
        redact(value)
        return time.thread_time() - started

    small = min(cost(1_000) for _ in range(3))

    assert min(cost(8_000) for _ in range(2)) < 30 * small + 0.05


@pytest.mark.parametrize(
    "part",
    ["eyJ-", "eyJaaaaa.", "a" * 50, "aa://", "token ", "Bearer ", "-----BEGIN PRIVATE KEY-----", "4 ", "x-", "sk-"],
)
def test_hostile_text_costs_linear_time(part: str) -> None:
    """Eight times the text takes nowhere near 64 times as long, so nobody can stall a worker with a note."""

    def cost(size: int) -> float:
        text = part * (size // len(part))
        started = time.thread_time()
        redact_text(text)
        return time.thread_time() - started

    small = min(cost(30_000) for _ in range(3))

    assert min(cost(240_000) for _ in range(2)) < 30 * small + 0.05

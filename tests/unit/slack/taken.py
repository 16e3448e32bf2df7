"""
What Slack takes, asked of four who know: its TypeScript types, its Python models, its table of limits, the sandbox.

They share no code. A payload has to please all of them; `verdicts` says what each of them thinks, so that a test can
find them in disagreement.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator
from slack_sdk.errors import SlackObjectFormationError
from slack_sdk.models.blocks import Block
from slack_sdk.models.metadata import Metadata
from slack_sdk.models.views import View
from unit.slack.limits_table import HOME, MESSAGE, MODAL, Payload, broken

from channels.slack_sandbox.blockkit.surfaces import checked_message_blocks, checked_view
from channels.slack_sandbox.refusal import SlackRefusal

#: Made by `make slack-schema`.
SCHEMA = Path(__file__).parents[2] / "slack_schema" / "blockkit.schema.json"

__all__ = ["HOME", "MESSAGE", "MODAL", "assert_everything_taken", "assert_taken", "verdicts"]


def assert_taken(surface: str, payload: Payload) -> None:
    """Fail, with what each of the four says, unless all of them take *payload* on *surface*."""
    objections = {who: said for who, said in verdicts(surface, payload).items() if said}

    assert not objections, f"{surface}: {json.dumps(objections, indent=1, ensure_ascii=False)}\n{_shown(payload)}"


def verdicts(surface: str, payload: Payload) -> dict[str, list[str]]:
    """Return what each of the four has against *payload* on *surface*."""
    return {
        "types": _types(surface, payload),
        "models": _models(surface, payload),
        "limits": broken(surface, payload),
        "sandbox": _sandbox(surface, payload),
    }


def assert_everything_taken(calls: Sequence[Mapping[str, Any]], answers: Iterable[str]) -> None:
    """Fail unless each of the *calls* a sandbox got (`/sandbox/calls`), and each of our *answers* to it, is taken."""
    for call in calls:
        for surface, payload in _called(call["method"], call["args"]):
            assert_taken(surface, payload)
    for answer in filter(None, answers):
        for surface, payload in _answered(json.loads(answer)):
            assert_taken(surface, payload)


def _called(method: str, args: Mapping[str, Any]) -> Iterator[tuple[str, Payload]]:
    if "view" in args:
        yield HOME if method == "views.publish" else MODAL, _read(args["view"])
    elif method in {"chat.postMessage", "chat.update", "chat.postEphemeral"}:
        yield from _message(args)


def _answered(answer: Any) -> Iterator[tuple[str, Payload]]:
    if not isinstance(answer, dict):
        return
    if "view" in answer:
        yield MODAL, answer["view"]
    if answer.get("response_action") == "errors":
        assert answer["errors"], "errors that are said nowhere"
        assert all(0 < len(text) <= 2_000 for text in answer["errors"].values())
    if "response_type" in answer:
        yield from _message(answer)


def _message(args: Mapping[str, Any]) -> Iterator[tuple[str, Payload]]:
    payload = {name: _read(args[name]) for name in ("text", "blocks", "metadata") if args.get(name) is not None}
    # A text on its own is laid out as one section would be; of a longer one Slack cuts the end off, unasked.
    yield (
        MESSAGE,
        {"blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": args.get("text", "")}}], **payload},
    )


def _read(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) and value[:1] in "[{" and value[:1] else value


@cache
def _validator(definition: str) -> Draft7Validator:
    return Draft7Validator({**_schema(), "$ref": f"#/definitions/{definition}"})


@cache
def _schema() -> Payload:
    schema: Payload = json.loads(SCHEMA.read_text())
    return schema


@cache
def _blocks() -> dict[str, str]:
    """The definition of each kind of block, by its type: asked for at once, without the union of all of them."""
    branches = _schema()["definitions"]["KnownBlock"]["allOf"]
    named = {each["if"]["properties"]["type"]["const"]: each["then"].get("$ref", "") for each in branches}
    return {kind: ref.rpartition("/")[2] for kind, ref in named.items() if ref}


def _types(surface: str, payload: Payload) -> list[str]:
    # The shell with the number of its blocks, then each block: many stand in many payloads.
    shell = {**payload, "blocks": [{"type": "divider"}] * len(payload["blocks"])}
    found = [f"{error.json_path}: {error.message[:300]}" for error in _validator(surface).iter_errors(shell)]
    for number, block in enumerate(payload["blocks"]):
        found += [f"blocks[{number}]: {said}" for said in _block(json.dumps(block))]
    return found


@lru_cache(maxsize=4_096)
def _block(text: str) -> tuple[str, ...]:
    block = json.loads(text)
    errors = _validator(_blocks().get(block.get("type"), "KnownBlock")).iter_errors(block)
    return tuple(f"{error.json_path}: {error.message[:300]}" for error in errors)


def _models(surface: str, payload: Payload) -> list[str]:
    """`to_dict` validates what is inside, `validate_json` only the outermost object; what a model drops is unknown."""
    try:
        if surface == MESSAGE:
            blocks = Block.parse_all(payload["blocks"])
            kept: Any = [block.to_dict() if block else None for block in blocks]
            given: Any = payload["blocks"]
            if "metadata" in payload:
                Metadata(**payload["metadata"]).to_dict()
        else:
            kept, given = View(**payload).to_dict(), payload
    except (SlackObjectFormationError, TypeError, AttributeError, KeyError) as error:
        return [f"{type(error).__name__}: {error}"]
    return [] if kept == given else ["the models do not know all of it"]


def _sandbox(surface: str, payload: Payload) -> list[str]:
    try:
        if surface == MESSAGE:
            checked_message_blocks(payload["blocks"])
        else:
            checked_view(payload, surface.lower())
    except SlackRefusal as refusal:
        return [refusal.error, *refusal.messages]
    return []


def _shown(payload: Payload) -> str:
    text = json.dumps(payload, ensure_ascii=False)
    return text if len(text) < 2_000 else f"{text[:2_000]}… ({len(text)} characters)"

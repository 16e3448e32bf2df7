"""What every `loops.ports.Provider` promises, run over each of them."""

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import anthropic
import pytest
from contract.provider.messages_api import KEY, MessagesApi, serving
from patience import PATIENCE_S
from ports import refusing

from loops.errors import Rejected, Unavailable
from loops.ports import Provider
from loops.submission import Ask
from providers.anthropic import AnswerForm, AnthropicProvider
from providers.prompt import build_prompt
from providers.recorded import RecordedProvider

ANSWER = {
    "signal": "submit_analysis",
    "reasoning": "Two services are touched.",
    "confidence": 0.87,
    "data_points": [{"name": "affected_services", "value": ["checkout", "cart"]}],
}


def an_ask(**changes: Any) -> Ask:
    return Ask(
        instruction="Assess blast radius.",
        signals=("submit_analysis", "escalate"),
        loop_name="Infrastructure change",
        aggregate_id="CHG-1",
        state="ANALYZING",
        data={"service": "checkout", "db_password": "hunter2"},
        evidence={},
    ).changed(**changes)


class Subject(Protocol):
    """A provider, and the way to say what its model will answer."""

    provider_name: str
    model_id: str

    def will_answer(self, answer: Any) -> Provider: ...


@pytest.fixture(scope="module")
def server() -> Iterator[MessagesApi]:
    with serving(MessagesApi()) as running:
        yield running


@pytest.fixture
def api(server: MessagesApi) -> Iterator[MessagesApi]:
    url, app, release = server.url, server.app, server.release
    fresh = MessagesApi()
    server.__dict__.update(fresh.__dict__ | {"url": url, "app": app, "release": release})
    release.clear()
    yield server
    release.set()


@dataclass
class Claude:
    api: MessagesApi
    client: anthropic.AsyncAnthropic
    form: AnswerForm
    provider_name = "anthropic"
    model_id = "claude-answered-20261101"

    def will_answer(self, answer: Any) -> Provider:
        self.api.answer = answer
        return self.provider()

    def provider(self, **changes: Any) -> AnthropicProvider:
        return AnthropicProvider(
            self.client, "claude-asked", **({"answer_form": self.form, "timeout_s": PATIENCE_S} | changes)
        )


@dataclass
class Recorded:
    folder: Path
    provider_name = "claude (recorded)"
    model_id = "claude-answered-20261101"

    def will_answer(self, answer: Any) -> Provider:
        told = {"modelId": self.model_id, "provider": self.provider_name}
        names = {"data_points": "dataPoints"}
        points = {pair["name"]: pair["value"] for pair in answer.get("data_points", [])}
        told |= {names.get(key, key): value for key, value in answer.items()} | {"dataPoints": points}
        path = self.folder / "recording.json"
        path.write_text(json.dumps({"recordings": [{"submission": told}]}))
        return RecordedProvider.from_file(path)


@pytest.fixture
async def client(api: MessagesApi) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(api_key=KEY, base_url=api.url) as made:
        yield made


@pytest.fixture(params=["recorded", "anthropic-schema", "anthropic-tool"])
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Subject:
    if request.param == "recorded":
        return Recorded(tmp_path)
    form = "schema" if request.param.endswith("schema") else "tool"
    return Claude(request.getfixturevalue("api"), request.getfixturevalue("client"), form)


@pytest.fixture(params=["schema", "tool"])
async def claude(request: pytest.FixtureRequest, api: MessagesApi, client: anthropic.AsyncAnthropic) -> Claude:
    api.answer = ANSWER
    return Claude(api, client, request.param)


async def test_submission_carries_what_the_model_said_and_who_it_was(subject: Subject) -> None:
    """Signal, reasoning, confidence, data points, the model that answered and the prompt's hash all arrive."""
    submission = await subject.will_answer(ANSWER).submit(an_ask())

    assert submission.signal == "submit_analysis"
    assert submission.reasoning == "Two services are touched."
    assert submission.confidence == 0.87
    assert submission.data_points == {"affected_services": ["checkout", "cart"]}
    assert submission.model_id == subject.model_id
    assert submission.provider == subject.provider_name
    assert submission.prompt_hash == build_prompt(an_ask()).hash


async def test_equal_asks_hash_equally(subject: Subject) -> None:
    """The hash is of the prompt, not of the call."""
    provider = subject.will_answer(ANSWER)
    first, second = await provider.submit(an_ask()), await provider.submit(an_ask())

    assert first.prompt_hash == second.prompt_hash
    assert (await provider.submit(an_ask(aggregate_id="CHG-2"))).prompt_hash != first.prompt_hash


async def test_signal_that_was_not_offered_is_rejected(subject: Subject) -> None:
    """A model cannot take a way out that the loop did not offer it."""
    with pytest.raises(Rejected):
        await subject.will_answer(ANSWER | {"signal": "approve"}).submit(an_ask())


@pytest.mark.parametrize("confidence", [True, "0.9", float("nan"), 5, None])
async def test_confidence_that_is_none_is_rejected(subject: Subject, confidence: Any) -> None:
    """Only a finite number in [0, 1] is a confidence, whoever says so."""
    with pytest.raises(Rejected):
        await subject.will_answer(ANSWER | {"confidence": confidence}).submit(an_ask())


async def test_submission_without_reasoning_is_rejected(subject: Subject) -> None:
    """A recommendation nobody can read is none."""
    with pytest.raises(Rejected, match="no reasoning"):
        await subject.will_answer(ANSWER | {"reasoning": "  "}).submit(an_ask())


async def test_concurrent_asks_do_not_mix(subject: Subject) -> None:
    """One provider serves many effects at once, each with its own prompt."""
    import asyncio

    provider = subject.will_answer(ANSWER)
    asks = [an_ask(aggregate_id=f"CHG-{n}") for n in range(8)]
    given = await asyncio.gather(*(provider.submit(ask) for ask in asks))

    assert [one.prompt_hash for one in given] == [build_prompt(ask).hash for ask in asks]


async def test_what_is_sent_is_the_hashed_prompt_without_secrets(claude: Claude) -> None:
    """The request holds exactly the prompt that is hashed, and no secret of the case."""
    await claude.provider().submit(an_ask())
    sent, prompt = claude.api.requests[-1], build_prompt(an_ask())

    assert sent["system"] == prompt.system
    assert sent["messages"] == [{"role": "user", "content": prompt.user}]
    assert (sent.get("tools") or [{}])[0].get("input_schema", prompt.schema) == prompt.schema
    assert "hunter2" not in json.dumps(sent)


async def test_configuration_reaches_the_wire(claude: Claude) -> None:
    """The model, the limit and the installation's own secret keys are those configured."""
    await claude.provider(max_tokens=777, secret_keys=["service"]).submit(an_ask())
    sent = claude.api.requests[-1]

    assert (sent["model"], sent["max_tokens"]) == ("claude-asked", 777)
    assert '"service":"[redacted:configured]"' in sent["messages"][0]["content"]


async def test_answer_is_constrained_on_the_wire(claude: Claude) -> None:
    """The vendor is held to the form: a JSON schema, or exactly one forced tool call."""
    await claude.provider().submit(an_ask())
    sent = claude.api.requests[-1]

    if claude.form == "schema":
        assert sent["output_config"]["format"]["type"] == "json_schema"
        assert "tool_choice" not in sent
    else:
        assert sent["tool_choice"] == {"type": "tool", "name": "submit_assessment", "disable_parallel_tool_use": True}


async def test_default_form_works_on_models_that_refuse_forced_tools(
    api: MessagesApi, client: anthropic.AsyncAnthropic
) -> None:
    """The current models answer a forced tool call with 400; the default must reach them."""
    api.answer = ANSWER
    assert (await AnthropicProvider(client, "claude-sonnet-5-5").submit(an_ask())).confidence == 0.87

    with pytest.raises(Rejected, match="forced tool use is not supported"):
        await AnthropicProvider(client, "claude-sonnet-5-5", answer_form="tool").submit(an_ask())


@pytest.mark.parametrize("status", [408, 429, 500, 503, 529])
async def test_passing_trouble_is_unavailable(claude: Claude, status: int) -> None:
    """What may work later is `Unavailable`, with the wait the vendor asked for, after a single attempt."""
    claude.api.status, claude.api.headers = status, {"retry-after": "17"}

    with pytest.raises(Unavailable, match=f"anthropic answered {status}") as caught:
        await claude.provider().submit(an_ask())
    assert caught.value.retry_after == 17
    assert len(claude.api.requests) == 1


@pytest.mark.parametrize(
    ("header", "wait"), [("soon", None), ("-5", None), ("nan", None), ("1e9", 3600), ("0", 0), (None, None)]
)
async def test_strange_waits_are_not_believed(claude: Claude, header: str | None, wait: float | None) -> None:
    """A wait that is no number is unknown, and an endless one is bounded."""
    claude.api.status = 429
    claude.api.headers = {} if header is None else {"retry-after": header}

    with pytest.raises(Unavailable) as caught:
        await claude.provider().submit(an_ask())
    assert caught.value.retry_after == wait


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413])
async def test_lasting_trouble_is_rejected(claude: Claude, status: int) -> None:
    """What the same call will meet again is `Rejected`, and says which request it was."""
    claude.api.status = status

    with pytest.raises(Rejected, match=rf"anthropic answered {status} \w+ \(request req_test\): as the test asked"):
        await claude.provider().submit(an_ask())


async def test_wrong_key_is_rejected_without_naming_it(api: MessagesApi) -> None:
    """The key itself never stands in a message."""
    async with anthropic.AsyncAnthropic(api_key="sk-ant-wrong", base_url=api.url) as client:
        with pytest.raises(Rejected, match="401") as caught:
            await AnthropicProvider(client, "m").submit(an_ask())
    assert "sk-ant-wrong" not in str(caught.value)


async def test_silence_is_unavailable(claude: Claude) -> None:
    """A vendor that does not answer within the time-out may answer later."""
    claude.api.fault = "slow"

    with pytest.raises(Unavailable, match="fell silent"):
        await claude.provider(timeout_s=0.2).submit(an_ask())


async def test_deadline_bounds_the_whole_call(claude: Claude) -> None:
    """Retries and waits inside the SDK cannot outlive the job's lease."""
    claude.api.status, claude.api.headers = 429, {"retry-after": "3000"}

    with pytest.raises(Unavailable, match=r"did not answer within 0\.3 s"):
        await claude.provider(max_retries=5, deadline_s=0.3).submit(an_ask())


async def test_dropped_connection_is_unavailable(claude: Claude) -> None:
    """A connection lost in the middle of an answer is worth another try."""
    claude.api.fault = "dropped"

    with pytest.raises(Unavailable, match="cannot be reached"):
        await claude.provider().submit(an_ask())


async def test_nobody_listening_is_unavailable(client: anthropic.AsyncAnthropic) -> None:
    """A vendor that is not there may come back."""
    with refusing() as port:
        away = client.with_options(base_url=f"http://127.0.0.1:{port}")

        with pytest.raises(Unavailable, match="cannot be reached"):
            await AnthropicProvider(away, "m").submit(an_ask())


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        ("refusal", "refused to assess"),
        ("max_tokens", "cut off at max_tokens"),
        ("model_context_window_exceeded", "does not fit"),
        ("pause_turn", "paused"),
    ],
)
async def test_answer_that_is_not_complete_is_rejected(claude: Claude, reason: str, message: str) -> None:
    """An answer cut short is never taken for one, even where what is there would parse."""
    claude.api.stop_reason = reason

    with pytest.raises(Rejected, match=message):
        await claude.provider().submit(an_ask())


@pytest.mark.parametrize("form", ["schema", "tool"])
async def test_answer_without_a_submission_is_rejected(
    api: MessagesApi, client: anthropic.AsyncAnthropic, form: AnswerForm
) -> None:
    """Nothing, or thinking only, is no submission."""
    for content in ([], [{"type": "thinking", "thinking": "hm", "signature": "s"}]):
        api.content = content
        with pytest.raises(Rejected, match=r"without any text|it called none"):
            await AnthropicProvider(client, "m", answer_form=form).submit(an_ask())


async def test_wrong_tool_is_rejected(api: MessagesApi, client: anthropic.AsyncAnthropic) -> None:
    """A call of another tool is not the submission, whatever its input."""
    api.answer, api.tool_name = ANSWER, "approve_everything"

    with pytest.raises(Rejected, match="it called approve_everything"):
        await AnthropicProvider(client, "m", answer_form="tool").submit(an_ask())


async def test_two_submissions_are_rejected(api: MessagesApi, client: anthropic.AsyncAnthropic) -> None:
    """Of two answers none is the answer."""
    call = {"type": "tool_use", "id": "t", "name": "submit_assessment", "input": ANSWER}
    api.content = [call, call | {"id": "u"}]

    with pytest.raises(Rejected, match="it called submit_assessment, submit_assessment"):
        await AnthropicProvider(client, "m", answer_form="tool").submit(an_ask())


@pytest.mark.parametrize("text", ["Sure! Here it is: {}", '{"signal": "a", "signal": "b"}', '{"confidence": NaN}'])
async def test_text_that_is_not_strict_json_is_rejected(
    api: MessagesApi, client: anthropic.AsyncAnthropic, text: str
) -> None:
    """Prose around JSON, repeated keys and NaN are refused."""
    api.raw_text = text

    with pytest.raises(Rejected, match="did not answer in JSON"):
        await AnthropicProvider(client, "m").submit(an_ask())


@pytest.mark.parametrize("model", ["", None, 7])
async def test_answer_that_names_no_model_is_rejected(claude: Claude, model: Any) -> None:
    """A submission nobody signed does not enter the ledger."""
    claude.api.model = model

    with pytest.raises(Rejected, match="model_id"):
        await claude.provider().submit(an_ask())


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"<html>sign in</html>", "text/html"),
        (b"<html>sign in</html>", "application/json"),
        (b"null", "application/json"),
        (b"[]", "application/json"),
        (b'{"ok": true}', "application/json"),
        (b'{"type": "message", "content": "text"}', "application/json"),
        (b"\xff\xfe", "application/json"),
    ],
)
async def test_page_of_somebody_else_is_unavailable(claude: Claude, body: bytes, content_type: str) -> None:
    """A 200 that is no message comes from a proxy in between, and is neither taken for an answer nor a crash."""
    claude.api.body, claude.api.headers = body, {"content-type": content_type}

    with pytest.raises(Unavailable, match="is a proxy in between"):
        await claude.provider().submit(an_ask())

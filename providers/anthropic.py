"""
Claude, through Anthropic's SDK. The only module that imports it (about a second and 40 MB).

Sources: the SDK's types (anthropic 2.12) and platform.claude.com: build-with-claude/structured-outputs,
models/opus-5-5/whats-new-opus-5-5, api/errors.
"""

import asyncio
import math
from collections.abc import Iterable
from typing import Any, Literal

import anthropic
from anthropic.types import Message, TextBlock, ToolUseBlock

from loops.errors import Rejected, Unavailable
from loops.submission import Ask, Submission
from providers.prompt import ANSWER_NAME, Prompt, build_prompt, read_answer, strict_json

#: How this provider is called in evidence and on cards.
NAME = "anthropic"

#: How the answer is constrained. `schema`: the text is held to a JSON schema (every model from 4.5 on). `tool`: a
#: forced tool call, for older models and for gateways without structured outputs; Opus 5.5, Sonnet 5.5 and Fable 5.1
#: answer a forced tool call with 400.
AnswerForm = Literal["schema", "tool"]

#: Tokens of one answer, thinking included. The SDK refuses non-streaming calls over 21,333.
MAX_TOKENS = 16_000

#: The longest we pass on a vendor's wish to wait, in seconds.
RETRY_AFTER_MAX_S = 3_600.0

# Statuses below 500 that say "later": time-out, conflict with a lock, too many requests.
_LATER = frozenset({408, 409, 429})

_CUT_SHORT = {
    "max_tokens": "its answer was cut off at max_tokens; raise it in the provider's configuration",
    "model_context_window_exceeded": "the case does not fit the model's context window",
    "pause_turn": "it paused its turn instead of answering",
}


class AnthropicProvider:
    """
    A `loops.ports.Provider` that asks Claude.

    The client is the caller's to make and to close; its credentials and base URL are used as they are.

    Args:
        model: The model asked for. The submission names the one that answered.
        timeout_s: The longest silence on the connection.
        deadline_s: The longest one `submit` may take, retries and waits included.
        max_retries: Retries inside the SDK. 0, because the SDK waits as long as the vendor says while the job's lease
            runs; retries with back-off belong to the jobs, which read `Unavailable.retry_after`.
        secret_keys: Key names hidden besides those `loops.redaction` knows.
    """

    def __init__(
        self,
        client: anthropic.AsyncAnthropic,
        model: str,
        *,
        max_tokens: int = MAX_TOKENS,
        answer_form: AnswerForm = "schema",
        timeout_s: float = 60.0,
        deadline_s: float = 120.0,
        max_retries: int = 0,
        secret_keys: Iterable[str] = (),
    ) -> None:
        self._client = client.with_options(timeout=timeout_s, max_retries=max_retries)
        self._model = model
        self._max_tokens = max_tokens
        self._form = answer_form
        self._deadline_s = deadline_s
        self._secret_keys = tuple(secret_keys)

    async def submit(self, ask: Ask) -> Submission:
        """
        Return Claude's submission on *ask*.

        Raises:
            Unavailable: On time-outs, lost connections, 408, 409, 429 and 5xx (529 is Anthropic's "overloaded").
            Rejected: On any other 4xx, a refusal, an answer cut short, or one that is not a submission.
        """
        prompt = build_prompt(ask, secret_keys=self._secret_keys)
        message = await self._call(prompt)
        return read_answer(
            self._answer(message), ask=ask, prompt_hash=prompt.hash, model_id=message.model, provider=NAME
        )

    async def _call(self, prompt: Prompt) -> Message:
        try:
            async with asyncio.timeout(self._deadline_s):
                message: Any = await self._client.messages.create(
                    model=self._model,
                    max_tokens=self._max_tokens,
                    system=prompt.system,
                    messages=[{"role": "user", "content": prompt.user}],
                    **self._constraint(prompt),
                )
        except TimeoutError as error:
            raise Unavailable(f"{NAME} did not answer within {self._deadline_s:g} s") from error
        except anthropic.APITimeoutError as error:
            raise Unavailable(f"{NAME} fell silent") from error
        except anthropic.APIConnectionError as error:
            raise Unavailable(f"{NAME} cannot be reached: {type(error.__cause__ or error).__name__}") from error
        except anthropic.APIStatusError as error:
            raise _translated(error) from error
        except anthropic.AnthropicError as error:
            raise Rejected(f"{NAME} could not be asked: {type(error).__name__}: check its credentials") from error
        except ValueError as error:
            # A 200 whose body is not JSON, or a request the SDK will not make: the first is somebody else's page.
            raise Unavailable(f"{NAME} answered something that is not JSON; is a proxy in between?") from error
        # The SDK does not validate what it decodes.
        if not isinstance(message, Message) or not isinstance(message.content, list):
            raise Unavailable(f"{NAME} answered something that is not a message; is a proxy in between?")
        return message

    def _constraint(self, prompt: Prompt) -> dict[str, Any]:
        if self._form == "schema":
            return {"output_config": {"format": {"type": "json_schema", "schema": dict(prompt.schema)}}}
        tool = {
            "name": ANSWER_NAME,
            "description": "Submit your assessment of the case. Call this exactly once.",
            "input_schema": dict(prompt.schema),
        }
        choice = {"type": "tool", "name": ANSWER_NAME, "disable_parallel_tool_use": True}
        return {"tools": [tool], "tool_choice": choice}

    def _answer(self, message: Message) -> Any:
        reason = message.stop_reason
        if reason == "refusal":
            category = getattr(message.stop_details, "category", None)
            raise Rejected(f"{NAME} refused to assess this case" + (f" (category {category})" if category else ""))
        if reason in _CUT_SHORT:
            raise Rejected(f"{NAME}: {_CUT_SHORT[reason]}")
        if self._form == "schema":
            texts = [block.text for block in message.content if isinstance(block, TextBlock)]
            if not any(texts):
                raise Rejected(f"{NAME} answered without any text")
            return strict_json("".join(texts), provider=NAME)
        calls = [block for block in message.content if isinstance(block, ToolUseBlock)]
        if [call.name for call in calls] != [ANSWER_NAME]:
            named = ", ".join(str(call.name) for call in calls) or "none"
            raise Rejected(f"{NAME} was to call {ANSWER_NAME} once; it called {named}")
        return calls[0].input


def _translated(error: anthropic.APIStatusError) -> Unavailable | Rejected:
    told = f"{NAME} answered {error.status_code}"
    if isinstance(error.type, str):
        told += f" {error.type}"
    if error.request_id:
        told += f" (request {error.request_id})"
    if error.status_code >= 500 or error.status_code in _LATER:
        return Unavailable(told, retry_after=_seconds(error.response.headers.get("retry-after")))
    why = error.api_message if isinstance(error.api_message, str) else ""
    return Rejected(f"{told}: {why[:200]}" if why else told)


def _seconds(header: str | None) -> float | None:
    # Source: api/rate-limits: "retry-after: the number of seconds to wait".
    try:
        seconds = float(header or "")
    except ValueError:
        return None
    return min(seconds, RETRY_AFTER_MAX_S) if math.isfinite(seconds) and seconds >= 0 else None

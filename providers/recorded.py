"""
The recorded provider: replays submissions from a file, so that demo and tests need no key and no network.

A recording is one JSON file::

    {"note": "where it comes from",
     "recordings": [{"match": {"loopName": "...", "state": "...", "data": {"service": "checkout"}},
                     "submission": {"signal": "...", "reasoning": "...", "confidence": 0.87, "dataPoints": {...},
                                    "modelId": "...", "provider": "... (recorded)", "promptHash": "<hex>"}}]}

The first recording whose `match` fits the ask and whose signal is offered is the answer; every part of `match` may be
left out, `data` is a subset. `promptHash` is that of the recorded prompt; without it, that of the prompt which would
have been sent.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, TypeAdapter, ValidationError, field_validator

from loops.canonical import NotCanonical, canonical_json
from loops.errors import Rejected
from loops.submission import Ask, Submission
from loops.values import Identifier, JsonObject, Value
from providers.prompt import build_prompt, read_answer

#: Ends the provider name of every replay: nobody may take one for a model's answer of today.
MARK = "(recorded)"

#: The recordings that ship with Loopgate.
SHIPPED = Path(__file__).parent / "recordings"


class Match(Value):
    """What an ask must look like for a recording to answer it."""

    loop_name: str | None = None
    state: str | None = None
    data: JsonObject = Field(default_factory=dict)

    def fits(self, ask: Ask) -> bool:
        """Whether *ask* is such an ask."""
        return (
            self.loop_name in {None, ask.loop_name}
            and self.state in {None, ask.state}
            and _is_subset(self.data, ask.data)
        )


class RecordedSubmission(Value):
    """A submission as it was given once."""

    signal: Identifier
    reasoning: str
    confidence: Any
    data_points: JsonObject
    model_id: Identifier
    provider: Identifier
    prompt_hash: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None

    @field_validator("provider")
    @classmethod
    def _says_recorded(cls, name: str) -> str:
        return name if name.endswith(MARK) else f"{name} {MARK}"


class Recording(Value):
    """One submission, and the asks it answers."""

    match: Match = Match()
    submission: RecordedSubmission


class RecordingFile(Value):
    """The content of one file. `note` says where the recordings come from."""

    note: str | None = None
    recordings: Annotated[tuple[Recording, ...], Field(min_length=1)]


_FILE = TypeAdapter(RecordingFile)


class RecordedProvider:
    """A `loops.ports.Provider` that answers from recordings. Equal asks get equal submissions."""

    def __init__(self, recordings: Iterable[Recording], *, secret_keys: Iterable[str] = ()) -> None:
        self._recordings = tuple(recordings)
        self._secret_keys = tuple(secret_keys)

    @classmethod
    def from_file(cls, path: Path, *, secret_keys: Iterable[str] = ()) -> Self:
        """
        Return the provider that answers from the file at *path*.

        Raises:
            Rejected: If the file cannot be read or is not a recording; the message names the file and the place.
        """
        try:
            content = _FILE.validate_json(path.read_bytes())
        except OSError as error:
            raise Rejected(f"{path}: cannot be read: {error.strerror}") from error
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(str(step) for step in first["loc"])
            raise Rejected(f"{path}: not a recording: {place}: {first['msg']}") from error
        return cls(content.recordings, secret_keys=secret_keys)

    async def submit(self, ask: Ask) -> Submission:
        """
        Return the first recorded submission that fits *ask*.

        Raises:
            Rejected: If no recording fits, or the one that does is not a submission.
        """
        prompt = build_prompt(ask, secret_keys=self._secret_keys)
        for recording in self._recordings:
            told = recording.submission
            if told.signal in ask.signals and recording.match.fits(ask):
                return read_answer(
                    {
                        "signal": told.signal,
                        "reasoning": told.reasoning,
                        "confidence": told.confidence,
                        "data_points": told.data_points,
                    },
                    ask=ask,
                    prompt_hash=told.prompt_hash or prompt.hash,
                    model_id=told.model_id,
                    provider=told.provider,
                )
        raise Rejected(
            f"no recording answers {ask.loop_name} in {ask.state} with {' or '.join(ask.signals)}; "
            "record one, or configure a live provider"
        )


def _is_subset(part: Any, whole: Any) -> bool:
    if isinstance(part, Mapping):
        return isinstance(whole, Mapping) and all(
            key in whole and _is_subset(value, whole[key]) for key, value in part.items()
        )
    try:
        # Canonical bytes, because 1 == True in Python and not in JSON.
        return canonical_json(part) == canonical_json(whole)
    except NotCanonical:
        return False

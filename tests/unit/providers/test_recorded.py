"""The recorded provider, its files, and what importing it costs."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from loops.errors import Rejected
from loops.submission import Ask
from providers.prompt import build_prompt
from providers.recorded import SHIPPED, RecordedProvider


def an_ask(**changes: Any) -> Ask:
    return Ask(
        instruction="Assess.",
        signals=("submit_analysis",),
        loop_name="Infrastructure change",
        aggregate_id="CHG-1",
        state="ANALYZING",
        data={"service": "checkout", "replicas": 1},
        evidence={},
    ).changed(**changes)


def a_recording(reasoning: str, match: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    told = {"signal": "submit_analysis", "reasoning": reasoning, "confidence": 0.5, "modelId": "m", "provider": "p"}
    return {"match": match or {}, "submission": told | changes}


def a_provider(folder: Path, *recordings: dict[str, Any]) -> RecordedProvider:
    path = folder / "r.json"
    path.write_text(json.dumps({"recordings": recordings}))
    return RecordedProvider.from_file(path)


@pytest.mark.parametrize(
    ("file", "signal", "confidence", "points"),
    [
        (
            "infrastructure_change.json",
            "submit_analysis",
            0.87,
            {"affected_services", "blast_radius_score", "rollback_ready"},
        ),
        ("purchase_approval.json", "submit_review", 0.82, {"risk_score", "budget_available"}),
    ],
)
async def test_shipped_recordings_answer(file: str, signal: str, confidence: float, points: set[str]) -> None:
    """What we ship replays, and nobody can take it for a model's answer of today."""
    submission = await RecordedProvider.from_file(SHIPPED / file).submit(an_ask(signals=(signal,)))

    assert submission.confidence == confidence
    assert points <= submission.data_points.keys()
    assert submission.provider.endswith("(recorded)")


async def test_first_recording_that_fits_answers(tmp_path: Path) -> None:
    """Loop, state and a subset of the data pick the recording; the order of the file decides between two."""
    provider = a_provider(
        tmp_path,
        a_recording("other loop", {"loopName": "Purchase"}),
        a_recording("other state", {"state": "REVIEWING"}),
        a_recording("other data", {"data": {"service": "cart"}}),
        a_recording("true is not one", {"data": {"replicas": True}}),
        a_recording("other signal", signal="escalate"),
        a_recording("this one", {"loopName": "Infrastructure change", "data": {"service": "checkout"}}),
        a_recording("too late"),
    )

    assert (await provider.submit(an_ask())).reasoning == "this one"


async def test_replay_is_marked_even_where_the_file_does_not(tmp_path: Path) -> None:
    """A file that claims a live provider is shown as a recording all the same."""
    submission = await a_provider(tmp_path, a_recording("x", provider="anthropic")).submit(an_ask())

    assert submission.provider == "anthropic (recorded)"


async def test_prompt_hash_is_the_recorded_one_or_that_of_the_prompt(tmp_path: Path) -> None:
    """The hash names the prompt that was answered; without one, the prompt that would have been sent."""
    recorded = a_provider(tmp_path, a_recording("x", promptHash="ab" * 32))
    assert (await recorded.submit(an_ask())).prompt_hash == "ab" * 32

    unrecorded = a_provider(tmp_path, a_recording("x"))
    assert (await unrecorded.submit(an_ask())).prompt_hash == build_prompt(an_ask()).hash


async def test_ask_nothing_answers_is_rejected(tmp_path: Path) -> None:
    """No recording is a clear refusal, not a made-up answer."""
    with pytest.raises(Rejected, match="no recording answers Infrastructure change in ANALYZING"):
        await a_provider(tmp_path, a_recording("x", {"state": "ELSEWHERE"})).submit(an_ask())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not a recording"),
        ('{"recordings": []}', "recordings"),
        ('{"recordings": [{"submission": {"signal": "s"}}]}', "recordings.0.submission.reasoning"),
        ('{"recordings": [{"matches": {}}]}', "recordings.0"),
    ],
)
def test_bad_file_is_rejected_with_its_name_and_place(tmp_path: Path, text: str, message: str) -> None:
    """A broken recording names the file and where."""
    path = tmp_path / "bad.json"
    path.write_text(text)

    with pytest.raises(Rejected) as caught:
        RecordedProvider.from_file(path)
    assert str(caught.value).startswith(str(path))
    assert message in str(caught.value)


def test_missing_file_is_rejected(tmp_path: Path) -> None:
    """A file that is not there is named."""
    with pytest.raises(Rejected, match=r"gone\.json: cannot be read"):
        RecordedProvider.from_file(tmp_path / "gone.json")


def test_recorded_provider_does_not_load_a_vendor_sdk() -> None:
    """A process that replays recordings stays small."""
    code = "import sys, providers, providers.recorded; print([m for m in ('anthropic', 'httpx2') if m in sys.modules])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert told.stdout.strip() == "[]"

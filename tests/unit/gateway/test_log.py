"""What is logged: one line a record, and no local variable of ours in a traceback."""

import json
import subprocess
import sys

import pytest

_BREAKS = """
import structlog
from gateway.log import configure_logging
configure_logging("{format}", "info")
def carry_out(token):
    raise ValueError("broke")
try:
    carry_out("xoxb-" + "secret")
except ValueError:
    structlog.stdlib.get_logger("gateway.test").exception("effect.broke", effect_id="ef_1")
"""


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_traceback_shows_no_variables(log_format: str) -> None:
    """Arguments hold evidence and tokens; the log for operators gets the lines of code and no values."""
    done = subprocess.run(
        [sys.executable, "-c", _BREAKS.format(format=log_format)], capture_output=True, text=True, check=True
    )

    assert "ValueError: broke" in done.stderr
    assert "xoxb-secret" not in done.stderr


def test_a_record_is_one_line_of_json() -> None:
    """A program can read the log, tracebacks and all."""
    done = subprocess.run(
        [sys.executable, "-c", _BREAKS.format(format="json")], capture_output=True, text=True, check=True
    )
    [line] = done.stderr.splitlines()
    record = json.loads(line)

    assert (record["event"], record["effect_id"], record["level"]) == ("effect.broke", "ef_1", "error")
    assert record["logger"] == "gateway.test"

"""The short form of the chaos suite: half a minute of one seed. `make chaos` runs five of five minutes."""

import json
import tempfile
from pathlib import Path

import pytest
from chaos.run import run


@pytest.mark.e2e
@pytest.mark.timeout(300)
def test_nothing_acknowledged_is_lost_while_everything_fails() -> None:
    """Processes are killed and frozen, the store goes away, Slack and the receiver fail: every promise holds after."""
    with tempfile.TemporaryDirectory(prefix="loopgate-chaos-") as home:
        report = run(3, 25, Path(home))

    assert report.breaches == [], json.dumps(report.figures)
    assert report.figures["changes"] > 20
    assert report.figures["faults"] > 8

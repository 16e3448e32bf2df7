"""The demo, as whoever typed `make demo` meets it: one page, and the whole way with a mouse."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser.chromium import Open
from patience import PATIENCE_S
from playwright.sync_api import Browser, expect

pytestmark = pytest.mark.browser


@pytest.fixture
def demo(chromium: Browser, tmp_path: Path) -> Iterator[str]:
    """The address of a running demo's page. It must end cleanly when told."""
    environment = {name: value for name, value in os.environ.items() if name != "ANTHROPIC_API_KEY"}
    said = tmp_path / "demo.log"
    with said.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway.cli", "demo", "--no-browser"],
            cwd=tmp_path,
            env={**environment, "PYTHONUNBUFFERED": "1"},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield _address(process, said)
    finally:
        process.send_signal(signal.SIGINT)
        code = process.wait(timeout=PATIENCE_S)
    assert code == 0, said.read_text()


def _address(process: "subprocess.Popen[bytes]", said: Path) -> str:
    """Wait until the demo says where its page is."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end and process.poll() is None:
        if found := re.search(r"Open (http://\S+)\s", said.read_text()):
            return found[1]
        time.sleep(0.1)
    raise AssertionError(f"the demo was not ready within {PATIENCE_S:.0f} s:\n{said.read_text()}")


def test_a_proposal_is_made_approved_and_carried_out_on_one_page_with_a_mouse(demo: str, opened: Open) -> None:
    """Press a proposal, approve its card in the Slack beside it, and see it carried out once on a verified ledger."""
    page = opened(demo)
    loops = page.get_by_test_id("loop")
    expect(loops).to_have_count(1)
    page.get_by_test_id("propose-scale").click()
    expect(loops).to_have_count(2)
    change = loops.first.get_attribute("data-aggregate")
    assert change
    slack = page.frame_locator("[data-testid=slack]")
    card = slack.get_by_role("article").filter(has_text=f"{change}: ")
    approve = card.get_by_role("button", name="Approve", exact=True)
    expect(approve).to_be_in_viewport(ratio=1)
    approve.click()

    expect(card).to_contain_text("Approved and executed")
    expect(card).to_contain_text("Decided by Dana Ops")
    record = loops.and_(page.locator(f"[data-aggregate='{change}']"))
    expect(record.get_by_test_id("called")).to_have_text("deployer: called once")
    expect(record.get_by_test_id("chain")).to_contain_text("chain verified")

"""
Take the README's picture again: `python tests/browser/screenshots.py`.

The README's own loop, configuration and proposal run as real processes; the picture is their card in the sandbox.
"""

import sys
import tempfile
from pathlib import Path

# ruff: noqa: E402 - a program: what pytest has on its path, this has to put there first
sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "e2e")]

from browser.chromium import PATIENCE_MS, find_chromium, open_browser
from browser.readme import ReadmeStack
from playwright.sync_api import Browser
from stack import CHANNEL, Stack

PICTURE = Path(__file__).parent / "screenshots" / "card.png"

#: Bytes the picture may have: a clone should stay quick.
BYTES_MAX = 150_000
#: Pixels of the picture for one of the page: sharp on a dense screen.
SCALE = 1.5


def take(stack: Stack, browser: Browser, ts: str) -> bytes:
    """Return a picture of the message *ts*, as an approver sees it."""
    context = browser.new_context(viewport={"width": 800, "height": 1200}, device_scale_factor=SCALE)
    page = context.new_page()
    page.goto(f"{stack.sandbox}/?embed=1&user=U0DANA&channel={CHANNEL}")
    message = page.get_by_test_id(f"message-{ts}")
    message.wait_for(timeout=PATIENCE_MS)
    page.evaluate("document.fonts.ready")
    return message.screenshot(animations="disabled")


def main() -> None:
    """Write the picture."""
    chromium = find_chromium()
    if chromium is None:
        sys.exit("there is no Chromium to take a picture with; .ci/run installs Debian's")
    with tempfile.TemporaryDirectory(prefix="loopgate-picture-") as home, ReadmeStack(Path(home)) as stack:
        card = stack.propose_as_shown()
        with open_browser(chromium) as browser:
            picture = take(stack, browser, card["ts"])
    if len(picture) > BYTES_MAX:
        sys.exit(f"the picture has {len(picture):,} bytes, more than {BYTES_MAX:,}; show less, or scale it down")
    PICTURE.write_bytes(picture)
    print(f"{PICTURE}: {len(picture):,} bytes")


if __name__ == "__main__":
    main()

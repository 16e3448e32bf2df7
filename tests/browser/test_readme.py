"""The README's loop is the README's card."""

from collections.abc import Iterator

import pytest
from browser.chromium import Open
from browser.readme import ReadmeStack
from playwright.sync_api import Browser, expect
from stack import CHANNEL

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def readme(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReadmeStack]:
    """A stack on what the README shows; only where there is a browser."""
    with ReadmeStack(tmp_path_factory.mktemp("readme")) as running:
        yield running


def test_the_loop_in_the_readme_becomes_the_card_in_the_readme_and_runs_once(readme: ReadmeStack, opened: Open) -> None:
    """Its files, as they stand there: a signed proposal becomes a card, one click approves, the deployer is called."""
    card = readme.propose_as_shown()
    page = opened(f"{readme.sandbox}/?user=U0DANA&channel={CHANNEL}")
    shown = page.get_by_test_id(f"message-{card['ts']}")
    for words in ("Scale checkout from 8 to 12 replicas", "AI recommendation", "deployer", '"replicas":12', "sha256:"):
        expect(shown).to_contain_text(words)
    shown.get_by_role("button", name="Approve", exact=True).click()
    expect(shown).to_contain_text("Decided by Dana Ops")
    readme.until(lambda: readme.calls()["acted"], "the deployer to be called")
    readme.until(lambda: readme.recorded("CHG-1042")[-1] == "effect.succeeded", "its answer to be on record")
    [call] = readme.calls()["received"]

    assert call["data"]["parameters"] == {"service": "checkout", "replicas": 12}
    assert readme.ledger("CHG-1042")[-1]["type"] == "effect.succeeded"

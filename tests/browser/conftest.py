"""
A Chromium and a running stack for each module of this suite.

Both end with their module: while Playwright's synchronous API is open, no coroutine test could run in this thread. For
the same reason every test here is synchronous. Where no Chromium is found the tests are skipped, and say so.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from browser.chromium import NAMES, PATIENCE_MS, Open, find_chromium, open_browser
from browser.patient_stack import PatientStack
from playwright.sync_api import Browser, BrowserContext, Page, expect
from stack import CHANNEL, Stack, slack_id

expect.set_options(timeout=PATIENCE_MS)

_reports = pytest.StashKey[pytest.TestReport]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Keep how the test went, for the screenshot."""
    report: Any = yield
    if report.when == "call":
        item.stash[_reports] = report
    return report


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The system's Chromium."""
    path = find_chromium()
    if path is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is installed; .ci/run installs Debian's chromium")
    with open_browser(path) as browser:
        yield browser


@pytest.fixture(scope="module")
def stack(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack, started only where there is a browser to look at it with."""
    with PatientStack(tmp_path_factory.mktemp("stack")) as running:
        yield running


@pytest.fixture
def opened(chromium: Browser, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Open]:
    """
    Open pages; each must load and run without an error of its own.

    When the test fails there is a screenshot of every page in its `tmp_path`.
    """
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def open_page(url: str) -> Page:
        context = chromium.new_context(viewport={"width": 1280, "height": 900})
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(f"{url}: {error}"))
        page.on("console", lambda said: complaints.append(f"{url}: {said.text}") if said.type == "error" else None)
        page.goto(url)
        return page

    yield open_page
    report = request.node.stash.get(_reports, None)
    for number, page in enumerate(page for context in contexts for page in context.pages):
        if report is None or report.failed:
            page.screenshot(path=tmp_path / f"page{number}.png")
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def slack_as(stack: Stack, opened: Open) -> Callable[[str], Page]:
    """Open the sandbox's page in the approvers' channel, as somebody; a modal left open by another test is closed."""

    def open_slack(who: str) -> Page:
        user = who if who.startswith("U") else slack_id(who)
        stack.http.post(f"{stack.sandbox}/sandbox/act/close", json={"user": user, "all": True})
        return opened(f"{stack.sandbox}/?user={user}&channel={CHANNEL}")

    return open_slack

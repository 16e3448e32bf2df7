"""The system's Chromium, driven by Playwright: it downloads no browser of its own."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from patience import PATIENCE_S
from playwright.sync_api import Browser, Page, sync_playwright

#: Opens the page at an address, with a browser profile of its own.
Open = Callable[[str], Page]

#: What Chromium is called, where it comes from the system's packages.
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

#: Headless, on loopback only: nothing is updated, synchronised or asked for in the background. Without the sandbox,
#: which a container's root may not have: the pages are our own.
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

#: Longest wait for anything a page must show, in milliseconds.
PATIENCE_MS = PATIENCE_S * 1_000


def find_chromium() -> str | None:
    """Return the path of a Chromium, or None where there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@contextmanager
def open_browser(path: str) -> Iterator[Browser]:
    """
    Yield the Chromium at *path*.

    Playwright's synchronous API keeps an event loop going in this thread: no coroutine can be run here meanwhile.
    """
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()

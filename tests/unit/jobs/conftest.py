"""The loop of these tests, all in memory: an attempt is cut off when it hangs, not when the machine does."""

from collections.abc import Mapping
from typing import Any

from unhurried import UnhurriedLoop


def pytest_asyncio_loop_factories() -> Mapping[str, Any]:
    """Run every test here on it."""
    return {"unhurried": UnhurriedLoop}

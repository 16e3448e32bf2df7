"""Progress: what the demo is doing, in the terminal; live where it is one, line by line where it is a file."""

from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

_NAME_WIDTH = 9


class Progress:
    """The parts as they become ready, as a context around their start."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lines: dict[str, RenderableType] = {}
        self._live = Live(console=console, refresh_per_second=12) if console.is_terminal else None

    def __enter__(self) -> Self:
        self._console.print()
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def begin(self, name: str, shown: str) -> None:
        """Say that *name* is on its way."""
        self._show(name, Spinner("dots", Text.assemble((f"{name:<{_NAME_WIDTH}}", "bold"), (shown, "dim"))))

    def done(self, name: str, shown: str, seconds: float) -> None:
        """Say that *name* is ready, after *seconds*."""
        line = Text.assemble(
            ("✓ ", "green"), (f"{name:<{_NAME_WIDTH}}", "bold"), f"{shown:<46}", (f"{seconds:4.1f} s", "dim")
        )
        self._show(name, line)
        if self._live is None:
            self._console.print(line, soft_wrap=True)

    def close(self) -> None:
        """End the live display, leaving what it showed. May be called again."""
        if self._live is not None:
            self._live.stop()

    def _show(self, name: str, line: RenderableType) -> None:
        self._lines[name] = line
        if self._live is not None:
            self._live.update(Group(*self._lines.values()))

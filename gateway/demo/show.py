"""The show: `loopgate demo` from the first signal handler to the exit code."""

import contextlib
import os
import signal
import socket
import sys
import threading
import time
import webbrowser
from collections.abc import Iterator
from types import FrameType

from rich.console import Console
from rich.text import Text

from gateway.demo.files import DEFAULT_MODEL
from gateway.demo.progress import Progress
from gateway.demo.scenarios import SCALE
from gateway.demo.supervisor import Demo, DemoFailed, Interrupted

#: Seconds the first card may take: a recording answers at once, Claude thinks.
CARD_TIMEOUT_S = 20.0

#: Columns of output that goes to a file or a pipe.
FILE_WIDTH = 140

#: The shell's exit code for a program ended by Ctrl-C.
INTERRUPTED = 130


def show(*, scripted: bool, port: int | None, open_browser: bool) -> int:
    """Run the demo and return its exit code: 0 stopped or told, 1 failed, 130 stopped before it was ready."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = FILE_WIDTH
    stop = threading.Event()
    model = None if scripted else _model()
    with _stopping(stop):
        try:
            if port:
                _check_free(port)
            began = time.monotonic()
            with Progress(console) as progress, Demo(model=model, page_port=port, stop=stop, progress=progress) as demo:
                if scripted:
                    return _tell(console, progress, demo, stop, began)
                _present(console, progress, demo, model, began, open_browser=open_browser)
                demo.watch()
                console.print("\nStopping…", style="dim")
        except DemoFailed as error:
            console.print(Text(f"\n✗ {error}", "red"), soft_wrap=True)
            return 1
        except Interrupted:
            console.print("\nStopped before it was ready.", style="dim")
            return INTERRUPTED
    console.print("Everything is stopped; nothing was left behind.", style="dim")
    return 0


def _present(
    console: Console, progress: Progress, demo: Demo, model: str | None, began: float, *, open_browser: bool
) -> None:
    """Have a first card waiting, and say where to look."""
    waiting = f"a first card waits in #{SCALE.room.name}"
    progress.begin("Proposal", waiting)
    since = time.monotonic()
    aggregate_id = demo.propose(SCALE.id)["aggregateId"]
    if model:
        waiting = f"{aggregate_id}: Claude is reading it"
    elif not demo.await_card(SCALE.room.slack, CARD_TIMEOUT_S):
        waiting = f"{aggregate_id}: no card yet; see the logs"
    progress.done("Proposal", waiting, time.monotonic() - since)
    progress.close()
    by = f"Claude ({model})" if model else "recordings; set ANTHROPIC_API_KEY to let Claude assess"
    console.print(
        Text.assemble(
            "\nReady in ", (f"{time.monotonic() - began:.1f} s", "bold"), f". Proposals are assessed by {by}."
        ),
        soft_wrap=True,
    )
    console.print(
        Text.assemble(
            "Open ", (demo.addresses.stage, "bold underline"), f" · Ctrl-C stops everything · logs: {demo.logs}"
        ),
        soft_wrap=True,
    )
    if open_browser and _has_screen():
        webbrowser.open(demo.addresses.stage)


def _tell(console: Console, progress: Progress, demo: Demo, stop: threading.Event, began: float) -> int:
    progress.close()
    console.print(Text.assemble("\nReady in ", (f"{time.monotonic() - began:.1f} s", "bold"), "."))
    # Imported when everything runs: by then nobody waits for this process.
    from gateway.demo.story import tell  # noqa: PLC0415

    return INTERRUPTED if (told := tell(console, demo, stop)) is None else (0 if told else 1)


def _model() -> str | None:
    """Return Claude's model where there is a key for it."""
    return os.environ.get("LOOPGATE_DEMO_MODEL") or DEFAULT_MODEL if os.environ.get("ANTHROPIC_API_KEY") else None


def _has_screen() -> bool:
    has_display = sys.platform == "darwin" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    return sys.stdout.isatty() and has_display


def _check_free(port: int) -> None:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except (OSError, OverflowError) as error:
        why = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
        raise DemoFailed(f"port {port} cannot be used: {why}; choose another with --port, or leave it out") from error


@contextlib.contextmanager
def _stopping(stop: threading.Event) -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and a closed terminal set *stop*, so that everything is stopped in order, once."""

    def handle(_: int, __: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

"""
`loopgate` as a process of its own, without each paying a second for the same imports.

One server process imports what the commands use and forks for every command: a process like any other, with its own
environment, output and exit code.
"""

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from multiprocessing.context import ForkServerContext
from pathlib import Path

#: What is imported once. Nothing of ours that looks at the terminal, the environment or the clock when imported.
_KNOWN_BEFORE = ["gateway.wiring.work", "gateway.loopfiles", "rich.table", "typer"]

_PATIENCE_S = 60


def run_loopgate(arguments: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run ``loopgate`` with *arguments* and nothing but *environment*, to its end."""
    context = _server()
    with tempfile.TemporaryDirectory() as home:
        said, complained = Path(home) / "out", Path(home) / "err"
        process = context.Process(target=_main, args=(list(arguments), dict(environment), str(said), str(complained)))
        process.start()
        process.join(_PATIENCE_S)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(["loopgate", *arguments], _PATIENCE_S)
        return subprocess.CompletedProcess(
            ["loopgate", *arguments], process.exitcode, said.read_text(), complained.read_text()
        )


def _server() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_KNOWN_BEFORE)
    return context


def _main(arguments: list[str], environment: dict[str, str], said: str, complained: str) -> None:
    for path, number in ((said, 1), (complained, 2)):
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(opened, number)
        os.close(opened)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["loopgate", *arguments]
    sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115 - the process's own
    from gateway.cli import main

    try:
        main()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()

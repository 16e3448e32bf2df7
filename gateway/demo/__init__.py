"""
The demo: the whole of Loopgate on one machine, every part real and in a process of its own.

Here live the supervisor that starts and stops the parts, the stage (the systems around Loopgate, and the one page),
and the story that plays everything without a person. Nothing here is used by the running service, and the demo uses
the service only from outside: its commands, HTTP, and the ledger read back from the store.
To add a proposal somebody can press, add a scenario in `scenarios.py`; to add a part, one in `supervisor.py`.
"""


def run(*, scripted: bool, port: int | None, open_browser: bool) -> int:
    """
    Run the demo until it is stopped or, *scripted*, until its story is told; return the exit code.

    Must be called in the main thread: Ctrl-C, SIGTERM and SIGHUP stop the demo. *port* is where the one page is
    served; a free one by default.
    """
    from gateway.demo.show import show  # noqa: PLC0415 - the parts' own processes import this package too

    return show(scripted=scripted, port=port, open_browser=open_browser)

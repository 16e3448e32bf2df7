"""
How humans are asked.

Lives here: one package per channel, each fitting `loops.ports.Channel` (show a request, tell one person something) and
bringing decisions back to the engine; `memory`, a channel without a vendor, for tests.

Must not be here: judging a decision (the engine does), storage, other vendors' libraries than the channel's own.

To add a channel: a package beside `slack/`, its adapter under the contract suite in `tests/contract/channel`, a module
in `gateway/wiring`.
"""

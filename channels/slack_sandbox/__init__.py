"""
The local Slack that `loopgate demo` and the tests run against, over the real Slack protocol.

Lives here: an in-memory workspace, the Web API over it, signed deliveries to the app, a control API to act as a person,
and a page to do the same by hand. It refuses what Slack refuses, so that it can disprove our own Slack code.

Must not be here: anything imported from the rest of Loopgate or from Slack's SDKs (a shared mistake would stay hidden),
anything written to disk, anything that listens or sends outside loopback.

To add a Web API method: a function in `methods/`, a line in `methods/registry.py`, its tier in `rate_limits.py`.
To add a block or element: its rule in `blockkit/`, its drawing in `static/blocks.js`.
"""

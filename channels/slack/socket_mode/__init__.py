"""
Socket Mode: Slack's deliveries over connections that the gateway opens, for the listeners that HTTP has, too.

`frames` reads and writes what goes over a connection, `link` is one connection, `keeper` keeps enough of them up,
`counts` is what operators see of it. Nothing in here decides anything about a delivery: that is `reception`'s.

slack_sdk's own client was read (3.47) and is not used, since what would have to change is its heart. It closes the old
connection before it opens the next one, so that each of Slack's routine refreshes is a gap; it takes a pong to its own
ping for life, which an intermediary may send for a backend that is gone; it sends an acknowledgement over whatever
connection is the current one; it reads its proxy from the environment; and its queue has no end. What it shares with
ours is `apps.connections.open` and aiohttp.
"""

"""
Storage: the only place that knows a Redis key, a Lua script or where the data directory is.

Here live the Redis adapters of `loops.ports.Store` and of the ports of `gateway.jobs`, `gateway.api` and
`gateway.auditing`, one module per noun; the same in memory, module for module; the embedded server; and what checks a
server's durability. Nothing here decides: a
script compares versions and fences and writes, or answers why not.

To add one: put its key into `keys.py`, its script beside the others in `lua/`, its class into a module named after
the noun, the same behaviour into its namesake in memory, and its promises into `tests/contract/storage/`.
"""

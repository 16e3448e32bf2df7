"""
The running service: everything that touches the world, around the engine in `loops`.

Here live settings, configuration, the wiring, the entry points (`asgi`, `worker`, `cli`) and the adapters: `storage`,
`jobs`, `intake`, `integrations`, `demo`. What must not live here: rules about who may move a loop (`loops`), a
channel's or a model's protocol (`channels`, `providers`). To add an adapter: fit the port it is for, prove it by that
port's contract suite, and name it in `wiring`.
"""

"""
Providers: how intelligence enters. One module per vendor, one shared prompt builder.

A provider turns an `Ask` into a `Submission` (see `loops.ports.Provider`). It commits nothing, calls no integration and
never decides: its submission passes the same engine as everybody else's. Nothing here may import `gateway` or
`channels`, and only `providers/<vendor>.py` may import that vendor's SDK, so that a process without it stays small.

To add one: write ``providers/<vendor>.py`` with a class that has ``async def submit(self, ask)``, build what is sent
with `providers.prompt.build_prompt`, read what came back with `providers.prompt.read_answer`, turn the vendor's errors
into `Unavailable` or `Rejected`, run it through ``tests/contract/provider``, and name it in ``gateway/wiring/work.py``.
"""

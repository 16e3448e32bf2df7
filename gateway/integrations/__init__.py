"""
Integrations: systems of record that act after governance. One module per kind.

An integration carries out one approved action and says what it did; it never decides, never moves a loop and never
retries by itself: its result comes back through the engine, and back-off belongs to the jobs.

To add one: fit `gateway.integrations.ports.Integration`, run it through ``tests/contract/integration``, and name its
kind in ``gateway/wiring/work.py``.
"""

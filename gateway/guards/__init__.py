"""
Guards from outside: module guards that other distributions bring, and the policy points external guards ask.

Neither decides: `loops.judging` asks them and fails closed. A module guard is a `loops.guards.Guard` named in the
entry-point group ``loopgate.guards`` of an installed distribution. To add a kind of policy point: fit
`loops.guards.PolicyPoint`, run it through ``tests/contract/guards``, and name it in ``gateway/wiring/parts.py``.
"""

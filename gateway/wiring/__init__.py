"""
The composition root: the only place that names adapters. What it returns is typed by the ports they fit.

`store` says where the store is, `parts` opens what every process has on it, `slack` what talks to the workspace, `work`
what workers carry out effects with. What must not live here: decisions, and protocols of others. A new adapter is named
in the one of these that opens its like.
"""

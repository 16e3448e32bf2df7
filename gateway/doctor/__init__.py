"""
The doctor: looks at everything a gateway needs to work, and says what to do about what is missing.

A check is a function of the `Patient` that yields findings; `EXAMINATION` in `examination` lists all of them, and one
that breaks or takes too long is a finding, too. `setup` looks at what was written down, `slack` at the workspace,
`running` at the store and the processes. A check changes nothing, posts nothing and prints no secret.
"""

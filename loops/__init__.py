"""
The governance runtime: what may move a loop, who, on what grounds, and the proof that it did.

Here live definitions, actors, evidence, guards, approvals, deadlines, events, the ledger, the pure decision functions
(`loops.decide`, `loops.answers`) and the engine over ports (`loops.engine`). The loops we ship are data, in `library/`.

What must not live here: the web, Slack, Redis, RQ, a model's client, files, a clock. The world comes in through
`loops.ports`; reading loop files is `gateway.loopfiles`. Imports: the standard library, pydantic, `cel`, no more.

To add a guard: write its parameter model and its judgement beside the others in `loops.runtime_guards` and name it in
`RUNTIME_GUARDS`. To add a rule for loop files: a generator in `loops.checking` with a code in `loops.problems`. To add
a shipped loop: a file in `library/`; it must be free of warnings.
"""

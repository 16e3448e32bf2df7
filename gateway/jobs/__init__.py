"""
Jobs: carrying out what commits left in the outbox, at least once, by workers that may die at any line.

Here live the relay (outbox to RQ), the runner (claim, lease, attempt, back-off), the lanes (the way to a system that is
called), the handlers (what each kind of effect does), chores, of which the sweep (what a crash or a deadline left due)
and the reconciler (cards that are behind) are two, and the RQ worker. This is the only place that knows RQ.
No policy lives here: what may move a loop is the engine's to say. A new kind of effect is a kind in `loops.effects`,
a handler in `cards.py` (the card itself), `telling.py` (what people are told), `alarming.py` (whoever runs this) or
`acting.py`, and a line in the table of `handlers.py`.
"""

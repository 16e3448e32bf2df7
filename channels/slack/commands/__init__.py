"""
`/loops`: what waits, how things stand, who may decide; starting, cancelling and trying again. Answers are private.

Lives here: reading what was typed (`parsing`), one module for each family of answers, their `wording`, and `run`, the
listener that picks one. Nothing here decides an approval request: that is what cards are for.

To add a command: a line in `wording.HELP`, its verb in `parsing.VERBS`, its case in `run.Commands`.
"""

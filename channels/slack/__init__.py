"""
Slack: cards, clicks, modals, the slash command and the Home tab, over HTTP.

Lives here: the pure renderers (`card`, `details`, `reason`, `home`) under Slack's `limits`, all `wording` people read,
the Bolt app with its listeners, the guard in front of it, and `channel.SlackChannel`.

Must not be here: judging who may decide or what follows (the engine does, behind `ports.Gate`), Slack's state as a
source of truth, a log of anything a payload holds.

To add a face of a card: its case in `faces`, its words in `wording`, its blocks in `card`. To add a listener: a method
beside its like and a line in `app.create_bolt_app`.
"""

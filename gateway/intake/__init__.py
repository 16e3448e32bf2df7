"""
Intake: how other systems' webhooks come in. `POST /webhooks/{source}`.

A source's rule verifies a delivery, the engine de-duplicates it, and a pure mapping turns it into one start, signal
or cancellation. Nothing here decides whether that may happen: the engine does. Nothing here knows Slack, Redis or RQ.

To add a source, write it under ``sources`` in ``loopgate.yaml`` (`gateway.intake.config`). To add a way of verifying,
widen `SourceConfig.verifier` and give `gateway.intake.verify` its function.
"""

"""
Auditing: ledgers read back, proven, exported, replayed, compared and counted. Everything here only reads, but for
making a checkpoint and moving what closed long ago into the archive.

What is proven and how is in `loops` (ledger, checkpoint, bundle, replay, comparing, metrics), pure; here stand the
readings of a store and of files, and the words of the answers. To add a check: its rule in `loops`, its reading here,
its command in `gateway/audit_commands.py`.
"""

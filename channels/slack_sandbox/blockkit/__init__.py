"""
Block Kit lint: says what Slack would refuse in blocks and views, and where.

Lives here: limits with their source, one rule function per text object, element, block and surface. All pure.
Must not be here: state, HTTP, drawing.
To add a block: its rule in `blocks.py` and a line in `BLOCKS`; to add an element: the same in `elements.py`.
"""

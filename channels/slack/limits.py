"""
Slack's limits, as far as this package meets them.

Source, where a line names no other: docs.slack.dev, reference/block-kit, each thing's page. Lengths are counted in
UTF-16 units of the escaped text (see `mrkdwn.size`), the largest of the ways Slack may count.
"""

BLOCKS_PER_MESSAGE_MAX = 50
#: All block text in one message. Undocumented; measured, answered with `msg_blocks_too_long`.
MESSAGE_BLOCK_TEXT_MAX = 13_200
#: Source: docs.slack.dev, reference/methods/chat.update, `text`.
MESSAGE_TEXT_MAX = 4_000
SECTION_TEXT_MAX = 3_000
SECTION_FIELDS_MAX = 10
HEADER_TEXT_MAX = 150
ACTIONS_ELEMENTS_MAX = 25
BUTTON_TEXT_MAX = 75
BUTTON_VALUE_MAX = 2_000
OPTION_TEXT_MAX = 75
OPTION_VALUE_MAX = 150
#: Options of a menu (`overflow`) and of a select.
OVERFLOW_OPTIONS_MAX, SELECT_OPTIONS_MAX = 5, 100
CONFIRM_TITLE_MAX, CONFIRM_TEXT_MAX, CONFIRM_BUTTON_MAX = 100, 300, 30
INPUT_LABEL_MAX = 2_000
PLAIN_TEXT_INPUT_MAX = 3_000
MODAL_TITLE_MAX = 24
MODAL_BUTTON_MAX = 24
PRIVATE_METADATA_MAX = 3_000
#: Source: docs.slack.dev, reference/methods/views.open, error `view_too_large`.
VIEW_BYTES_MAX = 250_000

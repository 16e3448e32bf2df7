"""`conversations.*` methods: channels, who is in them and what was said."""

from channels.slack_sandbox.methods.arguments import Arguments
from channels.slack_sandbox.methods.places import any_channel, bot_channel, person
from channels.slack_sandbox.refusal import SlackRefusal
from channels.slack_sandbox.sandbox import Sandbox
from channels.slack_sandbox.shapes import channel_json, message_json
from channels.slack_sandbox.workspace import Channel, JsonObject, Message

DEFAULT_TYPES = "public_channel"


def list_(sandbox: Sandbox, args: Arguments) -> JsonObject:
    """Channels the bot can see, by `types`."""
    types = set(args.text("types", DEFAULT_TYPES).replace(" ", "").split(","))
    bot = sandbox.workspace.bot_user_id
    seen = [
        channel
        for channel in sandbox.workspace.channels.values()
        if _kind(channel) in types and (not channel.is_private or bot in channel.members)
    ]
    page, cursor = args.page(seen)
    return {
        "channels": [channel_json(sandbox.workspace, channel) for channel in page],
        "response_metadata": {"next_cursor": cursor},
    }


def info(sandbox: Sandbox, args: Arguments) -> JsonObject:
    """One channel."""
    return {"channel": channel_json(sandbox.workspace, _visible(sandbox, args))}


def members(sandbox: Sandbox, args: Arguments) -> JsonObject:
    """The user ids in one channel."""
    page, cursor = args.page(_visible(sandbox, args).members)
    return {"members": page, "response_metadata": {"next_cursor": cursor}}


def history(sandbox: Sandbox, args: Arguments) -> JsonObject:
    """What was said in a channel, newest first, thread replies left out."""
    channel = bot_channel(sandbox, args.text("channel"))
    said = sandbox.workspace.messages.get(channel.id, [])
    return _messages(sandbox, args, [m for m in reversed(said) if m.thread_ts in {"", m.ts}])


def replies(sandbox: Sandbox, args: Arguments) -> JsonObject:
    """A thread: its parent, then the replies, oldest first."""
    channel = bot_channel(sandbox, args.text("channel"))
    parent = sandbox.workspace.message(channel.id, args.text("ts"))
    if parent is None:
        raise SlackRefusal("thread_not_found")
    root = sandbox.workspace.message(channel.id, parent.thread_ts) or parent
    return _messages(sandbox, args, [root, *sandbox.workspace.replies(channel.id, root.ts)])


def open_(sandbox: Sandbox, args: Arguments) -> JsonObject:
    """The bot's direct message with one person."""
    users = [user for user in args.text("users").replace(" ", "").split(",") if user]
    if not users:
        raise SlackRefusal("users_list_not_supplied")
    if len(users) > 1:
        raise SlackRefusal("not_enough_users", ["[ERROR] the sandbox has no group direct messages"])
    channel = sandbox.workspace.direct_message(person(sandbox, users[0]).id)
    return {"channel": channel_json(sandbox.workspace, channel) if args.flag("return_im") else {"id": channel.id}}


def join(sandbox: Sandbox, args: Arguments) -> JsonObject:
    """Put the bot into a public channel."""
    channel = any_channel(sandbox, args.text("channel"))
    bot = sandbox.workspace.bot_user_id
    if channel.is_private and bot not in channel.members:
        raise SlackRefusal("method_not_supported_for_channel_type" if channel.im_user else "channel_not_found")
    if bot not in channel.members:
        channel.members.append(bot)
        sandbox.feed.announce("channel", channel=channel_json(sandbox.workspace, channel))
    return {"channel": channel_json(sandbox.workspace, channel)}


def _messages(sandbox: Sandbox, args: Arguments, found: list[Message]) -> JsonObject:
    oldest, latest = args.text("oldest", "0"), args.text("latest")
    inclusive = args.flag("inclusive")
    within = [m for m in found if _is_between(m.ts, oldest, latest, inclusive=inclusive)]
    page, cursor = args.page(within)
    answer: JsonObject = {
        "messages": [
            message_json(sandbox.workspace, m, include_metadata=args.flag("include_all_metadata")) for m in page
        ],
        "has_more": bool(cursor),
    }
    return answer | ({"response_metadata": {"next_cursor": cursor}} if cursor else {})


def _is_between(ts: str, oldest: str, latest: str, *, inclusive: bool) -> bool:
    try:
        at, low, high = float(ts), float(oldest or 0), float(latest or "inf")
    except ValueError as error:
        raise SlackRefusal("invalid_ts_oldest" if not latest else "invalid_ts_latest") from error
    return low <= at <= high if inclusive else low < at < high


def _visible(sandbox: Sandbox, args: Arguments) -> Channel:
    channel = any_channel(sandbox, args.text("channel"))
    if channel.is_private and sandbox.workspace.bot_user_id not in channel.members:
        raise SlackRefusal("channel_not_found")
    return channel


def _kind(channel: Channel) -> str:
    if channel.im_user:
        return "im"
    return "private_channel" if channel.is_private else "public_channel"

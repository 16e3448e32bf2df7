"""How Slack writes users, channels, messages and views as JSON."""

from urllib.parse import quote

from channels.slack_sandbox.config import UsergroupConfig
from channels.slack_sandbox.workspace import Channel, File, JsonObject, Message, User, View, Workspace


def user_json(workspace: Workspace, user: User) -> JsonObject:
    """A user as `users.info` gives it."""
    answer: JsonObject = {
        "id": user.id,
        "team_id": user.team_id,
        "name": user.name,
        "deleted": user.deleted,
        "color": user.color,
        "real_name": user.real_name,
        "tz": "Etc/UTC",
        "tz_label": "Coordinated Universal Time",
        "tz_offset": 0,
        "profile": {
            "real_name": user.real_name,
            "real_name_normalized": user.real_name,
            "display_name": user.name,
            "display_name_normalized": user.name,
            "title": user.title,
            "team": user.team_id,
        },
        "is_bot": user.is_bot,
        "is_app_user": False,
        "updated": 1_700_000_000,
    }
    if user.email:
        answer["profile"]["email"] = user.email
    if user.bot_id:
        answer["profile"] |= {"bot_id": user.bot_id, "api_app_id": workspace.app_id}
    if user.is_stranger:
        answer["is_stranger"] = True
    if not user.deleted:
        answer |= {
            "is_admin": user.is_admin,
            "is_owner": False,
            "is_primary_owner": False,
            "is_restricted": user.is_restricted,
            "is_ultra_restricted": user.is_ultra_restricted,
            "is_email_confirmed": user.is_email_confirmed,
        }
    return answer


def channel_json(workspace: Workspace, channel: Channel) -> JsonObject:
    """A conversation as `conversations.info` gives it."""
    answer: JsonObject = {
        "id": channel.id,
        "created": 1_700_000_000,
        "is_archived": False,
        "is_im": bool(channel.im_user),
        "is_mpim": False,
        "is_channel": not channel.im_user and not channel.is_private,
        "is_group": not channel.im_user and channel.is_private,
        "is_private": channel.is_private,
        "context_team_id": workspace.team_id,
    }
    if channel.im_user:
        return answer | {"user": channel.im_user, "is_open": True}
    return answer | {
        "name": channel.name,
        "name_normalized": channel.name,
        "is_general": False,
        "is_shared": False,
        "is_ext_shared": False,
        "is_member": workspace.bot_user_id in channel.members,
        "creator": channel.members[0] if channel.members else "",
        "topic": {"value": channel.topic, "creator": "", "last_set": 0},
        "purpose": {"value": "", "creator": "", "last_set": 0},
        "num_members": len(channel.members),
    }


def usergroup_json(workspace: Workspace, group: UsergroupConfig) -> JsonObject:
    """A user group as `usergroups.list` gives it."""
    return {
        "id": group.id,
        "team_id": workspace.team_id,
        "is_usergroup": True,
        "name": group.name,
        "handle": group.handle,
        "description": "",
        "date_delete": group.disabled_at,
        "users": list(group.users),
        "user_count": len(group.users),
    }


def message_json(workspace: Workspace, message: Message, *, include_metadata: bool = False) -> JsonObject:
    """A message as history gives it; thread figures are added to parents of replies."""
    answer: JsonObject = {
        "type": "message",
        "user": message.user,
        "ts": message.ts,
        "text": message.text,
        "team": workspace.team_id,
    }
    if message.blocks:
        answer["blocks"] = message.blocks
    if message.user == workspace.bot_user_id:
        answer |= {
            "bot_id": workspace.bot_id,
            "app_id": workspace.app_id,
            "bot_profile": {
                "id": workspace.bot_id,
                "app_id": workspace.app_id,
                "user_id": workspace.bot_user_id,
                "name": workspace.app_name,
                "deleted": False,
                "team_id": workspace.team_id,
            },
        }
    if message.files:
        found = (workspace.files.get(file_id) for file_id in message.files)
        answer["files"] = [file_json(workspace, file) for file in found if file]
    if message.edited_ts:
        answer["edited"] = {"user": message.user, "ts": message.edited_ts}
    if message.thread_ts:
        answer["thread_ts"] = message.thread_ts
        if message.thread_ts != message.ts:
            answer["parent_user_id"] = _author(workspace, message.channel, message.thread_ts)
    if include_metadata and message.metadata is not None:
        answer["metadata"] = message.metadata
    replies = [] if message.ephemeral_to else workspace.replies(message.channel, message.ts)
    if replies:
        answer |= {
            "thread_ts": message.ts,
            "reply_count": len(replies),
            "reply_users": sorted({reply.user for reply in replies}),
            "latest_reply": replies[-1].ts,
        }
    return answer


def file_json(workspace: Workspace, file: File) -> JsonObject:
    """A file as messages and `files.completeUploadExternal` give it."""
    return {
        "id": file.id,
        "name": file.name,
        "title": file.title,
        "size": file.length,
        "user": workspace.bot_user_id,
        "mode": "hosted",
        "is_external": False,
        "url_private_download": f"/sandbox/files/{file.id}/{quote(file.name, safe='')}",
    }


def view_json(workspace: Workspace, view: View) -> JsonObject:
    """A view as `views.open` and interaction payloads give it."""
    content = view.content
    return {
        "id": view.id,
        "team_id": workspace.team_id,
        "type": view.type,
        "blocks": content["blocks"],
        "private_metadata": content.get("private_metadata", ""),
        "callback_id": content.get("callback_id", ""),
        "state": {"values": view.state},
        "hash": view.hash,
        "title": content.get("title", {"type": "plain_text", "text": workspace.app_name, "emoji": True}),
        "clear_on_close": content.get("clear_on_close", False),
        "notify_on_close": content.get("notify_on_close", False),
        "close": content.get("close"),
        "submit": content.get("submit"),
        "previous_view_id": view.previous_view_id or None,
        "root_view_id": view.root_view_id or view.id,
        "app_id": workspace.app_id,
        "external_id": content.get("external_id", ""),
        "app_installed_team_id": workspace.team_id,
        "bot_id": workspace.bot_id,
    }


def _author(workspace: Workspace, channel_id: str, ts: str) -> str:
    parent = workspace.message(channel_id, ts)
    return parent.user if parent else ""

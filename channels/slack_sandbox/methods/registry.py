"""The table of Web API methods this Slack knows."""

from collections.abc import Callable

from channels.slack_sandbox.methods import apps, auth, bots, chat, conversations, files, usergroups, users, views
from channels.slack_sandbox.methods.arguments import Arguments
from channels.slack_sandbox.sandbox import Sandbox
from channels.slack_sandbox.workspace import JsonObject

Method = Callable[[Sandbox, Arguments], JsonObject]

METHODS: dict[str, Method] = {
    "apps.connections.open": apps.connections_open,
    "auth.test": auth.test,
    "bots.info": bots.info,
    "chat.delete": chat.delete,
    "chat.getPermalink": chat.get_permalink,
    "chat.postEphemeral": chat.post_ephemeral,
    "chat.postMessage": chat.post_message,
    "chat.update": chat.update,
    "conversations.history": conversations.history,
    "conversations.info": conversations.info,
    "conversations.join": conversations.join,
    "conversations.list": conversations.list_,
    "conversations.members": conversations.members,
    "conversations.open": conversations.open_,
    "conversations.replies": conversations.replies,
    "files.completeUploadExternal": files.complete_upload_external,
    "files.getUploadURLExternal": files.get_upload_url_external,
    "usergroups.list": usergroups.list_,
    "usergroups.users.list": usergroups.users_list,
    "users.info": users.info,
    "users.list": users.list_,
    "users.lookupByEmail": users.lookup_by_email,
    "views.open": views.open_,
    "views.publish": views.publish,
    "views.push": views.push,
    "views.update": views.update,
}

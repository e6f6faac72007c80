"""The public names of the interface of Channels 1.1.8, by the module that each is imported from."""

from __future__ import annotations

#: ``channels.X`` is ``channels_classic.X`` here; the key is what follows ``channels_classic``.
NAMES: dict[str, list[str]] = {
    "": [
        *("__version__", "DEFAULT_CHANNEL_LAYER", "channel_layers"),
        *("Channel", "Group", "route", "route_class", "include"),
    ],
    ".apps": ["ChannelsConfig"],
    ".asgi": [
        *("InvalidChannelLayerError", "ChannelLayerManager", "ChannelLayerWrapper"),
        *("get_channel_layer", "channel_layers"),
    ],
    ".auth": [
        *("transfer_user", "channel_session_user", "http_session_user"),
        *("channel_session_user_from_http", "channel_and_http_session_user_from_http"),
        *("channel_session", "http_session", "channel_and_http_session"),
    ],
    ".binding": ["Binding"],
    ".binding.base": ["CREATE", "UPDATE", "DELETE", "BindingMetaclass", "Binding"],
    ".binding.websockets": ["WebsocketBinding", "WebsocketBindingWithMembers"],
    ".channel": ["Channel", "Group"],
    ".delay.apps": ["DelayConfig"],
    ".delay.management.commands.rundelay": ["Command"],
    ".delay.migrations.0001_initial": ["Migration"],
    ".delay.models": ["DelayedMessage", "DelayedMessageQuerySet"],
    ".delay.worker": ["Worker"],
    ".exceptions": [
        *("ConsumeLater", "ResponseLater", "RequestTimeout", "RequestAborted", "DenyConnection"),
        *("ChannelSocketException", "WebsocketCloseException", "SendNotAvailableOnDemultiplexer"),
    ],
    ".generic": ["BaseConsumer"],
    ".generic.base": ["BaseConsumer"],
    ".generic.websockets": [
        *("WebsocketConsumer", "JsonWebsocketConsumer"),
        *("WebsocketMultiplexer", "WebsocketDemultiplexer"),
    ],
    ".handler": ["AsgiRequest", "AsgiHandler", "ViewConsumer"],
    ".hacks": ["monkeypatch_django"],
    ".log": ["handler", "setup_logger"],
    ".management.commands.runserver": ["Command"],
    ".management.commands.runworker": ["Command"],
    ".message": ["Message", "PendingMessageStore", "pending_message_store"],
    ".package_checks": ["required_versions", "check_all"],
    ".routing": [
        *("Router", "Route", "RouteClass", "Include", "null_consumer", "connect_consumer"),
        *("route", "route_class", "include"),
    ],
    ".security.websockets": [
        *("BaseOriginValidator", "AllowedHostsOnlyOriginValidator", "allowed_hosts_only"),
    ],
    ".sessions": [
        *("session_for_reply_channel", "channel_session", "http_session"),
        *("channel_and_http_session", "enforce_ordering", "wait_channel_name", "requeue_messages"),
    ],
    ".signals": ["consumer_started", "consumer_finished", "worker_ready", "worker_process_ready"],
    ".staticfiles": ["StaticFilesHandler", "StaticFilesConsumer"],
    ".test": [
        *("ChannelTestCase", "TransactionChannelTestCase", "Client", "WSClient", "HttpClient"),
        *("apply_routes", "ChannelLiveServerTestCase"),
    ],
    ".test.base": ["ChannelTestCase", "TransactionChannelTestCase", "Client", "apply_routes"],
    ".test.http": ["HttpClient"],
    ".test.websocket": ["WSClient"],
    ".test.liveserver": ["ChannelLiveServerTestCase"],
    ".utils": ["name_that_thing"],
    ".worker": ["Worker", "WorkerGroup"],
}

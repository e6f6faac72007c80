"""The names of Channels 1 and its companions, and where each of them is now."""

from __future__ import annotations

import enum
from typing import NamedTuple

from channels_classic.asgi import REPLACED_BACKENDS

_TEST = (
    "ChannelTestCase TransactionChannelTestCase Client WSClient HttpClient apply_routes "
    "ChannelLiveServerTestCase"
)
_SESSIONS = (
    "session_for_reply_channel channel_session http_session channel_and_http_session "
    "enforce_ordering wait_channel_name requeue_messages"
)

#: Each module of Channels 1.1.8 with its names; a module has its place under ``channels_classic``.
CLASSIC = {
    module: frozenset(names.split())
    for module, names in {
        "channels": (
            "__version__ DEFAULT_CHANNEL_LAYER channel_layers Channel Group route route_class "
            "include"
        ),
        "channels.apps": "ChannelsConfig",
        "channels.asgi": (
            "InvalidChannelLayerError ChannelLayerManager ChannelLayerWrapper get_channel_layer "
            "channel_layers"
        ),
        "channels.auth": (
            "transfer_user channel_session_user http_session_user channel_session_user_from_http "
            "channel_and_http_session_user_from_http channel_session http_session "
            "channel_and_http_session"
        ),
        "channels.binding": "Binding",
        "channels.binding.base": "CREATE UPDATE DELETE BindingMetaclass Binding",
        "channels.binding.websockets": "WebsocketBinding WebsocketBindingWithMembers",
        "channels.channel": "Channel Group",
        "channels.delay": "",
        "channels.delay.apps": "DelayConfig",
        "channels.delay.models": "DelayedMessage DelayedMessageQuerySet",
        "channels.delay.worker": "Worker",
        "channels.delay.management.commands.rundelay": "Command",
        "channels.exceptions": (
            "ConsumeLater ResponseLater RequestTimeout RequestAborted DenyConnection "
            "ChannelSocketException WebsocketCloseException SendNotAvailableOnDemultiplexer"
        ),
        "channels.generic": "BaseConsumer",
        "channels.generic.base": "BaseConsumer",
        "channels.generic.websockets": (
            "WebsocketConsumer JsonWebsocketConsumer WebsocketMultiplexer WebsocketDemultiplexer"
        ),
        "channels.handler": "AsgiRequest AsgiHandler ViewConsumer",
        "channels.hacks": "monkeypatch_django",
        "channels.log": "handler setup_logger",
        "channels.management.commands.runserver": "Command",
        "channels.management.commands.runworker": "Command",
        "channels.message": "Message PendingMessageStore pending_message_store",
        "channels.package_checks": "required_versions check_all",
        "channels.routing": (
            "Router Route RouteClass Include null_consumer connect_consumer route route_class "
            "include"
        ),
        "channels.security": "",
        "channels.security.websockets": (
            "BaseOriginValidator AllowedHostsOnlyOriginValidator allowed_hosts_only"
        ),
        "channels.sessions": _SESSIONS,
        "channels.signals": (
            "consumer_started consumer_finished worker_ready worker_process_ready"
        ),
        "channels.staticfiles": "StaticFilesHandler StaticFilesConsumer",
        "channels.utils": "name_that_thing",
        "channels.worker": "Worker WorkerGroup",
        **{
            f"channels.{test}{module}": names
            for test in ("test", "tests")
            for module, names in {
                "": _TEST,
                ".base": "ChannelTestCase TransactionChannelTestCase Client apply_routes",
                ".http": "HttpClient",
                ".websocket": "WSClient",
                ".liveserver": "ChannelLiveServerTestCase",
            }.items()
        },
    }.items()
}

#: Modules of Channels 2 and later.
MODERN = (
    *("channels.layers", "channels.consumer", "channels.db", "channels.middleware"),
    *("channels.testing", "channels.http", "channels.generic.websocket", "channels.generic.http"),
    *("channels.security.websocket", "channels_redis"),
)
#: Names of Channels 2 and later in modules that Channels 1 had, too.
MODERN_NAMES = {
    module: frozenset(names.split())
    for module, names in {
        "channels.auth": (
            "AuthMiddleware AuthMiddlewareStack UserLazyObject get_user login logout"
        ),
        "channels.exceptions": (
            "StopConsumer ChannelFull MessageTooLarge InvalidChannelLayerError"
        ),
        "channels.generic": "websocket http",
        "channels.routing": (
            "ProtocolTypeRouter URLRouter ChannelNameRouter get_default_application"
        ),
        "channels.security": "websocket",
        "channels.sessions": (
            "CookieMiddleware SessionMiddleware SessionMiddlewareStack InstanceSessionWrapper"
        ),
        "channels.staticfiles": "StaticFilesWrapper",
        "channels.utils": "await_many_dispatch",
    }.items()
}

_LAYERS = "channels_classic.layers"
#: The BACKENDs of Channels 1; those of Channels 2 and later are for a person.
BACKENDS = {
    **{old: new for old, new in REPLACED_BACKENDS.items() if not old.startswith("channels")},
    "asgi_redis.RedisSentinelChannelLayer": f"{_LAYERS}.redis.RedisSentinelChannelLayer",
    "asgi_redis.sentinel.RedisSentinelChannelLayer": f"{_LAYERS}.redis.RedisSentinelChannelLayer",
}
#: What else the companions of Channels 1 had that projects import.
_COMPANIONS = {
    **BACKENDS,
    "asgiref.base_layer.BaseChannelLayer": f"{_LAYERS}.base.BaseChannelLayer",
    "asgiref.conformance.ConformanceTestCase": (
        "channels_classic.test.conformance.ConformanceTestCase"
    ),
}
#: Names below these were Channels 1; all else in asgiref is Django's of today.
COMPANION_MODULES = (
    *("asgi_redis", "asgi_ipc", "asgi_rabbitmq"),
    *("asgiref.inmemory", "asgiref.base_layer", "asgiref.conformance"),
)
#: What `import NAME` binds that may need rewriting.
ROOTS = ("channels", "asgi_redis", "asgi_ipc", "asgi_rabbitmq", "asgiref")

#: Names with nothing in their place, and what to do instead.
REMOVED = {
    "channels.exceptions.AcceptConnection": (
        "there is no AcceptConnection: send {'accept': True} to message.reply_channel instead"
    ),
}

#: The script of the browser side, as templates name it: then and now.
BRIDGE = "channels/js/websocketbridge.js", "channels_classic/websocketbridge.js"

MODERN_TEXT = (
    "this is Channels 2+: it is left as it is, for channels_classic has the interface of Channels 1"
)


class Kind(enum.Enum):
    """What a dotted name is."""

    OTHER = enum.auto()  #: no business of ours
    CLASSIC = enum.auto()  #: of Channels 1 or a companion: it has a new name
    MODERN = enum.auto()  #: of Channels 2 or later
    UNKNOWN = enum.auto()  #: below `channels` or a companion, but not of Channels 1.1.8


class Found(NamedTuple):
    """What ``look_up`` says of a name."""

    kind: Kind
    new: str = ""  #: where it is now, if it is CLASSIC
    note: str = ""  #: what to say about it all the same
    known: bool = True  #: whether the name, and not the module alone, is of Channels 1.1.8


def look_up(path: str) -> Found:
    """What the dotted name ``path`` is, and where it is now."""
    if _within(path, COMPANION_MODULES):
        return _companion(path)
    if _within(path, MODERN):
        return Found(Kind.MODERN)
    if not _within(path, ("channels",)):
        return Found(Kind.OTHER)
    module = _module_of(path)
    name = path[len(module) + 1 :].partition(".")[0]
    if name in MODERN_NAMES.get(module, ()):
        return Found(Kind.MODERN)
    if not name or name in CLASSIC.get(module, ()):
        return Found(Kind.CLASSIC, _moved(path))
    if f"{module}.{name}" in REMOVED:
        return Found(Kind.CLASSIC, _moved(path), REMOVED[f"{module}.{name}"])
    if module == "channels":
        return Found(Kind.UNKNOWN, note=f"Channels 1 has no channels.{name}: it is left as it is")
    note = f"{name} is no documented name of {module}: look whether {_moved(module)} has it"
    return Found(Kind.CLASSIC, _moved(path), note, known=False)


def _companion(path: str) -> Found:
    for old, new in _COMPANIONS.items():
        if _within(path, (old,)):
            return Found(Kind.CLASSIC, new + path[len(old) :])
    note = f"{path} has nothing in its place: see channels_classic.layers"
    return Found(Kind.UNKNOWN, note=note)


def _within(path: str, modules: tuple[str, ...]) -> bool:
    return any(path == module or path.startswith(f"{module}.") for module in modules)


def _module_of(path: str) -> str:
    """The longest module of Channels 1, or a package around one, that ``path`` begins with."""
    parts = path.split(".")
    names = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((name for name in names if name in PACKAGES), "channels")


#: All modules of Channels 1, and the packages that do nothing but hold some.
PACKAGES = frozenset(
    ".".join(module.split(".")[:length])
    for module in CLASSIC
    for length in range(1, module.count(".") + 2)
)


def _moved(path: str) -> str:
    first, *rest = path.split(".")
    if rest and rest[0] == "tests":
        rest[0] = "test"
    return ".".join([f"{first}_classic", *rest])

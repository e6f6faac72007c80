"""What can be set about an interface server, with safe defaults.

The fields of ``ServerOptions`` and ``Limits`` are the options of ``channels-classic server`` and
the keys of ``CHANNELS_CLASSIC["SERVER"]``: each carries the sentence that explains it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import Field, dataclass, field, fields
from typing import Any

from channels_classic import conf
from channels_classic.exceptions import ChannelsError
from channels_classic.origin_patterns import is_pattern

#: ``(protocol, action, details)``; see ``access``.
ActionLogger = Callable[[str, str, dict[str, Any]], None]


class BadOption(ChannelsError, ValueError):
    """An option of the server has a value, or a name, that it cannot have."""


def setting(default: Any, text: str, *, least: float | None = None, flag: str = "") -> Any:
    """A field that can be set. ``text`` explains it; ``flag`` if it is not spelled like its name.

    A number is above 0, unless ``least`` says what is the smallest.
    """
    metadata = {"text": text, "least": least, "flag": flag}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class ServerOptions:
    """How traffic becomes messages, whatever the ASGI server. Times are seconds, sizes bytes."""

    http_timeout: float = setting(
        120.0, "Seconds until an answer begins, and between two parts of it; then 504."
    )
    heartbeat: float = setting(
        15.0,
        "Seconds between comments on an event stream that has nothing else to send; 0: none.",
        least=0,
    )
    websocket_timeout: float | None = setting(
        None, "Seconds that a WebSocket lives; on the command line -1 for no limit."
    )
    websocket_connect_timeout: float = setting(
        5.0, "Seconds in which a consumer must accept a WebSocket."
    )
    ws_protocols: Sequence[str] = setting(
        (),
        "A subprotocol to accept; may be given several times. The client's first offer counts.",
        flag="--ws-protocol",
    )
    allowed_origins: Sequence[str] = setting(
        (),
        "A site whose pages may open WebSockets; may be given several times. None: the workers "
        "decide, by ALLOWED_HOSTS.",
        flag="--allowed-origin",
    )
    root_path: str = setting("", "Where the site is mounted (SCRIPT_NAME).")
    trusted_proxies: Sequence[str] = setting(
        (),
        "Believe X-Forwarded-For, -Proto and X-Request-ID from this peer, an address or a network; "
        "may be given several times, or with commas.",
        flag="--proxy-headers",
    )
    max_body: int = setting(1024**3, "Bytes of a request body; more is answered 413.")
    body_part: int = setting(
        64 * 1024, "Bytes of a body that travel in one message; longer ones go in parts."
    )
    full_wait: float = setting(
        1.0, "Seconds that a request waits for room on a full channel; then 503."
    )
    message_rate: float = setting(
        0.0, "Messages a second that a WebSocket may send; then close 1008. 0: no limit.", least=0
    )
    max_pending: int = setting(
        1000, "Messages that may wait for a client that does not read; then close 1013."
    )
    max_pending_bytes: int = setting(4 * 1024**2, "Bytes of them.")
    ordering: bool = setting(
        True, "Run the messages of one WebSocket in order and one at a time, or in parallel."
    )
    max_lane: int = setting(
        100, "Messages of a WebSocket that wait for their turn before it is not read from."
    )
    max_lane_bytes: int = setting(1024**2, "Bytes of them.")
    live_path: str = setting("/-/livez", "Path of the probe that says 200 while this server works.")
    ready_path: str = setting(
        "/-/readyz", "Path of the probe that says 200 while this server takes and serves traffic."
    )
    metrics_path: str = setting(
        "",
        "Path of the metrics for Prometheus, such as /-/metrics, to be kept from strangers; by "
        "default there are none. Needs the extra metrics.",
    )
    stalled_after: float = setting(
        30.0, "Seconds without progress on a channel with messages that make the probes fail."
    )
    probe_channels: Sequence[str] = setting(
        (),
        "A channel, besides those of requests and sockets, whose stall makes the probe for traffic "
        "fail; may be given several times.",
        flag="--probe-channel",
    )
    slow_bus: float = setting(1.0, "Seconds of a round trip to the bus that make the probes fail.")
    #: Told of every finished request and every step of a WebSocket; only for programs.
    action_logger: ActionLogger | None = None

    def __post_init__(self) -> None:
        _check(self)
        for name in ("root_path", "live_path", "ready_path", "metrics_path"):
            if getattr(self, name) and not getattr(self, name).startswith("/"):
                raise BadOption(f"{name} must begin with '/', not {getattr(self, name)!r}")
        if self.metrics_path and self.metrics_path in (self.live_path, self.ready_path):
            raise BadOption(f"metrics_path: {self.metrics_path!r} is the path of a probe")
        for each in self.allowed_origins:
            if not is_pattern(each):
                raise BadOption(f"allowed_origins: {each!r} is not like https://example.com")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How connections are treated by the engines that we run. Times are seconds, sizes bytes."""

    max_connections: int = setting(
        0, "Connections of one process; then 503. 0: what its descriptors allow.", least=0
    )
    max_connections_per_address: int = setting(
        0, "Connections of one client address; then 503. 0: no limit.", least=0
    )
    max_head: int = setting(64 * 1024, "Bytes of a request's line and headers; more is 431.")
    max_fields: int = setting(100, "Headers of a request; more is 431.")
    head_timeout: float = setting(20.0, "Seconds in which a request head must be complete.")
    keep_alive: float = setting(20.0, "Seconds that an idle connection stays open.")
    min_body_rate: int = setting(
        500, "Bytes a second of a request body, after the first 20 seconds; less is 408.", least=0
    )
    write_timeout: float = setting(
        40.0, "Seconds in which a client must read some of what is sent to it."
    )
    max_message_size: int = setting(1024**2, "Bytes of a WebSocket message; then close 1009.")
    max_fragments: int = setting(1000, "Fragments of a WebSocket message; then close 1009.")
    control_rate: int = setting(100, "Pings a second, and the like; then close 1008.")
    deflate: bool = setting(False, "Offer to compress WebSocket messages: about 50 KiB a socket.")
    ping_interval: float = setting(20.0, "Seconds between pings; 0: none.", least=0)
    ping_timeout: float = setting(30.0, "Seconds in which a ping must be answered.")
    close_timeout: float = setting(10.0, "Seconds in which a client must answer a close.")
    close_spread: float = setting(
        5.0, "Seconds over which a server that stops closes its WebSockets, at most.", least=0
    )
    graceful_timeout: float = setting(
        30.0, "Seconds that requests in flight have to finish when the server stops."
    )

    def __post_init__(self) -> None:
        _check(self)


def development_limits() -> Limits:
    """Those of ``CHANNELS_CLASSIC["SERVER"]``, for a server that is stopped again and again."""
    return Limits(**{"graceful_timeout": 2, **configured(Limits)})


@dataclass(frozen=True, kw_only=True)
class Listen:
    """Where to listen, and what does."""

    host: str = "127.0.0.1"
    port: int | None = 8000
    unix_socket: str | None = None
    fd: int | None = None
    ssl_certfile: str | None = None
    ssl_keyfile: str | None = None
    #: "uvicorn", or "hypercorn" for HTTP/2.
    engine: str = "uvicorn"


def settings_of(kind: type[Any]) -> list[Field[Any]]:
    """The fields of ``kind`` that can be set from outside."""
    return [each for each in fields(kind) if each.metadata]


def flag_of(each: Field[Any]) -> str:
    """The option of the command line that sets this field."""
    return each.metadata["flag"] or "--" + each.name.replace("_", "-")


def shown_default(each: Field[Any]) -> str:
    """The default of this field as people write it."""
    if isinstance(each.default, bool):
        return "on" if each.default else "off"
    if isinstance(each.default, float):
        return f"{each.default:g}"
    if isinstance(each.default, int):
        return str(each.default)
    return "no limit" if each.default is None else str(each.default or "none")


def configured(kind: type[Any]) -> dict[str, Any]:
    """What ``CHANNELS_CLASSIC["SERVER"]`` says about ``kind``, or ``BadOption``."""
    found: Any = conf.server_options()
    if not isinstance(found, dict):
        kind_found = type(found).__name__
        raise BadOption(f"CHANNELS_CLASSIC['SERVER'] is not a dict but a {kind_found}")
    known = {each.name for each in (*settings_of(ServerOptions), *settings_of(Limits))}
    if unknown := found.keys() - known:
        raise BadOption(
            f"CHANNELS_CLASSIC['SERVER'] has no option {', '.join(sorted(map(repr, unknown)))}: "
            f"it has {', '.join(sorted(known))}"
        )
    return {each.name: found[each.name] for each in settings_of(kind) if each.name in found}


def _is_number(each: Field[Any]) -> bool:
    """None is the default of a number without a limit."""
    return each.default is None or type(each.default) in (int, float)


def _check(options: Any) -> None:
    for each in settings_of(type(options)):
        value, default = getattr(options, each.name), each.default
        if value is default:
            continue
        if _is_number(each):
            _check_number(each.name, value, each.metadata["least"])
        elif isinstance(default, tuple) and not isinstance(value, (list, tuple, set, frozenset)):
            raise BadOption(f"{each.name} must be a list, not {value!r}")
        elif isinstance(default, (bool, str)) and not isinstance(value, type(default)):
            kind = "True or False" if isinstance(default, bool) else "a text"
            raise BadOption(f"{each.name} must be {kind}, not {value!r}")


def _check_number(name: str, value: Any, least: float | None) -> None:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise BadOption(f"{name} must be a number, not {value!r}")
    if (least is None and not value > 0) or (least is not None and not value >= least):
        bound = "above 0" if least is None else f"{least} or more"
        raise BadOption(f"{name} must be {bound}, not {value!r}")

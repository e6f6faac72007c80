"""run_server: hand the application to the ASGI engine, uvicorn, with safe limits."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import uvicorn

from channels_classic.exceptions import ChannelsError
from channels_classic.server.engine import HttpProtocol, SocketProtocol
from channels_classic.stopping import on_stop

if TYPE_CHECKING:
    from channels_classic.server.app import InterfaceServer


#: Connections that may wait to be accepted.
_BACKLOG = 2048


class CannotListen(ChannelsError):
    """The address is in use or not allowed, or the certificate is not usable."""


@dataclass(frozen=True, kw_only=True)
class Listen:
    """Where to listen, and how to treat connections; times are seconds."""

    host: str = "127.0.0.1"
    port: int | None = 8000
    unix_socket: str | None = None
    fd: int | None = None
    ssl_certfile: str | None = None
    ssl_keyfile: str | None = None
    ping_interval: float = 20
    ping_timeout: float = 30
    #: How long requests in flight may take to finish once the server has been asked to stop.
    graceful_timeout: int = 30
    max_message_size: int = 1024 * 1024
    #: Peers whose X-Forwarded-For and X-Forwarded-Proto are believed; empty for none.
    trusted_proxies: str = ""


def run_server(
    application: InterfaceServer,
    listen: Listen,
    *,
    signal_handlers: bool = True,
    on_ready: Callable[[list[str]], None] | None = None,
) -> None:
    """Serve until a signal asks to stop; ``on_ready`` is told the addresses.

    Raises ``CannotListen`` when an address or the certificate cannot be used.
    """
    engine = _Engine(_config(application, listen))
    sockets = open_sockets(listen)
    try:
        with on_stop(engine.stop, wanted=signal_handlers):
            if on_ready is not None:
                on_ready([address_of(each, tls=bool(listen.ssl_certfile)) for each in sockets])
            engine.run(sockets=sockets)
    finally:
        for each in sockets:
            each.close()
        if listen.unix_socket is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(listen.unix_socket)


class _Engine(uvicorn.Server):
    """uvicorn without its own signal handlers: ours end the process with status 0."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def stop(self) -> None:
        """Finish what is in flight, then end."""
        self.should_exit = True


def open_sockets(listen: Listen) -> list[socket.socket]:
    """The listening sockets of ``listen``, or ``CannotListen``."""
    sockets = []
    try:
        if listen.port is not None:
            sockets.append(_tcp(listen.host, listen.port))
        if listen.unix_socket is not None:
            sockets.append(_unix(listen.unix_socket))
        if listen.fd is not None:
            sockets.append(_inherited(listen.fd))
    except CannotListen:
        for each in sockets:
            each.close()
        raise
    return sockets


def _tcp(host: str, port: int) -> socket.socket:
    host = host.strip("[]")
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(_BACKLOG)  # now, so that what is in use is known, and clients may come
    except (OSError, OverflowError) as error:
        listener.close()
        where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        raise CannotListen(
            f"cannot listen on {where} ({getattr(error, 'strerror', None) or error}): "
            "stop what uses it, or choose another address"
        ) from error
    return listener


def _unix(path: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    try:
        if _is_stale(path):
            os.unlink(path)
        listener.bind(path)
        os.chmod(path, 0o660)  # a web server in front is in the group
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise CannotListen(
            f"cannot listen on {path} ({error.strerror or error}): stop what uses it, "
            "or choose another path"
        ) from error
    return listener


def _is_stale(path: str) -> bool:
    """Whether ``path`` is the socket of a server that is gone."""
    if not os.path.exists(path) or not stat.S_ISSOCK(os.stat(path).st_mode):
        return False
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
    return False


def _inherited(fd: int) -> socket.socket:
    try:
        return socket.socket(fileno=fd)
    except OSError as error:
        raise CannotListen(
            f"descriptor {fd} is not a socket ({error.strerror or error})"
        ) from error


def address_of(listener: socket.socket, *, tls: bool = False) -> str:
    """The address of ``listener`` as people write it."""
    name = listener.getsockname()
    if listener.family == socket.AF_UNIX:
        return f"unix:{name}"
    host = f"[{name[0]}]" if listener.family == socket.AF_INET6 else name[0]
    return f"{'https' if tls else 'http'}://{host}:{name[1]}"


def _config(application: InterfaceServer, listen: Listen) -> uvicorn.Config:
    config = uvicorn.Config(
        application,
        loop="auto",
        http=HttpProtocol,
        ws=SocketProtocol,
        lifespan="on",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=bool(listen.trusted_proxies),
        forwarded_allow_ips=listen.trusted_proxies or None,
        ssl_certfile=listen.ssl_certfile,
        ssl_keyfile=listen.ssl_keyfile,
        ws_ping_interval=listen.ping_interval,
        ws_ping_timeout=listen.ping_timeout,
        ws_max_size=listen.max_message_size,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=listen.graceful_timeout,
    )
    if listen.ssl_keyfile and not listen.ssl_certfile:
        raise CannotListen("a key alone is no certificate: give --ssl-certfile too")
    try:
        config.load()
    except OSError as error:  # of which those of ssl are a kind
        raise CannotListen(
            f"cannot use the certificate {listen.ssl_certfile} with the key "
            f"{listen.ssl_keyfile or 'in it'} ({error.strerror or error})"
        ) from error
    return config

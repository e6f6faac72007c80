"""The listening sockets: TCP, UNIX and inherited ones, or an error that says what to do."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import stat
from collections.abc import Iterator

from channels_classic.exceptions import ChannelsError
from channels_classic.server.options import Listen

#: Connections that may wait to be accepted.
BACKLOG = 2048


class CannotListen(ChannelsError):
    """The address is in use or not allowed, or the certificate is not usable."""


@contextlib.contextmanager
def opened(listen: Listen) -> Iterator[list[socket.socket]]:
    """``open_sockets``, until the block ends; then the file of a UNIX socket is gone, too."""
    sockets = open_sockets(listen)
    try:
        yield sockets
    finally:
        for each in sockets:
            each.close()
        if listen.unix_socket is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(listen.unix_socket)


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
    if listener.family == socket.AF_INET6 and host == "::":
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)  # every address is meant
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)  # now, so that what is in use is known, and clients may come
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
        listener.listen(BACKLOG)
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
    """The family of the socket is found out; who opened it may have left the listening to us."""
    try:
        listener = socket.socket(fileno=fd)
    except OSError as error:
        raise CannotListen(
            f"descriptor {fd} is not a socket ({error.strerror or error})"
        ) from error
    try:
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise CannotListen(
            f"descriptor {fd} is not a socket to listen on ({error.strerror or error})"
        ) from error
    return listener


def tls_context(listen: Listen) -> ssl.SSLContext | None:
    """TLS 1.2 and newer with the certificate of ``listen``, or ``CannotListen``; None without."""
    if listen.ssl_certfile is None:
        if listen.ssl_keyfile is not None:
            raise CannotListen("a key alone is no certificate: give --ssl-certfile too")
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    try:
        context.load_cert_chain(listen.ssl_certfile, listen.ssl_keyfile)
    except OSError as error:  # of which those of ssl are a kind
        raise CannotListen(
            f"cannot use the certificate {listen.ssl_certfile} with the key "
            f"{listen.ssl_keyfile or 'in it'} ({error.strerror or error})"
        ) from error
    return context


def address_of(listener: socket.socket, *, tls: bool = False) -> str:
    """The address of ``listener`` as people write it."""
    name = listener.getsockname()
    if listener.family == socket.AF_UNIX:
        return f"unix:{name}"
    host = f"[{name[0]}]" if listener.family == socket.AF_INET6 else name[0]
    return f"{'https' if tls else 'http'}://{host}:{name[1]}"

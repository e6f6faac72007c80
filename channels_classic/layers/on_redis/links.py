"""Links: a connection to Redis that carries several commands in one round trip."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import hiredis
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    NoScriptError,
    RedisError,
    ResponseError,
)

from channels_classic.exceptions import LayerUnavailable
from channels_classic.layers.on_redis.ring import Node, Place, is_misplaced
from channels_classic.layers.on_redis.wire import SCRIPTS, Command

#: How long an answer that needs no waiting may take, in seconds.
TIMEOUT = 5.0
#: How long the close of a connection may take, in seconds.
CLOSING = 1.0

_LOAD: list[Command] = [("SCRIPT", "LOAD", script.text) for script in SCRIPTS]


class Link:
    """One connection of one thread."""

    def __init__(self, node: Node, *, timeout: float = TIMEOUT) -> None:
        self._node = node
        self._timeout = timeout
        self._connection = node.connect(_load_scripts)
        self._place: Place | None = None
        node.add_link(self)

    def call(self, commands: Sequence[Command]) -> list[Any]:
        """The replies to ``commands``; an error reply stands in the list as an exception.

        Raises ``LayerUnavailable``; when it is ``in_doubt``, it is not known what Redis has
        carried out. The next call looks anew for the server to ask.
        """
        self._node.look_again()  # who hangs, or does not know of its successor, does not say so
        packed = pack(commands)
        in_doubt = False
        try:
            if not self._connection.is_connected or self._place != self._node.place:
                self._open()
            in_doubt = True
            replies = self._trip(packed, len(commands))
            missing = scripts_missing(self._node, replies)
            if missing:  # somebody emptied the script cache
                again = [*_LOAD, *(commands[i] for i in missing)]
                second = self._trip(pack(again), len(again))
                scripts_missing(self._node, second)
                for i, reply in zip(missing, second[len(_LOAD) :], strict=True):
                    replies[i] = reply
            return replies
        except BaseException as error:
            self._connection.disconnect()  # nobody else may read a reply still on its way
            if problem := _problem(self._node, error, in_doubt=in_doubt):
                raise problem from error
            raise

    def _open(self) -> None:
        connection = self._connection
        connection.disconnect()
        place = self._node.locate(connection)
        connection.connect()
        connection.update_current_socket_timeout(self._timeout)
        self._place = place

    def _trip(self, packed: bytes, count: int) -> list[Any]:
        connection = self._connection
        connection.send_packed_command([packed])
        return [_reply(connection) for _ in range(count)]

    def freshen(self) -> None:
        """Drop a connection that the server has closed, so that the next call opens a new one."""
        try:
            if self._connection.is_connected and self._connection.can_read():
                self._connection.disconnect()
        except (RedisError, OSError):
            self._connection.disconnect()

    def interrupt(self) -> None:
        """End the call that is under way where the server was before; for any thread."""
        sock = self._connection._sock  # to close the connection is for the thread that uses it
        if sock is not None and self._place != self._node.place:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection; the next call opens it again."""
        self._connection.disconnect()


class Links:
    """The links that threads share: at most ``limit`` at once."""

    def __init__(self, node: Node, limit: int, *, timeout: float = TIMEOUT) -> None:
        self._node = node
        self._limit = limit
        self._timeout = timeout
        self._pool = _Pool(limit)

    def call(self, commands: Sequence[Command]) -> list[Any]:
        """``Link.call`` on a free link; waits for one when all are in use."""
        with self._borrow() as link:
            return link.call(commands)

    @contextmanager
    def _borrow(self) -> Iterator[Link]:
        pool = self._own_pool()
        if not pool.places.acquire(timeout=TIMEOUT):
            raise LayerUnavailable(
                f"every connection to Redis at {self._node.name} has been in use for "
                f"{TIMEOUT:.0f} s: raise max_connections"
            )
        try:
            with pool.lock:
                link = pool.free.pop() if pool.free else Link(self._node, timeout=self._timeout)
            link.freshen()
            yield link
            with pool.lock:
                pool.free.append(link)
        finally:
            pool.places.release()

    def _own_pool(self) -> _Pool:
        """After a fork the links are the parent's, and its threads may have held the locks."""
        if self._pool.pid != os.getpid():
            self._pool = _Pool(self._limit)
        return self._pool

    def close(self) -> None:
        """Close the links that nobody uses."""
        pool = self._own_pool()
        with pool.lock:
            free, pool.free = pool.free, []
        for link in free:
            link.close()


class _Pool:
    """The links of one process."""

    def __init__(self, limit: int) -> None:
        self.pid = os.getpid()
        self.free: list[Link] = []
        self.places = threading.BoundedSemaphore(limit)
        self.lock = threading.Lock()


class AsyncLink:
    """One connection of one event loop, used by one task at a time."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._connection = node.connect_async(_load_scripts_async)
        self._place: Place | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        node.add_link(self)

    async def call(self, commands: Sequence[Command], *, timeout: float = TIMEOUT) -> list[Any]:
        """``Link.call`` for an event loop; ``timeout`` is in seconds, for all the replies."""
        if not commands:  # Python 3.12 and later would try for ever to write the nothing
            return []
        self._node.look_again()
        packed = pack(commands)
        in_doubt = False
        try:
            if not self._connection.is_connected or self._place != self._node.place:
                await self._open()
            in_doubt = True
            async with asyncio.timeout(timeout):
                replies = await self._trip(packed, len(commands))
                missing = scripts_missing(self._node, replies)
                if missing:
                    again = [*_LOAD, *(commands[i] for i in missing)]
                    second = await self._trip(pack(again), len(again))
                    scripts_missing(self._node, second)
                    for i, reply in zip(missing, second[len(_LOAD) :], strict=True):
                        replies[i] = reply
                return replies
        except BaseException as error:
            await self._connection.disconnect(nowait=True)
            if problem := _problem(self._node, error, in_doubt=in_doubt):
                raise problem from error
            raise

    async def _open(self) -> None:
        connection = self._connection
        await connection.disconnect(nowait=True)
        self._loop = asyncio.get_running_loop()
        place = await self._node.locate_async(connection)
        async with asyncio.timeout(2 * self._node.patience):  # the greeting included
            await connection.connect()
        self._place = place

    async def _trip(self, packed: bytes, count: int) -> list[Any]:
        connection = self._connection
        await connection.send_packed_command([packed])
        return [await _reply_async(connection) for _ in range(count)]

    def interrupt(self) -> None:
        """End the call that is under way where the server was before; for any thread."""
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._abort)

    def _abort(self) -> None:
        writer = self._connection._writer
        if writer is not None and self._place != self._node.place:
            writer.transport.abort()

    async def close(self) -> None:
        """Close the connection; the next call opens it again."""
        with suppress(RedisError, OSError):
            async with asyncio.timeout(CLOSING):  # TLS takes leave of the other end
                await self._connection.disconnect()


def pack(commands: Sequence[Command]) -> bytes:
    """``commands`` as they go over the wire; hiredis takes a fifth of redis-py's time for it."""
    return b"".join([hiredis.pack_command(command) for command in commands])


def scripts_missing(node: Node, replies: Sequence[Any]) -> list[int]:
    """Where in ``replies`` stands that the script is not there.

    Raises ``LayerUnavailable`` when this is not the server to ask; it is in doubt unless every
    command was refused.
    """
    errors = [i for i, reply in enumerate(replies) if isinstance(reply, Exception)]
    if not errors:
        return errors
    missing = [i for i in errors if isinstance(replies[i], NoScriptError)]
    misplaced = [replies[i] for i in errors if is_misplaced(replies[i])]
    if misplaced:
        first = misplaced[0]
        text = f"{type(first).__name__}: {first}{node.advice(first)}"
        in_doubt = len(missing) + len(misplaced) < len(replies)
        raise LayerUnavailable(
            f"Redis at {node.name} cannot do this ({text})", in_doubt=in_doubt
        ) from first
    return missing


def _problem(node: Node, error: BaseException, *, in_doubt: bool) -> LayerUnavailable | None:
    """What to raise instead of ``error``, if it came from the connection; the node takes note."""
    if isinstance(error, LayerUnavailable):
        node.forget()
        return None
    if isinstance(error, (RedisError, OSError)):
        node.forget()
        return unavailable(node, error, in_doubt=in_doubt)
    return None


def unavailable(node: Node, error: Exception, *, in_doubt: bool = False) -> LayerUnavailable:
    """What to tell people when Redis does not answer as it should."""
    reason = str(error) or type(error).__name__
    # redis-py's async connections make another error of it, with the same text
    if (
        isinstance(error, AuthenticationError)
        or "username-password pair" in reason
        or "Authentication required" in reason
    ):
        return LayerUnavailable(f"Redis at {node.name} refuses the user or password ({reason})")
    text = f"Redis at {node.name} does not answer ({reason.rstrip('.')})"
    return LayerUnavailable(text, in_doubt=in_doubt)


def good(node_name: str, replies: Sequence[Any]) -> list[Any]:
    """``replies``, or ``LayerUnavailable`` when one of them is an error."""
    for reply in replies:
        if isinstance(reply, Exception):
            raise LayerUnavailable(f"Redis at {node_name} refuses: {reply}") from reply
    return list(replies)


def _reply(connection: Any) -> Any:
    try:
        return connection.read_response(disable_decoding=True, disconnect_on_error=False)
    except (ResponseError, BusyLoadingError) as error:
        return error


async def _reply_async(connection: Any) -> Any:
    try:
        return await connection.read_response(disable_decoding=True, disconnect_on_error=False)
    except (ResponseError, BusyLoadingError) as error:
        return error


def _load_scripts(connection: Any) -> None:
    connection.on_connect()
    connection.send_packed_command(connection.pack_commands(_LOAD), check_health=False)
    for _ in _LOAD:
        connection.read_response()


async def _load_scripts_async(connection: Any) -> None:
    await connection.on_connect()
    await connection.send_packed_command(connection.pack_commands(_LOAD), check_health=False)
    for _ in _LOAD:
        await connection.read_response()

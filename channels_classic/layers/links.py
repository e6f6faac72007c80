"""Links: a connection to Redis that carries several commands in one round trip."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from redis.exceptions import (
    AuthenticationError,
    NoScriptError,
    RedisError,
    ResponseError,
)

from channels_classic.exceptions import LayerUnavailable
from channels_classic.layers.ring import Node
from channels_classic.layers.wire import SCRIPTS, Command

#: How long an answer that needs no waiting may take, in seconds.
TIMEOUT = 10.0
#: How long the close of a connection may take, in seconds.
CLOSING = 1.0

_LOAD: list[Command] = [("SCRIPT", "LOAD", script.text) for script in SCRIPTS]


class Link:
    """One connection of one thread."""

    def __init__(self, node: Node, *, timeout: float = TIMEOUT) -> None:
        self._node = node
        self._connection = node.connect(_load_scripts, timeout=timeout)

    def call(self, commands: Sequence[Command]) -> list[Any]:
        """The replies to ``commands``; an error reply stands in the list as an exception.

        Raises ``LayerUnavailable``, after which it is not known what Redis has carried out.
        """
        connection = self._connection
        in_doubt = False
        try:
            if not connection.is_connected:
                connection.connect()
            in_doubt = True
            replies = self._trip(commands)
            missing = [i for i, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
            if missing:  # somebody emptied the script cache
                again = self._trip([*_LOAD, *(commands[i] for i in missing)])
                for i, reply in zip(missing, again[len(_LOAD) :], strict=True):
                    replies[i] = reply
            return replies
        except (RedisError, OSError) as error:
            connection.disconnect()
            raise unavailable(self._node, error, in_doubt=in_doubt) from error
        except BaseException:
            connection.disconnect()  # a reply may still be on its way: nobody else may read it
            raise

    def _trip(self, commands: Sequence[Command]) -> list[Any]:
        connection = self._connection
        connection.send_packed_command(connection.pack_commands(commands))
        return [_reply(connection) for _ in commands]

    def freshen(self) -> None:
        """Drop a connection that the server has closed, so that the next call opens a new one."""
        try:
            if self._connection.is_connected and self._connection.can_read():
                self._connection.disconnect()
        except (RedisError, OSError):
            self._connection.disconnect()

    def close(self) -> None:
        """Close the connection; the next call opens it again."""
        self._connection.disconnect()


class Links:
    """The links that threads share: at most ``limit`` at once."""

    def __init__(self, node: Node, limit: int, *, timeout: float = TIMEOUT) -> None:
        self._node = node
        self._timeout = timeout
        self._free: list[Link] = []
        self._places = threading.BoundedSemaphore(limit)
        self._lock = threading.Lock()
        self._pid = os.getpid()

    def call(self, commands: Sequence[Command]) -> list[Any]:
        """``Link.call`` on a free link; waits for one when all are in use."""
        with self._borrow() as link:
            return link.call(commands)

    @contextmanager
    def _borrow(self) -> Iterator[Link]:
        if not self._places.acquire(timeout=TIMEOUT):
            raise LayerUnavailable(
                f"every connection to Redis at {self._node.name} has been in use for "
                f"{TIMEOUT:.0f} s: raise max_connections"
            )
        try:
            with self._lock:
                if self._pid != os.getpid():  # forked: those connections are the parent's
                    self._pid, self._free = os.getpid(), []
                link = self._free.pop() if self._free else Link(self._node, timeout=self._timeout)
            link.freshen()
            yield link
            with self._lock:
                self._free.append(link)
        finally:
            self._places.release()

    def close(self) -> None:
        """Close the links that nobody uses."""
        with self._lock:
            free, self._free = self._free, []
        for link in free:
            link.close()


class AsyncLink:
    """One connection of one event loop, used by one task at a time."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._connection = node.connect_async(_load_scripts_async)

    async def call(self, commands: Sequence[Command], *, timeout: float = TIMEOUT) -> list[Any]:
        """``Link.call`` for an event loop; ``timeout`` is in seconds, for all the replies."""
        connection = self._connection
        in_doubt = False
        try:
            async with asyncio.timeout(timeout):
                if not connection.is_connected:
                    await connection.connect()
                in_doubt = True
                replies = await self._trip(commands)
                missing = [i for i, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
                if missing:
                    again = await self._trip([*_LOAD, *(commands[i] for i in missing)])
                    for i, reply in zip(missing, again[len(_LOAD) :], strict=True):
                        replies[i] = reply
                return replies
        except (RedisError, OSError) as error:
            await connection.disconnect(nowait=True)
            raise unavailable(self._node, error, in_doubt=in_doubt) from error
        except BaseException:
            await connection.disconnect(nowait=True)
            raise

    async def _trip(self, commands: Sequence[Command]) -> list[Any]:
        connection = self._connection
        await connection.send_packed_command(connection.pack_commands(commands))
        return [await _reply_async(connection) for _ in commands]

    async def close(self) -> None:
        """Close the connection; the next call opens it again."""
        with suppress(RedisError, OSError):
            async with asyncio.timeout(CLOSING):  # TLS takes leave of the other end
                await self._connection.disconnect()


def unavailable(node: Node, error: Exception, *, in_doubt: bool = False) -> LayerUnavailable:
    """What to tell people when Redis does not answer as it should."""
    reason = str(error) or type(error).__name__
    # redis-py's async connections make another error of it, with the same text
    if isinstance(error, AuthenticationError) or "username-password pair" in reason:
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
    except ResponseError as error:
        return error


async def _reply_async(connection: Any) -> Any:
    try:
        return await connection.read_response(disable_decoding=True, disconnect_on_error=False)
    except ResponseError as error:
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

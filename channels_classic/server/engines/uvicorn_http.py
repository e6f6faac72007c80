"""HttpProtocol: what the engine, uvicorn 0.54 with httptools 0.9, leaves open about HTTP."""

from __future__ import annotations

import asyncio
import logging
import math
from urllib.parse import unquote

import httptools

from channels_classic.server import heads
from channels_classic.server.engines.uvicorn_answer import Answer, UnframedAnswer
from channels_classic.server.engines.uvicorn_connection import (
    BODY,
    HEAD,
    NOTHING,
    GuardedConnection,
)
from channels_classic.server.heads import Refusal

#: Requests that may wait while one is answered.
PIPELINE = 20

logger = logging.getLogger("channels_classic.server")

_SPECIAL = frozenset({b"expect", b"transfer-encoding"})


class _Enough(Exception):
    """So many requests wait that no more are read."""


class HttpProtocol(GuardedConnection):
    """Reads heads and bodies within limits of size and time, and refuses what HTTP/1 does not know.

    Its parser holds it: only the garbage collector, which seldom looks at all that a server holds,
    would free the two; so that they part when the connection has become a WebSocket, as they do
    when it closes.
    """

    #: What is being read and its size, the bytes of the head up to its end, and whether the head
    #: began somewhere in it.
    _data = b""
    _size = _fed = 0
    _is_inside = _goes_on = False
    #: Whether what is read has its deadline.
    _is_timed = False
    _is_chunked = _is_upgrade = False
    _method = _version = ""

    # Reading --------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self._is_deaf:
            self._discard(len(data))
        else:
            self._feed(data)

    def _feed(self, data: bytes) -> None:
        self._data, self._size = data, len(data)
        self._fed += self._size
        self._pace.raw += self._size
        self._goes_on = self._reading is BODY
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            self._on_error(error.__context__ or error)
        else:
            if self._reading is HEAD:
                self._wait_for_head()
            elif self._reading is BODY:
                self._wait_for_body()
            elif self._goes_on:  # a request is complete
                self._alarm.set(math.inf)
            elif self._fed > self._limits.max_head:
                self._refuse(Refusal(400, "There is too much between two requests."))
        self._data = b""

    def _wait_for_head(self) -> None:
        self._has_begun = bool(self.url) or self._data[-1:] not in b"\r\n"
        if self._fed > self._limits.max_head:
            self._refuse(self._too_large())
        elif not self._is_timed:
            self._is_timed = True
            self._alarm.set(self.loop.time() + self._limits.head_timeout)

    def _wait_for_body(self) -> None:
        is_new, self._is_timed = not self._is_timed, True
        if is_new:
            end = self._head_end()
            self._pace.raw = self._size - end if end else 0
        if self.cycle.response_started:  # it was refused, and may not have heard it yet
            self._discard(self._size)
        elif self._pace.is_padded(self._limits.max_head):
            self._refuse(Refusal(400, "The body has too much in it that is no content."))
        elif is_new:
            self._alarm.set(self._pace.due(self.loop.time()))

    def _head_end(self) -> int:
        """Where in the data the head has ended; 0 if that cannot be told."""
        end = self._data.find(b"\r\n\r\n")
        return 0 if self._is_inside or end < 0 else end + 4

    def _on_error(self, error: BaseException) -> None:
        if isinstance(error, _Enough):  # what waits is answered, then the connection ends
            self.cycle.keep_alive = False
            self._ignore_the_rest()
        elif isinstance(error, Refusal):
            self._refuse(error)
        else:
            if not isinstance(error, (httptools.HttpParserError, UnicodeError)):
                logger.error("Error while reading a request", exc_info=error)
            self._refuse(Refusal(400, "This is no valid HTTP request."))

    # The parser's calls ---------------------------------------------------------------

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._reading = HEAD
        self._is_inside = self._goes_on
        self._fed = 0 if self._goes_on else self._size
        self._is_timed = self._is_chunked = self._is_upgrade = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._reading is not HEAD:
            return  # nobody asked for trailers, and one may pose as a header
        name, value = name.lower(), value.rstrip(b" \t")
        if name in _SPECIAL:
            self._note_header(name, value.lower())
        self.headers.append((name, value))
        if len(self.headers) > self._limits.max_fields:
            raise Refusal(431, f"A request has {self._limits.max_fields} headers at most.")

    def _note_header(self, name: bytes, value: bytes) -> None:
        if name == b"transfer-encoding":
            if value != b"chunked" or self._is_chunked:
                raise Refusal(400, "The only transfer coding is chunked.")
            self._is_chunked = True
        elif value == b"100-continue":
            self.expect_100_continue = True

    def on_headers_complete(self) -> None:
        self._version = self.parser.get_http_version()
        self._method = self.parser.get_method().decode("ascii")
        self._check_head()
        if self.parser.should_upgrade():
            self._is_upgrade = True  # see _upgrade
            return
        if len(self.pipeline) >= PIPELINE:
            raise _Enough
        self._begin_request()
        self._reading = BODY
        self._pace.begin()
        self._is_timed = False

    def on_body(self, body: bytes) -> None:
        super().on_body(body)
        self._pace.came(len(body), waits=self.flow.read_paused)

    def on_message_complete(self) -> None:
        if self._is_upgrade:
            return
        super().on_message_complete()
        self._reading = NOTHING
        self._goes_on = True
        self._fed = 0
        if not self.cycle.response_started:  # the parser obeys a Connection among the trailers
            self.cycle.keep_alive = self._keeps and self.parser.should_keep_alive()

    # Requests -------------------------------------------------------------------------

    def _check_head(self) -> None:
        if self._version not in ("1.1", "1.0"):
            raise Refusal(505, "This server speaks HTTP/1.1 and HTTP/1.0.")
        if self._is_chunked and self._version == "1.0":
            raise Refusal(400, "HTTP/1.0 has no transfer codings.")
        if self._version == "1.0" and self.url + b" RTSP/" in self._data:
            raise Refusal(505, "This server speaks no RTSP.")  # to the parser it is all one
        if self._is_inside or self._fed > self._limits.max_head:
            self._check_size()
        if fault := heads.target_fault(self._method, self.url, self.headers):
            raise fault

    def _check_size(self) -> None:
        if end := self._head_end():
            size = self._fed - self._size + end
        else:
            size = heads.size(self._method, self.url, self.headers)
        if size > self._limits.max_head:
            raise self._too_large()

    def _too_large(self) -> Refusal:
        limit = f"{self._limits.max_head:,} bytes at most."
        if len(self.url) > self._limits.max_head // 2:
            return Refusal(414, f"A request line and its headers have {limit}")
        return Refusal(431, f"A request line and its headers have {limit}")

    def _begin_request(self) -> None:
        """Have the application answer it, in its turn."""
        url = httptools.parse_url(self.url)
        path = url.path or b"/"
        self.scope["method"] = self._method
        self.scope["http_version"] = self._version
        self.scope["path"] = unquote(path.decode("ascii"))
        self.scope["raw_path"] = path
        self.scope["query_string"] = url.query or b""
        is_old = self._version == "1.0"
        self._keeps = not is_old and not self._is_draining and self.parser.should_keep_alive()
        self.cycle = self._new_answer(UnframedAnswer if is_old else Answer)
        if not self._is_answering():
            self._start_asgi_task(self.cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))

    def _new_answer(self, kind: type[Answer]) -> Answer:
        return kind(
            scope=self.scope,
            transport=self._way,  # type: ignore[arg-type]
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=False,  # until it has come whole
            on_response=self.on_response_complete,
        )

    # Another protocol -----------------------------------------------------------------

    def _upgrade(self, rest: bytes) -> None:
        """Become a WebSocket; what else is offered is ignored, as is allowed."""
        if not heads.wants_websocket(self.headers):
            return self._feed(self._head_without(b"upgrade") + rest)
        fault = heads.handshake_fault(self._method, self._version, self.headers)
        if fault is None and (rest or self._is_answering()):
            fault = Refusal(400, "The handshake of a WebSocket comes alone.")
        if fault is not None:
            return self._refuse(fault)
        self.scope["method"] = self._method
        return self.handle_websocket_upgrade()

    def _head_without(self, unwanted: bytes) -> bytes:
        lines = [f"{self._method} ".encode() + self.url + f" HTTP/{self._version}".encode()]
        lines += [name + b": " + value for name, value in self.headers if name != unwanted]
        return b"\r\n".join([*lines, b"", b""])

    def handle_websocket_upgrade(self) -> None:
        self._let_go()
        super().handle_websocket_upgrade()
        self.transport.get_protocol().client = self.client  # the census knows it by this name
        del self.parser

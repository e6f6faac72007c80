"""GuardedConnection: the life of a connection, over what the engine, uvicorn 0.54, makes of it."""

from __future__ import annotations

import math
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from channels_classic.server.engines.alarm import Alarm
from channels_classic.server.engines.drain import LAST_CALL
from channels_classic.server.engines.pace import Pace
from channels_classic.server.engines.unread import Unread
from channels_classic.server.engines.uvicorn_answer import Way, refusal_bytes
from channels_classic.server.engines.uvicorn_config import UvicornConfig
from channels_classic.server.heads import Refusal

#: After an answer behind which the connection ends: how long the client may go on to send, in
#: seconds and in bytes. To close while it does would take the answer from it.
LINGER, LINGER_BYTES = 5.0, 16 * 1024**2

#: What is read: nothing between requests, a head, or a body.
NOTHING, HEAD, BODY = range(3)


class GuardedConnection(HttpToolsProtocol):
    """Is admitted or not, has its deadlines, and ends so that the client can read the last answer.

    Refusals go out in their turn, behind the answers to the requests before.
    """

    config: UvicornConfig
    transport: Any
    cycle: Any
    #: The answer that is under way, or was last; ``cycle`` is that to what was read last.
    _active: Any = None
    _way: Way
    _unread: Unread
    #: Whether the client counts in the census, and whether it is told why it does not.
    _is_counted = _is_told = False
    _reading = NOTHING
    #: Whether something of a head has come.
    _has_begun = False
    #: Whether the connection stays after the request that is read.
    _keeps = True
    #: Whether what comes is thrown away: until all is answered, or since.
    _is_deaf = _is_lingering = False
    _is_draining = False
    _discarded = 0
    _refusal: Refusal | None = None

    def __init__(self, config: UvicornConfig, *args: Any, **kwargs: Any) -> None:
        super().__init__(config, *args, **kwargs)
        self._limits = config.limits
        self._alarm = Alarm(self.loop, self._on_late)
        self._pace = Pace(config.limits.min_body_rate)

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._way = Way(transport, self._close)
        self._unread = Unread(
            self.loop, transport, timeout=self._limits.write_timeout, cut=self._cut
        )
        self._is_counted = self.config.census.admit(self.client)
        if self._is_counted:
            self._alarm.set(self.loop.time() + self._limits.head_timeout)
        elif self.config.census.tell():
            self._is_told = True
            reason = "There are too many connections."
            self._answer(Refusal(503, reason, (b"retry-after", b"5")))
        else:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._let_go()
        self.pipeline.clear()
        if self._active is not None:
            _tell_that_it_is_over(self._active)
        self.cycle = self._active = None
        if self._is_counted:
            self.config.census.leave(self.client)
        elif self._is_told:
            self.config.census.told()

    def _let_go(self) -> None:
        self._alarm.stop()
        self._unread.stop()
        self._way.forget(self.transport)

    # Writing --------------------------------------------------------------------------

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread.begin()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._unread.end()

    def _cut(self) -> None:
        reason = f"read nothing for {self._limits.write_timeout:g} s"
        self.config.note("overflow_count", f"Cut the connection of a client that {reason}.")
        self.transport.abort()

    # Answers --------------------------------------------------------------------------

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self._is_lingering or self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self._refusal is not None:
            self._answer(self._refusal)
        elif self._reading is NOTHING:
            self._wait_for_request()

    def _wait_for_request(self) -> None:
        seconds = self._limits.keep_alive
        if self._is_draining:
            seconds = min(seconds, LAST_CALL)
        self._alarm.set(self.loop.time() + seconds)

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        self._active = cycle
        super()._start_asgi_task(cycle, app)

    def _is_answering(self) -> bool:
        return self._active is not None and not self._active.response_complete

    def _refuse(self, refusal: Refusal) -> None:
        """Answer the request that is read so, in its turn, and read no more."""
        host = self.client and self.client[0]
        text = f"Refused a request of {host}: {refusal.status} {refusal.reason}"
        self.config.note("bad_request_count", text)
        broken = self.cycle if self._reading is BODY else None
        if broken is not None:
            _tell_that_it_is_over(broken)
        if self.pipeline and self.pipeline[0][0] is broken:
            self.pipeline.popleft()
        elif broken is not None and broken.response_started:
            return self._end()  # the client sees that the answer is cut short
        elif broken is not None or not self._is_answering():
            return self._answer(refusal)
        self._refusal = refusal
        return self._ignore_the_rest()

    def _answer(self, refusal: Refusal) -> None:
        self.transport.write(refusal_bytes(refusal, self.server_state.default_headers))
        self._linger()

    def _ignore_the_rest(self) -> None:
        self._is_deaf = True
        self._alarm.set(math.inf)
        self.flow.pause_reading()

    def _discard(self, size: int) -> None:
        """Nobody wants what came: after a while the connection ends."""
        self._discarded += size
        if self._discarded > LINGER_BYTES:
            self._end()
        elif self._is_deaf and not self._is_lingering:  # not before all is answered
            self.flow.pause_reading()

    # The end --------------------------------------------------------------------------

    def shutdown(self) -> None:
        """End after the answer in hand, or the next one; soon, if nobody asks for it.

        An answer that has begun has said that the connection stays, so it does.
        """
        if self._is_draining:
            return
        self._is_draining = True
        self._keeps = False
        if not self._is_answering():
            if self._reading is NOTHING and not self._is_lingering:
                self._wait_for_request()
        elif not self.cycle.response_started:
            self.cycle.keep_alive = False

    def _close(self) -> None:
        """The connection ends behind this answer."""
        if self._is_deaf or self._reading is BODY:
            self._linger()
        else:
            self._end()

    def _linger(self) -> None:
        """Close when the client does, or has had the time to see that it is answered."""
        if self.transport.is_closing():
            return
        self._is_deaf = self._is_lingering = True
        self._alarm.set(self.loop.time() + LINGER)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.flow.resume_reading()

    def _end(self) -> None:
        """Close as soon as the client has read what was written; it had better read."""
        self._is_deaf = self._is_lingering = True
        self.transport.close()
        if self.transport.get_write_buffer_size():
            self._unread.begin()

    def _on_late(self) -> None:
        now = self.loop.time()
        if self._is_lingering:
            self._end()
        elif self.flow.read_paused:  # it waits for us
            self._alarm.set(now + self._limits.head_timeout)
        elif self._reading is BODY:
            due = self._pace.due(now)
            if due > now:
                self._alarm.set(due)
            else:
                self._refuse(Refusal(408, "The body of the request comes too slowly."))
        elif self._reading is HEAD and self._has_begun:
            self._refuse(Refusal(408, "The head of the request did not come in time."))
        elif not self._is_answering():
            self._end()
        else:
            self._alarm.set(now + self._limits.head_timeout)


def _tell_that_it_is_over(cycle: Any) -> None:
    """The application hears that its client has gone, and what it sends goes nowhere."""
    if not cycle.response_complete:
        cycle.disconnected = True
    cycle.message_event.set()

"""Spool: a request body on its way to a worker, in memory or in a temporary file."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections.abc import AsyncIterator
from io import FileIO

#: What is kept in memory of one body, in bytes; so much is written or read at once.
BLOCK = 1024 * 1024


class Spool:
    """Holds a body until it is complete. What is over ``BLOCK`` bytes goes to a file in ``TMPDIR``.

    Threads write, read and remove the file: a slow disk holds up this body, not the event loop.
    All but ``close`` raise ``OSError``, as when the disk is full.
    """

    def __init__(self) -> None:
        #: How many bytes it holds.
        self.size = 0
        self._block = bytearray()
        self._file: FileIO | None = None
        self._has_file = self._is_closed = False
        self._lock = threading.Lock()

    async def add(self, data: bytes) -> None:
        """Put ``data`` behind what there is."""
        self.size += len(data)
        self._block += data
        if len(self._block) >= BLOCK:
            await self._put_block()

    async def parts(self, size: int) -> AsyncIterator[bytes]:
        """All of it from the start: ``size`` bytes each, and the last no more than that."""
        async for block in self._blocks(max(1, BLOCK // size) * size):
            for start in range(0, len(block), size):
                yield bytes(block[start : start + size])

    def close(self) -> None:
        """Forget all of it."""
        self._block = bytearray()
        if self._has_file:  # the system may take long to free a large one
            asyncio.get_running_loop().run_in_executor(None, self._remove)

    async def _blocks(self, size: int) -> AsyncIterator[bytes | bytearray]:
        if not self._has_file:
            yield self._block
            return
        await self._put_block()
        for start in range(0, self.size, size):
            yield await asyncio.to_thread(self._read, start, size)

    async def _put_block(self) -> None:
        block, self._block = self._block, bytearray()
        self._has_file = True
        await asyncio.to_thread(self._write, block)

    # In threads; they may still be at work when the body is forgotten -----------------------

    def _write(self, block: bytearray) -> None:
        with self._lock:
            if self._is_closed:
                return
            if self._file is None:
                self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - _remove does
            left = memoryview(block)
            while left:  # the system may take a part of it alone
                left = left[self._file.write(left) :]

    def _read(self, start: int, size: int) -> bytes:
        with self._lock:
            if self._file is None:
                return b""
            self._file.seek(start)
            return self._file.read(size)

    def _remove(self) -> None:
        with self._lock:
            self._is_closed = True
            if self._file is not None:
                self._file.close()
                self._file = None

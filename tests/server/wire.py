"""What hostile clients write and read: requests and frames byte by byte, right or wrong."""

from __future__ import annotations

import base64
import re
import struct
from dataclasses import dataclass

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
CONTINUATION = 0

_STATUS_LINE = re.compile(rb"HTTP/1\.1 (\d{3}) [^\r\n\x00]*")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ?([^\r\n\x00]*)")


@dataclass
class Answer:
    status: int
    #: Names in lower case; the values of a name that comes several times, in a list.
    headers: dict[str, list[str]]
    body: bytes
    #: False where the connection ended before its body did.
    complete: bool = True


@dataclass
class Frame:
    opcode: int
    payload: bytes
    fin: bool = True


# What is sent -------------------------------------------------------------------------------------


def request(
    *lines: str | bytes,
    method: str = "GET",
    path: str = "/hello",
    version: str = "HTTP/1.1",
    host: bool = True,
    body: bytes = b"",
) -> bytes:
    """One request, with ``lines`` for its headers as they are; nothing is counted or put right."""
    head = [f"{method} {path} {version}".encode("latin-1")]
    head += [b"Host: 127.0.0.1"] if host else []
    head += [each if isinstance(each, bytes) else each.encode("latin-1") for each in lines]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


def post(*lines: str | bytes, body: bytes = b"", path: str = "/length") -> bytes:
    """A request with a body, which the site answers with the length that it saw."""
    return request(*lines, method="POST", path=path, body=body)


def chunk(data: bytes) -> bytes:
    """One chunk of a body."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def handshake(
    path: str = "/echo", *, method: str = "GET", version: str = "HTTP/1.1", **changed: object
) -> bytes:
    """The opening handshake of a WebSocket; ``Sec_WebSocket_Key=None`` leaves that header out.

    A value may be text, bytes, None, or a list of them: the header then comes several times.
    """
    headers: dict[str, object] = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(b"0123456789abcdef").decode(),
    }
    headers |= {name.replace("_", "-"): value for name, value in changed.items()}
    lines = []
    for name, value in headers.items():
        for each in value if isinstance(value, list) else [value]:
            if each is not None:
                text = each if isinstance(each, bytes) else str(each).encode("latin-1")
                lines.append(name.encode() + b": " + text)
    return request(*lines, method=method, path=path, version=version)


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    masked: bool = True,
    length: int | None = None,
    width: int | None = None,
) -> bytes:
    """One frame; ``length`` is what it claims, ``width`` how many bytes (0, 2, 8) say so."""
    claimed = len(payload) if length is None else length
    if width is None:
        width = 0 if claimed < 126 else 2 if claimed < 2**16 else 8
    small = {0: claimed, 2: 126, 8: 127}[width]
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    head = bytes([first, small | (0x80 if masked else 0)])
    head += {0: b"", 2: struct.pack("!H", claimed % 2**16), 8: struct.pack("!Q", claimed)}[width]
    # A mask of zeros is a mask: what is sent stays readable.
    return head + (bytes(4) if masked else b"") + payload


def close(code: int, reason: bytes = b"") -> bytes:
    """A close frame."""
    return frame(CLOSE, struct.pack("!H", code) + reason)


# What comes back ----------------------------------------------------------------------------------


def split_answer(data: bytes, *, ended: bool) -> tuple[Answer, bytes] | None:
    """The first answer in ``data`` and what follows it; None while it is not complete.

    ``AssertionError`` where ``data`` is no answer, or has a line in its head that is no header.
    """
    head, separator, rest = data.partition(b"\r\n\r\n")
    if not separator:
        assert not ended, f"the head of an answer is cut off: {data!r:.500}"
        return None
    status_line, *lines = head.split(b"\r\n")
    match = _STATUS_LINE.fullmatch(status_line)
    assert match, f"no status line: {status_line!r:.200}"
    headers: dict[str, list[str]] = {}
    for line in lines:
        field = _FIELD.fullmatch(line)
        assert field, f"no header: {line!r:.200}"
        headers.setdefault(field[1].decode().lower(), []).append(field[2].decode("latin-1"))
    found = _split_body(int(match[1]), headers, rest, ended=ended)
    if found is None:
        return None
    body, rest, complete = found
    return Answer(int(match[1]), headers, body, complete), rest


def _split_body(
    status: int, headers: dict[str, list[str]], data: bytes, *, ended: bool
) -> tuple[bytes, bytes, bool] | None:
    lengths, codings = headers.get("content-length", []), headers.get("transfer-encoding", [])
    assert len(lengths) + len(codings) <= 1, f"an answer with two lengths: {headers}"
    if status < 200 or status in (204, 304):
        return b"", data, True
    if lengths:
        length = int(lengths[0])
        if len(data) < length:
            return (data, b"", False) if ended else None
        return data[:length], data[length:], True
    if codings:
        return _split_chunks(data, ended=ended)
    return (data, b"", True) if ended else None


def _split_chunks(data: bytes, *, ended: bool) -> tuple[bytes, bytes, bool] | None:
    body, rest = bytearray(), data
    while True:
        line, separator, rest = rest.partition(b"\r\n")
        size = int(line, 16) if separator else 0
        if not separator or len(rest) < size + 2:
            return (bytes(body), b"", False) if ended else None
        body += rest[:size]
        assert rest[size : size + 2] == b"\r\n", f"a chunk without its end: {rest[size:][:50]!r}"
        rest = rest[size + 2 :]
        if not size:
            return bytes(body), rest, True


def split_frame(data: bytes) -> tuple[Frame, bytes] | None:
    """The first frame in ``data`` and what follows it; None while it is not complete."""
    if len(data) < 2:
        return None
    assert not data[1] & 0x80, f"a server masks nothing: {data!r:.50}"
    width = {126: 2, 127: 8}.get(data[1], 0)
    start = 2 + width
    length = int.from_bytes(data[2:start], "big") if width else data[1]
    if len(data) < start + length:
        return None
    found = Frame(data[0] & 15, data[start : start + length], fin=bool(data[0] & 0x80))
    return found, data[start + length :]

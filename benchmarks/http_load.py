"""HTTP load: one thread of wrk, every answer checked for status, length and content."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

SCRIPT = Path(__file__).with_name("wrk.lua")
UPLOAD = 64 * 1024


@dataclass(frozen=True)
class Request:
    """What is asked for, and how the right answer starts and how long it is."""

    path: str
    answer: str
    length: int
    body_length: int = 0

    @property
    def method(self) -> str:
        """POST with a body, GET without."""
        return "POST" if self.body_length else "GET"


HELLO = Request("/", "Hello, world!", 13)
POSTED = f"{UPLOAD} {crc32(b'x' * UPLOAD):08x}"
POST = Request("/upload/", POSTED, len(POSTED), UPLOAD)
MEBIBYTE = Request("/mebibyte/", "0123456789abcdef", 1 << 20)


@dataclass(frozen=True)
class Answers:
    """What came back: the rate, the latencies in milliseconds, and how many were not right."""

    per_second: float
    p50: float
    p99: float
    wrong: int
    count: int


def missing() -> str | None:
    """What to do when wrk is not here."""
    return None if shutil.which("wrk") else "wrk is missing: apt-get install wrk"


def ask(port: int, request: Request, *, connections: int, seconds: float) -> Answers:
    """Keep ``connections`` requests in flight for ``seconds``; raises when wrk fails."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "10s"]
    command += ["-s", str(SCRIPT), f"http://127.0.0.1:{port}{request.path}", "--", request.method]
    command += [str(request.body_length), request.answer, str(request.length)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode or not done.stdout.strip():
        raise RuntimeError(f"wrk failed: {done.stderr or done.stdout}")
    found = json.loads(done.stdout.strip().splitlines()[-1])
    return Answers(
        per_second=found["requests"] / found["microseconds"] * 1e6,
        p50=found["p50"] / 1000,
        p99=found["p99"] / 1000,
        wrong=found["wrong"] + found["errors"],
        count=found["requests"],
    )

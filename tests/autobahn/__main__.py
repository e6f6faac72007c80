"""``python -m tests.autobahn WSTEST``: run its fuzzing client, and say what came of the cases.

``WSTEST`` is the command of autobahntestsuite. Redis, a server and a worker are started for it. The
exit status is 1 when a case has failed. Its reports are in ``tests/artefacts/autobahn``.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.acceptance.processes import Process, free_port
from tests.autobahn.summary import summarize
from tests.conftest import RedisServer

ROOT = Path(__file__).parents[2]
REPORTS = ROOT / "tests" / "artefacts" / "autobahn"
AGENT = "channels_classic"
#: Without 8 and 11, which do not exist; 12 and 13 are about permessage-deflate.
GROUPS = "1,2,3,4,5,6,7,9,10,12,13"
#: Its largest messages have 16 MiB, and most fragments 65,536.
OPTIONS = ["--deflate", "--max-message-size", str(17 * 1024**2), "--max-fragments", "100000"]
START, LONGEST = 60, 3600


def main() -> int:
    """Run what the command line asks for; 0 if no case has failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.autobahn")
    parser.add_argument("wstest", type=Path, help="the command of autobahntestsuite")
    parser.add_argument("--groups", default=GROUPS, help="groups of cases (default: %(default)s)")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # and end what was started
    groups = options.groups.split(",")
    with (
        tempfile.TemporaryDirectory(prefix="channels-autobahn-") as name,
        echo_server(name) as port,
    ):
        found = fuzz(options.wstest, port, Path(name), groups)
    summary = summarize(found, groups)
    print("\n".join(summary.lines()))
    print(f"reports: {REPORTS / 'index.html'}")
    return 1 if summary.failed else 0


@contextmanager
def echo_server(name: str) -> Iterator[int]:
    """The port of a server whose worker echoes, through a Redis of their own, in a folder."""
    folder = Path(name)
    redis, port = RedisServer(folder), free_port()
    env = {"AUTOBAHN_REDIS": redis.url, "DJANGO_SETTINGS_MODULE": "tests.autobahn.settings"}
    server = [sys.executable, "-m", "channels_classic.cli", "server", "-v", "0", "-p", str(port)]
    server += ["tests.autobahn.asgi:channel_layer", *OPTIONS]
    worker = [sys.executable, "-m", "django", "runworker", "--skip-checks"]
    env["PYTHONPATH"] = os.fspath(ROOT)
    with ExitStack() as stack:
        stack.callback(redis.stop)
        redis.start()
        work = Process(worker, log=folder / "worker.log", env=env, cwd=ROOT)
        serve = Process(server, log=folder / "server.log", env=env, cwd=ROOT)
        stack.enter_context(work).wait_for_line("Channels: ", START)
        stack.enter_context(serve).wait_for_port(port, START)
        yield port
        for process in (serve, work):
            if lines := process.output().strip():
                print(f"{process.log.stem}:\n{lines[-2000:]}")


def fuzz(wstest: Path, port: int, folder: Path, groups: list[str]) -> dict[str, dict[str, str]]:
    """What the suite found, by case."""
    index = REPORTS / "index.json"
    index.unlink(missing_ok=True)
    spec = folder / "fuzzingclient.json"
    target = {"agent": AGENT, "url": f"ws://127.0.0.1:{port}"}
    cases = {"cases": [f"{group}.*" for group in groups], "exclude-cases": []}
    spec.write_text(json.dumps({"outdir": str(REPORTS), "servers": [target], **cases}))
    command = [wstest.absolute(), "-m", "fuzzingclient", "-s", spec]
    with Process(command, log=folder / "wstest.log") as client:
        if client.wait(LONGEST) != 0 or not index.exists():
            raise SystemExit(f"the fuzzing client ended too early: {client.report()}")
    found: dict[str, dict[str, str]] = json.loads(index.read_text())[AGENT]
    return found


if __name__ == "__main__":
    sys.exit(main())

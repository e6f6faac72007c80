"""A protocol that no server of ours speaks: lines over TCP, in plain Python without Django."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

from tests.acceptance.bus import BusSite
from tests.acceptance.processes import Process, free_port, port_answers, wait_until
from tests.conftest import RedisServer

SERVER = """
import json, os, socketserver, sys
from channels_classic.layers.redis import RedisChannelLayer
from django.conf import settings

layer = RedisChannelLayer(**json.loads(os.environ["BUS_CONFIG"]))

class Lines(socketserver.StreamRequestHandler):
    def handle(self):
        own = layer.new_channel("lines.reply?")
        for line in self.rfile:
            layer.send("lines.receive", {"reply_channel": own, "text": line.decode().strip()})
            found = None
            while found is None:
                found = layer.receive([own], block=True)[1]
            self.wfile.write(found["text"].encode() + b"\\n")

class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True

assert not settings.configured
Server(("127.0.0.1", int(sys.argv[1])), Lines).serve_forever()
"""


def test_a_server_of_another_protocol_needs_the_layer_alone(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    port = free_port()
    with BusSite(tmp_path, redis_server.url) as site:
        worker = site.worker()
        env = {"BUS_CONFIG": site.env["BUS_CONFIG"]}  # and no settings
        command = [sys.executable, "-c", SERVER, str(port)]
        with Process(command, log=tmp_path / "lines.log", env=env) as lines:
            wait_until(lambda: port_answers(port), 40, lines.report())
            clients = [socket.create_connection(("127.0.0.1", port), 20) for _ in range(3)]
            for number, client in enumerate(clients):
                client.sendall(b"line %d\n" % number)
            for number, client in enumerate(clients):
                with client, client.makefile() as file:
                    assert file.readline() == f"{worker.pid} line {number}\n"

"""Real Redis servers that belong together: under Sentinel, and in a Cluster; all on loopback."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
import redis

from tests.acceptance.processes import Process, free_port, port_answers, wait_until

HOST = "127.0.0.1"
#: How long Sentinels and the servers of a Cluster bear silence, in milliseconds.
DOWN_AFTER_MS = 1000
#: The same, for tests in which nothing is to fail over on a busy machine.
PATIENT_MS = 20_000
#: How long, in seconds, such a site may take to agree on anything; it takes about 3.
AGREE = 60.0


#: Nothing is kept on disk, and nobody waits for more replicas.
QUICK = {"save": '""', "repl-diskless-sync-delay": 0}


_given: set[int] = set()


def _new_port() -> int:
    """A free port that no other server here is going to use: it may not have started yet."""
    while (port := free_port()) in _given:
        continue
    _given.add(port)
    return port


class Server:
    """One redis-server on a port of its own, with its files and its log in ``folder``.

    ``options`` are lines of its configuration. A context manager.
    """

    def __init__(self, folder: Path, **options: object) -> None:
        program = shutil.which("redis-server")
        if program is None:
            pytest.fail("redis-server is missing: apt-get install redis-server")
        self.port = _new_port()
        self.folder = folder / str(self.port)
        self.folder.mkdir()
        config = self.folder / "redis.conf"
        lines = {"port": self.port, "bind": HOST, "dir": self.folder, **options}
        config.write_text("".join(f"{key} {value}\n" for key, value in lines.items()))
        self.process = Process([program, config], log=self.folder / "log")

    @property
    def place(self) -> tuple[str, int]:
        """Where it listens."""
        return HOST, self.port

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()

    def start(self) -> None:
        """Start it, also after ``kill``, and wait until it listens."""
        self.process.start()
        self.process.wait_for_port(self.port)

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()

    def ask(self, *command: object) -> Any:
        """The answer to one command, as it comes over the wire."""
        connection = redis.Connection(host=HOST, port=self.port, protocol=2, socket_timeout=5)
        try:
            connection.send_command(*command)
            return connection.read_response()
        finally:
            connection.disconnect()

    def info(self, section: str) -> dict[str, str]:
        """One section of what it says about itself."""
        lines = self.ask("INFO", section).decode().splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)


class SentinelServer(Server):
    """One Sentinel that watches the masters in ``watched``, by name."""

    def __init__(
        self,
        folder: Path,
        watched: dict[str, Server],
        *,
        quorum: int = 1,
        down_after_ms: int = DOWN_AFTER_MS,
        **options: object,
    ) -> None:
        super().__init__(folder, **options)
        config = self.folder / "redis.conf"
        with config.open("a") as lines:
            for name, master in watched.items():
                lines.write(f"sentinel monitor {name} {HOST} {master.port} {quorum}\n")
                lines.write(f"sentinel down-after-milliseconds {name} {down_after_ms}\n")
                lines.write(f"sentinel failover-timeout {name} 5000\n")
        self.process.command.append("--sentinel")

    def master(self, name: str) -> dict[str, str]:
        """What it knows about a master."""
        words = [word.decode() for word in self.ask("SENTINEL", "MASTER", name)]
        return dict(zip(words[::2], words[1::2], strict=True))


class SentinelSite:
    """Three Sentinels, and a master with one replica for each of ``services``.

    A context manager: on entry all are up and know each other, on exit all are gone.
    """

    def __init__(
        self,
        folder: Path,
        services: Sequence[str] = ("mymaster",),
        *,
        down_after_ms: int = DOWN_AFTER_MS,
    ) -> None:
        self.servers: dict[str, list[Server]] = {}
        for service in services:
            master = Server(folder, **QUICK)
            replica = Server(folder, **QUICK, replicaof=f"{HOST} {master.port}")
            self.servers[service] = [master, replica]
        watched = {service: both[0] for service, both in self.servers.items()}
        self.sentinels = [
            SentinelServer(folder, watched, quorum=2, down_after_ms=down_after_ms) for _ in range(3)
        ]

    @property
    def services(self) -> list[str]:
        """The names of the masters."""
        return list(self.servers)

    @property
    def hosts(self) -> list[tuple[str, int]]:
        """Where the Sentinels are."""
        return [sentinel.place for sentinel in self.sentinels]

    def master(self, service: str = "mymaster") -> Server:
        """The server that all Sentinels take for the master, as soon as they agree."""
        return wait_until(lambda: self._agreed(service), AGREE, "the Sentinels agree")

    def replica(self, service: str = "mymaster") -> Server:
        """The other one."""
        [other] = [each for each in self.servers[service] if each is not self.master(service)]
        return other

    def _agreed(self, service: str) -> Server | None:
        ports = {sentinel.master(service)["port"] for sentinel in self.sentinels}
        found = [each for each in self.servers[service] if {str(each.port)} == ports]
        return found[0] if found else None

    def wait_for_failover(self, old: Server, service: str = "mymaster") -> Server:
        """The new master, once the Sentinels have given up ``old`` and the new one has noticed."""

        def changed() -> Server | None:
            new = self._agreed(service)
            is_ready = new not in (None, old) and new.info("replication")["role"] == "master"
            return new if is_ready else None

        return wait_until(changed, AGREE, "the Sentinels chose another master")

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            for server in self._all():
                stack.callback(server.kill)
                server.start()
            wait_until(self._is_ready, AGREE, "the Sentinels know each other and the replicas")
            stack.pop_all()
        return self

    def _is_ready(self) -> bool:
        known = [s.master(service) for s in self.sentinels for service in self.services]
        others, replicas = len(self.sentinels) - 1, 1
        return all(
            int(each["num-other-sentinels"]) == others and int(each["num-slaves"]) == replicas
            for each in known
        ) and all(
            both[1].info("replication")["master_link_status"] == "up"
            for both in self.servers.values()
        )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for server in self._all():
            server.kill()

    def _all(self) -> Iterator[Server]:
        for both in self.servers.values():
            yield from both
        yield from self.sentinels


class ClusterSite:
    """A Redis Cluster of three masters that share the slots evenly, and replicas on request.

    A context manager: on entry the Cluster is up, on exit all its servers are gone.
    """

    def __init__(self, folder: Path, *, down_after_ms: int = DOWN_AFTER_MS) -> None:
        self._folder = folder
        self._down_after_ms = down_after_ms
        self.servers = [self._server() for _ in range(3)]

    def _server(self) -> Server:
        return Server(
            self._folder,
            **{
                **QUICK,
                "cluster-enabled": "yes",
                "cluster-port": _new_port(),
                "cluster-node-timeout": self._down_after_ms,
                "cluster-replica-validity-factor": 0,
            },
        )

    @property
    def hosts(self) -> list[tuple[str, int]]:
        """Where the servers are."""
        return [server.place for server in self.servers]

    def owner(self, slot: int) -> Server:
        """The master of ``slot``, as soon as all servers that are up agree on it."""
        return wait_until(lambda: self._agreed(slot), AGREE, f"all agree on slot {slot}")

    def _agreed(self, slot: int) -> Server | None:
        running = [server for server in self.servers if port_answers(server.port)]
        owners = {self._owner(server, slot) for server in running}
        found = [server for server in running if {server.port} == owners]
        return found[0] if found else None

    @staticmethod
    def _owner(server: Server, slot: int) -> int | None:
        rows = server.ask("CLUSTER", "SLOTS")
        return next((row[2][1] for row in rows if row[0] <= slot <= row[1]), None)

    def add_replica(self, master: Server) -> Server:
        """A new server that holds a copy of ``master``, and takes its place when it dies."""
        replica = self._server()
        self.servers.append(replica)
        replica.start()
        self._meet(replica)
        wait_until(self._is_up, AGREE, "all servers know each other")  # who vote for the replica
        replica.ask("CLUSTER", "REPLICATE", _id(master))
        wait_until(lambda: self._is_copied(replica), AGREE, "the replica is up to date")
        return replica

    def promote(self, replica: Server) -> None:
        """Return once ``replica`` is a master, as its own is gone.

        The others vote for it within seconds; whether they do so in time on a machine that stalls
        is no matter of ours.
        """

        def is_master() -> bool:
            return bool(replica.info("replication")["role"] == "master")

        try:
            wait_until(is_master, 15, "a vote for the replica")
        except AssertionError:
            replica.ask("CLUSTER", "FAILOVER", "TAKEOVER")
            wait_until(is_master, AGREE, "the replica to take over")

    def _is_copied(self, replica: Server) -> bool:
        is_linked = replica.info("replication").get("master_link_status") == "up"
        own = _id(replica)
        running = [server for server in self.servers if port_answers(server.port)]
        return is_linked and all("slave" in _known(each).get(own, "") for each in running)

    def begin_move(self, slot: int, to: Server) -> None:
        """What is not in ``slot`` yet is to be put on another server from now on."""
        source = self.owner(slot)
        to.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", _id(source))
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", _id(to))

    def end_move(self, slot: int, to: Server) -> None:
        """Move the keys in ``slot``, and then the slot itself."""
        source = self.owner(slot)
        while keys := source.ask("CLUSTER", "GETKEYSINSLOT", slot, 100):
            source.ask("MIGRATE", *to.place, "", 0, 5000, "KEYS", *keys)
        for server in (to, source, *self.servers):
            server.ask("CLUSTER", "SETSLOT", slot, "NODE", _id(to))

    def move(self, slot: int, to: Server) -> None:
        """Move ``slot`` with all its keys to another server."""
        self.begin_move(slot, to)
        self.end_move(slot, to)

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            for number, server in enumerate(self.servers):
                stack.callback(server.kill)
                server.start()
                first, last = number * 16384 // 3, (number + 1) * 16384 // 3 - 1
                server.ask("CLUSTER", "ADDSLOTSRANGE", first, last)
                server.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
                self._meet(server)
            wait_until(self._is_up, AGREE, "the Cluster is up")
            stack.pop_all()
        return self

    def _meet(self, server: Server) -> None:
        first = self.servers[0]
        [_, bus_port] = first.ask("CONFIG", "GET", "cluster-port")
        if server is not first:
            server.ask("CLUSTER", "MEET", HOST, first.port, int(bus_port))

    def _is_up(self) -> bool:
        return all(
            _state(server) == "ok" and len(_known(server)) == len(self.servers)
            for server in self.servers
        )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for server in self.servers:
            server.kill()


def _id(server: Server) -> str:
    number: bytes = server.ask("CLUSTER", "MYID")
    return number.decode()


def _state(server: Server) -> str:
    text: str = server.ask("CLUSTER", "INFO").decode()
    return dict(line.split(":") for line in text.splitlines())["cluster_state"]


def _known(server: Server) -> dict[str, str]:
    """The servers that ``server`` has got to know: their ids, and what it says of them."""
    lines = [line.split() for line in server.ask("CLUSTER", "NODES").decode().splitlines()]
    return {number: flags for number, _, flags, *_ in lines if "handshake" not in flags}

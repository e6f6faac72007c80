"""Redis as the lines of deploy/README.rst have it: for two machines, and by Sentinel on three."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.acceptance.machines import Network, need_namespaces
from tests.acceptance.processes import Process, wait_until
from tests.docs import blocks

MACHINES = ("one", "two", "three")
PASSWORD = "a-long-password"
#: How long Sentinels may take to agree, in seconds: they ask each Redis every ten.
AGREE = 90.0
#: What Debian's file says of who may ask.
DEBIAN = "bind 127.0.0.1 -::1\nprotected-mode yes\n"
#: What workers and servers do, in short, and what comes of it.
USE = """
layer.send("work", {"number": 1})
print(layer.receive(["work"], block=True))
"""
USED = "('work', {'number': 1})\n"

pytestmark = pytest.mark.timeout(300)


def block(words: str) -> str:
    """The one of the README that has these words."""
    [found] = [each for each in blocks.of_deploy_readme() if words in each]
    return found


class Machines:
    """The three, each with its files in ``folder``; at the end nothing of them runs."""

    def __init__(self, folder: Path, network: Network) -> None:
        self.folder = folder
        self.network = network
        self.made = ExitStack()

    def as_there(self, text: str) -> str:
        """With our addresses for those of the README."""
        return re.sub(r"10\.0\.0\.(\d)", lambda n: self.address(MACHINES[int(n[1]) - 1]), text)

    def address(self, name: str) -> str:
        return self.network.addresses[name]

    def do(self, name: str, text: str) -> None:
        """Lines of the README that are about Redis, on a new machine; its packages are there."""
        etc, data = self.folder / name / "etc", self.folder / name / "data"
        etc.mkdir(parents=True)
        data.mkdir()
        (etc / "redis.conf").write_text(f"{DEBIAN}dir {data}\nsave ''\n")
        lines = text.splitlines(keepends=True)
        script = "".join(each for each in lines if not each.startswith(("apt-get", "systemctl")))
        assert script != text
        script = script.replace("/etc/redis", str(etc)).replace("/var/lib/redis", str(data))
        subprocess.run(["bash", "-euc", self.as_there(script)], check=True)

    def start(self, name: str, config: str, *options: str) -> None:
        """A Redis as its unit does."""
        file = self.folder / name / "etc" / config
        command = ["redis-server", file, *options, "--daemonize", "no"]
        log = self.folder / name / f"{config}.log"
        self.made.enter_context(Process(self.network.command(name, command), log=log))

    def add_sentinel(self, name: str) -> None:
        """And a Redis, as the README says; Debian's redis-sentinel is another name for the same."""
        text = block("sentinel monitor")
        assert "# not on the first" in text
        if name == "one":
            text = re.sub("echo .*# not on the first\n", "", text)
        assert "bind 127.0.0.1 10.0.0.1\n" in text  # "with its own address behind bind"
        own = f"bind 127.0.0.1 {self.address(name)}"
        self.do(name, text.replace("bind 127.0.0.1 10.0.0.1", own))
        self.start(name, "redis.conf")
        self.start(name, "sentinel.conf", "--sentinel")

    def run(self, name: str, *command: str) -> str:
        """What a command says on a machine."""
        done = subprocess.run(
            self.network.command(name, command),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ, "REDIS_PASSWORD": PASSWORD},
        )
        return done.stdout + done.stderr

    def role(self, name: str) -> str:
        """Of its Redis."""
        ask = ("redis-cli", "--no-auth-warning", "-a", PASSWORD, "role")
        return self.run(name, *ask).partition("\n")[0]

    def master(self, name: str) -> str:
        """Its address, as the Sentinel of a machine has it."""
        ask = ("redis-cli", "-p", "26379", "sentinel", "get-master-addr-by-name", "mymaster")
        return self.run(name, *ask).partition("\n")[0]

    def know_each_other(self) -> bool:
        """Each Sentinel the others, and both replicas."""
        ask = ("redis-cli", "-p", "26379", "info", "sentinel")
        found = [self.run(name, *ask) for name in MACHINES]
        return all("status=ok" in each and "slaves=2,sentinels=3" in each for each in found)

    def used(self, name: str, layer: str) -> str:
        """What USE says on a machine, of the layer that a script makes."""
        imports = "import os\nfrom channels_classic.layers.redis import *\n"
        return self.run(name, sys.executable, "-c", self.as_there(imports + layer) + USE)


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Machines]:
    need_namespaces()
    with Network(MACHINES) as network:
        machines = Machines(tmp_path, network)
        with machines.made:
            yield machines


def test_a_second_machine_reaches_the_redis_of_the_first(machines: Machines) -> None:
    machines.do("one", block("systemctl enable --now redis-server"))
    machines.start("one", "redis.conf")
    [url] = re.findall("REDIS_URL=(.*)'", block("echo 'REDIS_URL="))
    layer = f"layer = RedisChannelLayer(hosts=[{url!r}])"
    wait_until(lambda: machines.used("two", layer) == USED, AGREE, "the bus")
    assert "NOAUTH" in machines.run("two", "redis-cli", "-h", machines.address("one"), "ping")


def test_what_the_readme_says_survives_the_loss_of_a_machine(machines: Machines) -> None:
    """And a failover by hand, as it says, too."""
    for name in MACHINES:
        machines.add_sentinel(name)
    wait_until(machines.know_each_other, AGREE, "the Sentinels to know each other")
    layer = 'layer = RedisSentinelChannelLayer(**CHANNEL_LAYERS["default"]["CONFIG"])'
    layer = block("RedisSentinelChannelLayer") + "\n" + layer
    assert [machines.used(name, layer) for name in MACHINES] == [USED] * 3
    with machines.network.cut_off("one"):
        others = {machines.address("two"), machines.address("three")}
        wait_until(lambda: machines.master("two") in others, AGREE, "another master")
        wait_until(lambda: machines.used("three", layer) == USED, AGREE, "the bus")
    wait_until(lambda: machines.role("one") == "slave", AGREE, "the old master to follow")
    wait_until(machines.know_each_other, AGREE, "all to be well")
    now = machines.master("one")
    [by_hand] = re.findall(r"``(redis-cli .*failover mymaster)``", blocks.DEPLOY_README.read_text())
    wait_until(lambda: "OK" in machines.run("one", *by_hand.split()), AGREE, "a fit replica")
    wait_until(lambda: machines.master("one") != now, AGREE, "a master by hand")

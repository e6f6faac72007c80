"""What the tests of the layers share: Redis layers with options, and a plain client beside them."""

from __future__ import annotations

import datetime as dt
import ipaddress
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.layers.names import random_letters
from channels_classic.layers.redis import RedisChannelLayer


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def memory_layer(clock) -> InMemoryChannelLayer:
    """An in-memory layer whose time is ``clock``; messages expire after 60, capacity is 3."""
    return InMemoryChannelLayer(clock=clock, capacity=3)


@pytest.fixture
def make_redis(redis_server) -> Iterator[Callable[..., RedisChannelLayer]]:
    """A Redis layer with the given options, by default with a prefix of its own."""
    layers: list[RedisChannelLayer] = []

    def make(**options) -> RedisChannelLayer:
        options = {"hosts": [redis_server.url], "prefix": f"{random_letters(8)}:", **options}
        layers.append(RedisChannelLayer(**options))
        return layers[-1]

    yield make
    for layer in layers:
        layer.close()


@pytest.fixture(params=["memory", "redis", "two shards"])
def spread_layer(request) -> InMemoryChannelLayer | RedisChannelLayer:
    """Each layer in turn, the one on Redis also over two shards."""
    if request.param == "memory":
        return InMemoryChannelLayer()
    make = request.getfixturevalue("make_redis")
    if request.param == "redis":
        return make()
    url = request.getfixturevalue("redis_server").url
    return make(hosts=[f"{url}?db={number}" for number in (0, 1)])


@pytest.fixture
def client(redis_server) -> Iterator[redis.Redis]:
    """A client that sees what is really on the Redis of ``redis_server``."""
    client = redis.Redis.from_url(redis_server.url)
    yield client
    client.close()


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], None]:
    """Wait for a condition to become true, 20 seconds at most."""

    def wait(condition: Callable[[], bool]) -> None:
        end = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < end, "it did not happen within 20 s"
            time.sleep(0.005)

    return wait


@pytest.fixture(scope="session")
def tls_redis(tmp_path_factory) -> Iterator[tuple[int, Path]]:
    """The port of a Redis that speaks TLS alone, and the certificate to trust."""
    folder = tmp_path_factory.mktemp("tls")
    certificate = make_certificate(folder)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--port", "0", "--tls-port", str(port), "--bind", "127.0.0.1", "--save", ""]
    options += ["--tls-cert-file", str(certificate), "--tls-key-file", str(folder / "key.pem")]
    options += ["--tls-ca-cert-file", str(certificate), "--tls-auth-clients", "no"]
    program = shutil.which("redis-server") or "redis-server"
    command = [program, *options, "--dir", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            end = time.monotonic() + 10
            while not listens(port):
                assert time.monotonic() < end, "redis-server did not start within 10 s"
                time.sleep(0.01)
            yield port, certificate
        finally:
            process.kill()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def make_certificate(folder: Path) -> Path:
    """A certificate for 127.0.0.1, signed by itself, beside its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    path = folder / "certificate.pem"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return path

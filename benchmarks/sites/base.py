"""The settings that all share: bare Django, no logging, no middleware, no database."""

from __future__ import annotations

SECRET_KEY = "benchmarks only"
DEBUG = False
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "benchmarks.sites.urls"
INSTALLED_APPS: list[str] = []
MIDDLEWARE: list[str] = []
LOGGING_CONFIG = None
USE_TZ = True

"""Django's settings for the site of these tests."""

from __future__ import annotations

SECRET_KEY = "only-for-tests"
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
INSTALLED_APPS = ["channels_classic"]
ROOT_URLCONF = "tests.hosts.site"
USE_TZ = True

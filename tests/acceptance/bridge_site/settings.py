"""Settings of the site whose page talks over a WebSocketBridge."""

from __future__ import annotations

SECRET_KEY = "only-for-tests"
DEBUG = True
ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = ["django.contrib.staticfiles", "channels_classic"]
MIDDLEWARE: list[str] = []
ROOT_URLCONF = "pages"
STATIC_URL = "static/"
USE_TZ = True
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_classic.layers.memory.InMemoryChannelLayer",
        "ROUTING": "pages.channel_routing",
    }
}

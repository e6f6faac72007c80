"""Settings of the site that shows what the bus promises, steered by environment variables."""

from __future__ import annotations

import json
import os

SECRET_KEY = "only-for-tests"
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
INSTALLED_APPS = ["channels_classic"]
MIDDLEWARE: list[str] = []
ROOT_URLCONF = "delivery.urls"
USE_TZ = True
DATA_UPLOAD_MAX_MEMORY_SIZE = None
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": os.environ["BUS_BACKEND"],
        "CONFIG": json.loads(os.environ["BUS_CONFIG"]),
        "ROUTING": "routing.channel_routing",
    }
}
CHANNELS_CLASSIC = {"PRESENCE_GRACE": float(os.environ.get("BUS_GRACE", "5"))}
# The file in which consumers write down what they did; see journal.py.
JOURNAL = os.environ["BUS_JOURNAL"]

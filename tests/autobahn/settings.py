"""Settings of the site that the fuzzing client of Autobahn talks to."""

from __future__ import annotations

import os

SECRET_KEY = "only-for-tests"
INSTALLED_APPS = ["channels_classic"]
USE_TZ = True
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_classic.layers.redis.RedisChannelLayer",
        # Its largest messages have 16 MiB.
        "CONFIG": {"hosts": [os.environ["AUTOBAHN_REDIS"]], "max_message_size": 32 * 1024**2},
        "ROUTING": "tests.autobahn.site.channel_routing",
    }
}

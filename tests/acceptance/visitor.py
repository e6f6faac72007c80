"""A browser without scripts: it keeps cookies, posts forms, and opens sockets with its cookies."""

from __future__ import annotations

import http.cookiejar
import re
import ssl
import urllib.parse
import urllib.request
from typing import Any

from websockets.sync.client import ClientConnection, connect

#: How long an answer may take, in seconds.
PATIENCE = 30.0


class Visitor:
    """Somebody at the site at ``url``; ``context`` is for TLS."""

    def __init__(self, url: str, context: ssl.SSLContext | None = None) -> None:
        self.url = url
        self.context = context
        self.jar = http.cookiejar.CookieJar()
        cookies = urllib.request.HTTPCookieProcessor(self.jar)
        tls = urllib.request.HTTPSHandler(context=context)
        self.browser = urllib.request.build_opener(cookies, tls)

    def get(self, path: str) -> str:
        """The text of a page."""
        with self.browser.open(self.url + path, timeout=PATIENCE) as answer:
            return str(answer.read().decode())

    def post(self, path: str, **fields: str) -> str:
        """The text of the page that comes of the form at ``path``."""
        found = re.search(r'csrfmiddlewaretoken" value="(\w+)"', self.get(path))
        data = urllib.parse.urlencode({**fields, "csrfmiddlewaretoken": found[1] if found else ""})
        headers = {"Referer": self.url + path}  # Django asks for it where there is TLS
        request = urllib.request.Request(self.url + path, data.encode(), headers)
        with self.browser.open(request, timeout=PATIENCE) as answer:
            return str(answer.read().decode())

    def log_in(self, username: str, password: str) -> None:
        """By the page of Django's admin."""
        page = self.post("/admin/login/?next=/admin/", username=username, password=password)
        assert "Site administration" in page

    def socket(self, path: str, **options: Any) -> ClientConnection:
        """A WebSocket with the cookies, as of a page of the site."""
        cookies = "; ".join(f"{each.name}={each.value}" for each in self.jar)
        headers = {"Cookie": cookies} if cookies else {}
        url = f"ws{self.url.removeprefix('http')}{path}"
        options = {"origin": self.url, "ssl": self.context, "open_timeout": PATIENCE, **options}
        return connect(url, additional_headers=headers, **options)

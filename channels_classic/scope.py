"""An ``http.request`` message as the ASGI scope that Django makes a request of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from channels_classic.layers.traffic import Content

Headers = list[tuple[bytes, bytes]]


def http_scope(content: Content) -> dict[str, Any]:
    """The ASGI scope of an ``http.request``; old forms of its values are taken too."""
    path, query_string = content["path"], content.get("query_string") or b""
    return {
        "type": "http",
        "http_version": content.get("http_version", "1.1"),
        "method": content["method"],
        "scheme": content.get("scheme") or "http",
        "path": path if isinstance(path, str) else path.decode("utf-8", "replace"),
        "query_string": query_string if isinstance(query_string, bytes) else query_string.encode(),
        "root_path": content.get("root_path") or "",
        "headers": _scope_headers(content.get("headers") or ()),
        "client": content.get("client"),
        "server": content.get("server"),
    }


def _scope_headers(headers: Any) -> Headers:
    """Lower-case names; none with ``_``, which Django could not tell from ``-``; one cookie."""
    if isinstance(headers, dict):
        headers = [(name.encode("latin-1"), value) for name, value in headers.items()]
    kept: Headers = []
    cookies: list[bytes] = []
    for name, value in headers:
        lower = name.lower()
        if lower == b"cookie":
            cookies.append(value)
        elif b"_" not in lower:
            kept.append((lower, value))
    if cookies:
        kept.append((b"cookie", b"; ".join(cookies)))
    return kept

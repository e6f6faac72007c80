"""Snapshots as the bus would give them, with what a test is about."""

from __future__ import annotations

from typing import Any


def channel(name: str, *, completed: int = 0, waiting: int = 0, **fields: Any) -> dict[str, Any]:
    """A channel; ``fields`` are counters without their ``_count``, ``sent`` or other keys."""
    known = {
        "oldest": 0.0,
        "workers": 1,
        "delayed": 0,
        "next_due": None,
    }
    others = {key: fields.pop(key) for key in list(fields) if key in known}
    sent = fields.pop("sent", 0)
    counts = {"messages_count": sent, **{f"{key}_count": n for key, n in fields.items()}}
    return {
        "name": name,
        "completed": completed,
        "waiting": waiting,
        "counts": counts,
        **known,
        **others,
    }


def server(name: str, **fields: Any) -> dict[str, Any]:
    """A server."""
    known = {"host": "web", "pid": 7, "uptime": 9.0}
    figures = {"sockets": 0, "requests": 0, "answering": 0, "streams": 0}
    return {"name": name, **known, **figures, **fields}


def worker(name: str, **fields: Any) -> dict[str, Any]:
    """A worker, idle."""
    known = {"host": "work", "pid": 8, "uptime": 9.0, "threads": 1}
    figures = {"channels": ["a"], "completed": {}, "progress": None, "running": []}
    return {"name": name, **known, **figures, **fields}


def running(seconds: float, channel: str = "a", consumer: str = "app.consume") -> dict[str, Any]:
    """What a worker runs."""
    return {"channel": channel, "consumer": consumer, "seconds": seconds, "request_id": ""}


def snapshot(*channels: dict[str, Any], at: float = 1000.0, **fields: Any) -> dict[str, Any]:
    """A snapshot."""
    known = {"groups": {"total": 0, "largest": []}, "servers": [], "workers": [], "dead": 0}
    delayed = sum(each["delayed"] for each in channels)
    return {"time": at, "channels": list(channels), **known, "delayed": delayed, **fields}

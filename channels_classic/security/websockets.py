"""Decorators for consumers of ``websocket.connect``: which pages may connect to this one.

Every handshake is checked as it is, see ``ALLOWED_ORIGINS``. These are for consumers that want to
be stricter: both checks run.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import WRAPPER_ASSIGNMENTS, update_wrapper
from typing import TYPE_CHECKING, Any, Self

from channels_classic import origins
from channels_classic.exceptions import DenyConnection

if TYPE_CHECKING:
    from channels_classic.message import Message


#: With these, ``inspect`` tells a coroutine function and its arguments through the validator.
_ASSIGNED = (*WRAPPER_ASSIGNMENTS, "__code__", "__defaults__", "__kwdefaults__")


class BaseOriginValidator:
    """Decorates a consumer of ``websocket.connect``; a subclass says whom it lets in.

    The consumer may be a function, a coroutine function or a method. Others, and all who do not
    say where they come from, get ``DenyConnection``.
    """

    def __init__(self, func: Callable[..., Any]) -> None:
        update_wrapper(self, func, assigned=_ASSIGNED)
        self.func = func

    def __call__(self, message: Message, *args: Any, **kwargs: Any) -> Any:
        if not self.validate_origin(message, self.get_origin(message)):
            raise DenyConnection
        return self.func(message, *args, **kwargs)

    def __get__(self, instance: Any, owner: type | None = None) -> Self:
        """Of a method, the validator of the bound method."""
        return self if instance is None else type(self)(self.func.__get__(instance, owner))

    def validate_origin(self, message: Message, origin: str) -> bool:
        """Whether a page from ``origin``, such as ``https://example.com``, may connect."""
        raise NotImplementedError(f"{type(self).__name__} must define validate_origin")

    def get_header(self, message: Message, name: str | bytes) -> bytes:
        """The header ``name`` of the handshake; ``KeyError`` without it."""
        lower = (name.encode() if isinstance(name, str) else name).lower()
        value = origins.header(message.content, lower)
        if value is None:
            raise KeyError(f"the handshake has no header {lower.decode('latin-1')!r}")
        return value

    def get_origin(self, message: Message) -> str:
        """The ``Origin`` header; ``DenyConnection`` when it is missing or not ASCII."""
        try:
            return self.get_header(message, b"origin").decode("ascii")
        except (KeyError, UnicodeDecodeError):
            raise DenyConnection from None


class AllowedHostsOnlyOriginValidator(BaseOriginValidator):
    """Lets in pages of ``ALLOWED_HOSTS`` alone, whatever ``ALLOWED_ORIGINS`` says."""

    def validate_origin(self, message: Message, origin: str) -> bool:
        return origins.is_of_allowed_host(origin)


allowed_hosts_only = AllowedHostsOnlyOriginValidator

"""BaseConsumer: a class whose methods are the consumers of several channels."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from django.core.exceptions import ImproperlyConfigured

from channels_classic import auth, sessions
from channels_classic.message import Message
from channels_classic.routing import RouteClass, route_class
from channels_classic.utils import name_that_thing

Handler = Callable[..., Any]


class BaseConsumer:
    """An instance is made for each message, and runs the method for the channel it came on.

    The class is the consumer: give it to ``route_class``, or use ``as_route``. Its methods are
    plain ones, not coroutine functions: ``ImproperlyConfigured`` where the class is made says so.
    """

    #: The name of the method for each channel.
    method_mapping: ClassVar[Mapping[str, str]] = {}
    #: Whether methods find ``message.channel_session``, and with the second ``message.user`` too.
    channel_session: bool = False
    channel_session_user: bool = False
    #: What is called besides the methods of ``method_mapping``.
    _hooks: ClassVar[tuple[str, ...]] = ("get_handler", "dispatch")

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name in (*cls.method_mapping.values(), *cls._hooks):
            refuse_async(getattr(cls, name, None), f"{name_that_thing(cls)}.{name}")

    def __init__(self, message: Message, **kwargs: Any) -> None:
        self.message = message
        self.kwargs = kwargs
        self.dispatch(message, **kwargs)

    @classmethod
    def channel_names(cls) -> set[str]:
        """The channels that the class consumes."""
        return set(cls.method_mapping)

    @classmethod
    def as_route(cls, attrs: dict[str, Any] | None = None, **filters: Any) -> RouteClass:
        """The route to this class, or to a subclass with these attributes.

        Raises ``AssertionError`` when ``attrs`` is no dict, and what ``route_class`` does.
        """
        if attrs is None:
            return route_class(cls, **filters)
        if not isinstance(attrs, dict):
            raise AssertionError(f"attrs is a dict of attributes, not {attrs!r:.80}")
        names = {"__module__": cls.__module__, "__qualname__": cls.__qualname__}
        return route_class(type(cls.__name__, (cls,), {**names, **attrs}), **filters)

    def get_handler(self, message: Message, **kwargs: Any) -> Handler:
        """The method for ``message`` with its decorators; override it to add your own.

        Raises ``ValueError`` for a channel that the class does not consume.
        """
        name = self.method_mapping.get(message.channel_name or "")
        if name is None:
            raise ValueError(
                f"{name_that_thing(type(self))} has no method for messages on "
                f"{message.channel_name}; its method_mapping has: {', '.join(self.method_mapping)}"
            )
        return in_session(getattr(self, name), self)

    def dispatch(self, message: Message, **kwargs: Any) -> Any:
        """Run ``message``."""
        return self.get_handler(message, **kwargs)(message, **kwargs)


def in_session(handler: Handler, owner: Any) -> Handler:
    """``handler`` with the session that ``owner`` asks for by its attributes."""
    if owner.channel_session_user:
        return auth.channel_session_user(handler)
    if owner.channel_session:
        return sessions.channel_session(handler)
    return handler


def refuse_async(called: Any, name: str) -> None:
    """Raise ``ImproperlyConfigured`` for a coroutine function, which nobody would await."""
    if inspect.iscoroutinefunction(called):
        raise ImproperlyConfigured(
            f"{name} is a coroutine function, but consumer classes run on worker threads, where "
            "nobody awaits it. Make it a plain one, which may call async code by "
            "asgiref.sync.async_to_sync, or route messages to an async function"
        )

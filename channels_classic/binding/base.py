"""Binding: the changes of a model as messages to groups, and messages as changes of the model."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from django.apps import apps
from django.db import transaction
from django.db.models import Model

from channels_classic.binding.fields import AnyField, Names, check_names, is_among
from channels_classic.binding.watcher import Watcher
from channels_classic.channel import Group
from channels_classic.generic.base import in_session
from channels_classic.layers.names import valid_group_name
from channels_classic.layers.traffic import Content
from channels_classic.message import Message
from channels_classic.utils import name_that_thing

CREATE = "create"
UPDATE = "update"
DELETE = "delete"


class BindingMetaclass(type):
    """Records each binding, and connects it to its model when the models are ready."""

    binding_classes: ClassVar[list[type[Binding]]] = []
    register_immediately: ClassVar[bool] = False
    watchers: ClassVar[dict[type[Model], Watcher]] = {}

    def __init__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> None:
        super().__init__(name, bases, body)
        if BindingMetaclass.register_immediately:
            cls.register()  # type: ignore[attr-defined]
        BindingMetaclass.binding_classes.append(cls)  # type: ignore[arg-type]

    @classmethod
    def register_all(mcs) -> None:
        """Connect the bindings there are, and from now on each one as soon as it is defined.

        Raises ``ValueError`` for one that is not complete.
        """
        mcs.register_immediately = True
        for binding in mcs.binding_classes:
            binding.register()


class Binding(metaclass=BindingMetaclass):
    """Derive one for each model and kind of client; ``WebsocketBinding`` is for browsers.

    Outbound: when a row is created, updated or deleted, and the change has been committed, the
    groups that ``group_names`` names are told. A group that the row leaves by the change is told
    ``delete``, one that it comes into ``create``. ``.update()`` and ``bulk_create()`` of a query
    are not seen, as they send no signals.

    Inbound: ``consumer`` is a consumer that makes the changes that clients ask for, if
    ``has_permission`` allows them.
    """

    #: The model or ``"app.Model"``; None, in the class itself, for one that others derive from.
    model: Any = None
    #: The stream of the demultiplexer on which clients hear of changes.
    stream: str | None = None
    #: The names of the fields that clients see and set, or ``"__all__"``, and of those they do not.
    fields: Names = None
    exclude: Names = None
    #: As of consumer classes, for what is inbound; the user is handed to ``has_permission``.
    channel_session_user: bool = True
    channel_session: bool = False
    #: What Django's signal said besides the instance, while a change is told.
    signal_kwargs: dict[str, Any] | None = None

    def __init__(self) -> None:
        #: What is inbound: the message, what its route captured, and its user.
        self.message: Message | None = None
        self.kwargs: dict[str, Any] = {}
        self.user: Any = None

    # Registration -----------------------------------------------------------------------------

    @classmethod
    def register(cls) -> None:
        """Hear of changes of the model from now on; called for you. Raises ``ValueError``."""
        name = name_that_thing(cls)
        if cls.model is None:
            if "model" in vars(cls):
                return
            raise ValueError(
                f"{name} has no model: set one, or model = None if others are derived from it"
            )
        if cls.fields is None and cls.exclude is None:
            raise ValueError(
                f'{name} has neither fields nor exclude: name the fields, or fields = "__all__"'
            )
        if isinstance(cls.model, str):
            cls.model = apps.get_model(cls.model)
        check_names(cls.fields, cls.model, where=f"{name}.fields")
        check_names(cls.exclude, cls.model, where=f"{name}.exclude")
        cls._watch()

    @classmethod
    def _watch(cls) -> None:
        watchers = BindingMetaclass.watchers
        if cls.model not in watchers:
            watchers[cls.model] = Watcher(cls.model)
            watchers[cls.model].connect()
        if cls not in watchers[cls.model].bindings:
            watchers[cls.model].bindings.append(cls)

    @classmethod
    def shows(cls, field: AnyField) -> bool:
        """Whether clients see ``field``."""
        return is_among(field, cls.fields, cls.exclude)

    # Outbound ---------------------------------------------------------------------------------

    @classmethod
    def group_names(cls, instance: Any) -> Iterable[str]:
        """The names of the groups that may see ``instance`` as it is."""
        raise NotImplementedError(f"{name_that_thing(cls)} has no group_names(instance)")

    @classmethod
    def groups_of(cls, instance: Any) -> set[str]:
        """``group_names`` as a set; ``TypeError`` for what are no names of groups."""
        names = cls.group_names(instance)
        if isinstance(names, str):
            raise TypeError(
                f"group_names() of {name_that_thing(cls)} returns a list of names, not {names!r}"
            )
        return {valid_group_name(name) for name in names}

    @classmethod
    def tell(
        cls,
        instance: Any,
        before: set[str],
        after: set[str],
        *,
        left: Any,
        using: str,
        **signal_kwargs: Any,
    ) -> None:
        """Tell the groups ``before`` and ``after`` a change of ``instance``, once it is committed.

        Those that it has left are shown ``left``: they must not see what they no longer may.
        """
        binding = cls()
        binding.signal_kwargs = {**signal_kwargs, "using": using}
        for action, groups, shown in (
            (DELETE, before - after, left),
            (UPDATE, before & after, instance),
            (CREATE, after - before, instance),
        ):
            if groups:
                binding.send_messages(shown, groups, action, using=using)

    def send_messages(self, instance: Any, groups: set[str], action: str, *, using: str) -> None:
        """Tell ``groups`` of ``action``. Raises ``AssertionError`` when there is no stream."""
        payload = self.serialize(instance, action)
        if payload == {}:
            return
        if self.stream is None:
            raise AssertionError(
                f"{name_that_thing(type(self))} has no stream to send on: set one, the name under "
                "which the consumers of the demultiplexer have it"
            )
        content = self.encode(self.stream, payload)

        @functools.cache  # test tools run what waits for a commit, and a second one must not
        def send() -> None:
            for name in sorted(groups):
                Group(name).send(content)

        # What is committed is done: an error in telling it is logged, and the saver goes on.
        transaction.on_commit(send, using=using, robust=True)

    def serialize(self, instance: Any, action: str) -> Any:
        """What clients are told of ``action`` on ``instance``; ``{}`` is not sent."""
        raise NotImplementedError(f"{name_that_thing(type(self))} has no serialize()")

    @classmethod
    def encode(cls, stream: str, payload: Any) -> Content:
        """The message that carries ``payload`` to clients."""
        raise NotImplementedError(f"{name_that_thing(cls)} has no encode(stream, payload)")

    # Inbound ----------------------------------------------------------------------------------

    @classmethod
    def get_handler(cls) -> Callable[..., Any]:
        """``trigger_inbound`` with its decorators; override it to add your own."""
        return in_session(cls.trigger_inbound, cls)

    @classmethod
    def consumer(cls, message: Message, **kwargs: Any) -> None:
        """The consumer of what clients ask for: for a demultiplexer or a route."""
        cls.get_handler()(message, **kwargs)

    @classmethod
    def trigger_inbound(cls, message: Message, **kwargs: Any) -> None:
        """Do what ``message`` asks for, if its user may."""
        # Models, so that this module can be imported before they are ready.
        from django.contrib.auth.models import AnonymousUser

        binding = cls()
        binding.message = message
        binding.kwargs = kwargs
        binding.user = message.user or AnonymousUser()
        binding.run_action(*binding.deserialize(message))

    def deserialize(self, message: Message) -> tuple[str, Any, Any]:
        """The action, primary key and data that ``message`` asks for."""
        raise NotImplementedError(f"{name_that_thing(type(self))} has no deserialize(message)")

    def has_permission(self, user: Any, action: str, pk: Any) -> bool:
        """Whether ``user`` may do ``action`` to ``pk``, which is None for one to be created."""
        raise NotImplementedError(
            f"{name_that_thing(type(self))} has no has_permission(user, action, pk)"
        )

    def run_action(self, action: str, pk: Any, data: Any) -> None:
        """Do ``action``, or nothing if it is not permitted; ``ValueError`` for an unknown one."""
        if action not in (CREATE, UPDATE, DELETE):
            raise ValueError(f"{name_that_thing(type(self))} has no action {action!r:.80}")
        if not self.has_permission(self.user, action, pk):
            return
        if action == CREATE:
            self.create(data)
        elif action == UPDATE:
            self.update(pk, data)
        else:
            self.delete(pk)

    def create(self, data: Any) -> None:
        """Create a row from ``data``."""
        raise NotImplementedError(f"{name_that_thing(type(self))} has no create(data)")

    def update(self, pk: Any, data: Any) -> None:
        """Change the row ``pk`` by ``data``."""
        raise NotImplementedError(f"{name_that_thing(type(self))} has no update(pk, data)")

    def delete(self, pk: Any) -> None:
        """Delete the row ``pk``; no error when there is none."""
        self.model._default_manager.filter(pk=pk).delete()

"""Bindings for browsers: JSON on a stream of a demultiplexer."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.core.serializers.json import DjangoJSONEncoder
from django.db import router

from channels_classic import sessions
from channels_classic.binding.base import Binding
from channels_classic.binding.fields import ALL, AnyField, chosen, value_of
from channels_classic.binding.incoming import put, settable
from channels_classic.generic.multiplexer import WebsocketMultiplexer, as_json
from channels_classic.layers.traffic import Content
from channels_classic.message import Message
from channels_classic.utils import name_that_thing


class WebsocketBinding(Binding):
    """Tells browsers ``{"action", "pk", "data", "model"}``, and takes the first three from them.

    Give ``consumer`` to a ``WebsocketDemultiplexer`` under the name of ``stream``. Implement
    ``group_names`` and ``has_permission``. A relation is the key of its row, or a list of keys.
    """

    model: Any = None
    strict_ordering: bool = False
    #: True is refused with ``ValueError``: it is no more.
    slight_ordering: bool = False

    # Outbound ---------------------------------------------------------------------------------

    @classmethod
    def encode(cls, stream: str, payload: Any) -> Content:
        """``payload`` on the stream of a multiplexer."""
        return WebsocketMultiplexer.encode(stream, payload)

    def serialize(self, instance: Any, action: str) -> dict[str, Any]:
        """What browsers are told: the action, the primary key, the data and the model."""
        return {
            "action": action,
            "pk": instance.pk,
            "data": self.serialize_data(instance),
            "model": self.model_label,
        }

    def serialize_data(self, instance: Any) -> dict[str, Any]:
        """The fields of ``instance`` by name, as JSON has them."""
        values = {field.name: value_of(field, instance) for field in self._chosen()}
        data: dict[str, Any] = json.loads(as_json(values))
        return data

    @property
    def model_label(self) -> str:
        """The model as ``app.model``, in lower case."""
        label: str = self.model._meta.label_lower
        return label

    @classmethod
    def _chosen(cls) -> list[AnyField]:
        return chosen(cls.model, cls.fields, cls.exclude)

    # Inbound ----------------------------------------------------------------------------------

    @classmethod
    def get_handler(cls) -> Callable[..., Any]:
        """As of every binding; ``ValueError`` if ``slight_ordering`` is asked for."""
        handler = super().get_handler()
        if cls.strict_ordering or cls.slight_ordering:
            handler = sessions.enforce_ordering(slight=cls.slight_ordering)(handler)
        return handler

    @classmethod
    def consumer(cls, message: Message, **kwargs: Any) -> None:
        """The consumer of frames; that a socket connects and disconnects means nothing to it."""
        if message.channel_name == "websocket.receive":
            super().consumer(message, **kwargs)

    def deserialize(self, message: Message) -> tuple[str, Any, Any]:
        """The action, the primary key in the type of the model's, and the data.

        Raises ``ValueError`` for a frame that is not what browsers are to send.
        """
        who = name_that_thing(type(self))
        try:
            body = json.loads(message.get("text") or "")
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{who} was sent what is not JSON: {error}") from error
        if not isinstance(body, dict) or not isinstance(body.get("action"), str):
            raise ValueError(f'{who} takes {{"action": …, "pk": …, "data": …}}, not {body!r:.80}')
        return body["action"], self._key(body.get("pk")), body.get("data")

    def _key(self, pk: Any) -> Any:
        """``"5"`` and 5 are the same row, so ``has_permission`` must see the same."""
        if pk is None:
            return None
        try:
            return self.model._meta.pk.to_python(pk)
        except (ValidationError, ArithmeticError, TypeError) as error:
            raise ValueError(
                f"{name_that_thing(type(self))} has no row {pk!r:.80}: {error}"
            ) from error

    def create(self, data: Any) -> None:
        """Create a row of those fields in ``data`` that clients may set.

        Raises ``ValueError`` for values that are not valid; nothing is saved then.
        """
        self._put(self.model(), data)

    def update(self, pk: Any, data: Any) -> None:
        """Set those fields of the row that are in ``data`` and that clients may set.

        Raises ``ValueError`` for values that are not valid, and ``DoesNotExist`` of the model.
        """
        using = router.db_for_write(self.model)
        self._put(self.model._default_manager.using(using).get(pk=pk), data)

    def _put(self, instance: Any, data: Any) -> None:
        if not isinstance(data, dict):
            raise ValueError(
                f"{name_that_thing(type(self))} takes an object as data, not {data!r:.80}"
            )
        named = () if self.fields is None or self.fields == ALL else list(self.fields)
        fields = [field for field in self._chosen() if settable(field, named)]
        put(instance, data, fields, using=router.db_for_write(self.model))


class WebsocketBindingWithMembers(WebsocketBinding):
    """Sends members of the instance too: attributes, properties, and methods without arguments."""

    model: Any = None
    #: Names, with dots for members of members: ``"owner.get_full_name"`` is sent as
    #: ``"owner__get_full_name"``. The members of None are None.
    send_members: ClassVar[Sequence[str]] = []
    #: What makes JSON of them, a class or an instance.
    encoder: Any = DjangoJSONEncoder

    def serialize_data(self, instance: Any) -> dict[str, Any]:
        """The fields and the members of ``instance``."""
        members = {name.replace(".", "__"): member_of(instance, name) for name in self.send_members}
        encoder = self.encoder() if isinstance(self.encoder, type) else self.encoder
        return {**super().serialize_data(instance), **json.loads(encoder.encode(members))}


def member_of(instance: Any, path: str) -> Any:
    """The member at a dotted ``path``, called if it can be."""
    member = instance
    for name in path.split("."):
        if member is None:
            return None
        member = getattr(member, name)
    return member() if callable(member) else member

"""Hears of every change of one model: which groups could see the row before it, and which after."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from django.db.models import Model
from django.db.models.base import ModelState
from django.db.models.signals import m2m_changed, post_delete, post_save, pre_delete, pre_save
from django.utils.functional import SimpleLazyObject

from channels_classic.binding.fields import AnyField

if TYPE_CHECKING:
    from channels_classic.binding.base import Binding

    Groups = dict[type[Binding], set[str]]


@dataclass
class Change:
    """What is known before a change: the row, and the groups that could see it."""

    row: Any
    groups: Groups = field(default_factory=dict)


class Watcher:
    """Tells the bindings of ``model`` of each save, deletion and change of its relations.

    What was before a save comes from the database, as the instance at hand may have been changed
    long ago, or come from elsewhere: one query more, for bindings whose groups depend on the row.
    """

    def __init__(self, model: type[Model]) -> None:
        self.model = model
        self.bindings: list[type[Binding]] = []
        #: A save within a save of the same instance comes on top. A save that fails leaves its
        #: own behind, which nobody looks at any more.
        self._begun: WeakKeyDictionary[ModelState, list[Any]] = WeakKeyDictionary()

    def connect(self) -> None:
        """Hear of changes from now on."""
        for signal, receiver in (
            (pre_save, self._before_save),
            (post_save, self._after_save),
            (pre_delete, self._before_delete),
            (post_delete, self._after_delete),
        ):
            signal.connect(receiver, sender=self.model, weak=False)
        for relation in self.model._meta.many_to_many:
            receiver = partial(self._on_relation, relation)
            m2m_changed.connect(receiver, sender=relation.remote_field.through, weak=False)

    # A save -----------------------------------------------------------------------------------

    def _before_save(self, instance: Model, raw: bool, using: str, **kwargs: Any) -> None:
        new = _is_new(instance, raw)
        self._begin(instance, Change(None) if new else self._change_of(stored(instance, using)))

    def _after_save(
        self,
        instance: Model,
        created: bool,
        using: str,
        update_fields: Iterable[str] | None,
        **kwargs: Any,
    ) -> None:
        change = self._end(instance) or Change(None)
        if any(_is_computed(instance, each, created) for each in self.model._meta.concrete_fields):
            saved = read(instance, using)
        else:
            saved = _as_saved(instance, change.row, update_fields)
        kwargs |= {"created": created, "using": using, "update_fields": update_fields}
        for binding in self.bindings:
            before = set() if created else change.groups.get(binding, set())
            after = binding.groups_of(saved)
            binding.tell(saved, before, after, left=change.row, **kwargs)

    # A deletion -------------------------------------------------------------------------------

    def _before_delete(self, instance: Model, using: str, **kwargs: Any) -> None:
        # Else it was read just now, by a query that deletes or for a cascade.
        is_asked_for = kwargs.get("origin") is instance
        row = stored(instance, using) if is_asked_for else instance
        self._begin(instance, self._change_of(row))

    def _after_delete(self, instance: Model, using: str, **kwargs: Any) -> None:
        change = self._end(instance) or Change(None)
        for binding, groups in change.groups.items():
            binding.tell(instance, groups, set(), left=instance, using=using, **kwargs)

    # A relation -------------------------------------------------------------------------------

    def _on_relation(
        self,
        relation: AnyField,
        /,
        *,
        action: str,
        instance: Model,
        using: str,
        **kwargs: Any,
    ) -> None:
        moment, _, _ = action.partition("_")
        if moment == "pre":
            rows = self._affected(relation, instance, using=using, **kwargs)
            self._begin(instance, [self._change_of(row) for row in rows])
            return
        for change in self._end(instance) or []:
            for binding, before in change.groups.items():
                after = binding.groups_of(change.row)
                # Who does not see the relation, and still sees the row, sees no change.
                same = set() if binding.shows(relation) else before & after
                binding.tell(
                    change.row,
                    before - same,
                    after - same,
                    left=change.row,
                    using=using,
                    **kwargs,
                )

    def _affected(
        self,
        relation: AnyField,
        instance: Model,
        *,
        reverse: bool,
        pk_set: set[Any] | None,
        using: str,
        **kwargs: Any,
    ) -> list[Model]:
        """The rows of ``model`` whose ``relation`` changes, from whichever side it is changed."""
        if pk_set is not None and not pk_set:
            return []
        if not reverse:
            return [instance] if type(instance) is self.model else []
        rows = self.model._base_manager.using(using)
        if pk_set is None:
            return list(rows.filter(**{relation.name: instance}))
        return list(rows.filter(pk__in=pk_set))

    # What is going on -------------------------------------------------------------------------

    def _change_of(self, row: Any) -> Change:
        return Change(row, {binding: binding.groups_of(row) for binding in self.bindings})

    def _begin(self, instance: Model, what: Any) -> None:
        self._begun.setdefault(instance._state, []).append(what)

    def _end(self, instance: Model) -> Any:
        """None when the project has sent the second of two signals by itself."""
        begun = self._begun.get(instance._state)
        return begun.pop() if begun else None


def read(instance: Model, using: str) -> Model:
    """The row of ``instance`` as the database has it now; ``instance`` itself when it has none."""
    return type(instance)._base_manager.using(using).filter(pk=instance.pk).first() or instance


def stored(instance: Model, using: str) -> Any:
    """``read``, when something of the row is looked at."""
    return SimpleLazyObject(lambda: read(instance, using))


def _is_new(instance: Model, raw: bool) -> bool:
    """Whether a save is going to insert it; a key given by hand may be one of a row there is."""
    if instance.pk is None:
        return True
    key = instance._meta.pk
    return instance._state.adding and not raw and (key.has_default() or key.has_db_default())


def _as_saved(instance: Model, row: Any, update_fields: Iterable[str] | None) -> Model:
    """``instance``, with those fields that were not saved as they are in the ``row``."""
    if update_fields is None or row is None:
        return instance
    saved = copy.copy(instance)
    for column in instance._meta.concrete_fields:
        if not {column.name, column.attname} & set(update_fields):
            setattr(saved, column.attname, getattr(row, column.attname))
    return saved


def _is_computed(instance: Model, column: AnyField, created: bool) -> bool:
    """Whether only the database knows the value; of a new row it has told those it generates."""
    value = instance.__dict__.get(column.attname)
    return (column.generated and not created) or hasattr(value, "resolve_expression")
